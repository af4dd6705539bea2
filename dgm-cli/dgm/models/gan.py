"""Generators and discriminators of points.

A generator maps noise z ~ N(0, I) to points, a discriminator a point to the logit of
D(x) = sigmoid(logit), the probability that x is data.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

LEAK = 0.2  # slope of the units below zero
HALVINGS = 60  # of the interval in which an inverse is looked for
RANGE = 40.0  # standard deviations of z on either side, beyond which no inverse is looked for


class Perceptron(nn.Sequential):
    """Linear layers of these sizes, input and output included, with leaky units between them."""

    def __init__(self, sizes: Sequence[int]) -> None:
        layers: list[nn.Module] = []
        for below, above in zip(sizes, sizes[1:], strict=False):
            layers += [nn.Linear(below, above), nn.LeakyReLU(LEAK)]
        super().__init__(*layers[:-1])


class Generator(Perceptron):
    """x = g(z) by a perceptron: z (n, latent_dim) to x (n, d). Its density is not known."""

    def __init__(self, latent_dim: int, hidden: Sequence[int], d: int) -> None:
        self.latent_dim = latent_dim
        super().__init__([latent_dim, *hidden, d])


class Discriminator(Perceptron):
    """The logit of D by a perceptron: x (n, d) to (n,)."""

    def __init__(self, d: int, hidden: Sequence[int]) -> None:
        super().__init__([d, *hidden, 1])

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = super().forward(x)
        return logits[:, 0]


class MonotoneGenerator(nn.Module):
    """An increasing map of the line, x = g(z), so that the density of x is known.

        g(z) = b + a z + sum_k w_k tanh(s_k (z - c_k)),   a, w_k, s_k > 0
        log p(x) = log N(z; 0, 1) - log g'(z),            z = g^-1(x)

    The inverse is found by halving an interval. Double precision.
    """

    latent_dim = 1

    def __init__(self, units: int, mean: float, slope: float) -> None:
        """Before learning mean + slope z and what the units, spread over z, add to its slope."""
        super().__init__()
        self.b = nn.Parameter(torch.tensor(mean, dtype=torch.float64))
        self.log_a = nn.Parameter(torch.tensor(math.log(slope), dtype=torch.float64))
        small, one = torch.full((units,), -2.0).double(), torch.zeros(units).double()
        self.raw_w = nn.Parameter(small)  # w = 0.13
        self.raw_s = nn.Parameter(one)
        self.c = nn.Parameter(torch.linspace(-2, 2, units, dtype=torch.float64))

    def forward(self, z: Tensor) -> Tensor:
        """z (n, 1) to x (n, 1)."""
        bends = torch.tanh(softplus(self.raw_s) * (z - self.c))  # (n, units)
        return self.b + self.log_a.exp() * z + (bends @ softplus(self.raw_w))[:, None]

    def slope(self, z: Tensor) -> Tensor:
        """g'(z), (n,)."""
        s = softplus(self.raw_s)
        bends = torch.tanh(s * (z - self.c))
        return self.log_a.exp() + (1 - bends.square()) @ (softplus(self.raw_w) * s)

    def inverse(self, x: Tensor) -> Tensor:
        """The z of each x, (n, 1); the end of the range where it lies beyond."""
        low, high = torch.full_like(x, -RANGE), torch.full_like(x, RANGE)
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            below = self(middle) < x
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        return (low + high) / 2

    def log_density(self, x: Tensor) -> Tensor:
        """log p(x) of points (n, 1), (n,).

        Its derivative by x and by the parameters is exact: that of the inverse follows from the
        identity g(z) = x, dz = (dx - dg(z)) / g'(z).
        """
        with torch.no_grad():
            z = self.inverse(x)
            slope = self.slope(z)[:, None]
        if torch.is_grad_enabled():
            missed = x - self(z)
            z = z + (missed - missed.detach()) / slope  # the same number, with a derivative
        log_normal = -0.5 * (z[:, 0].square() + math.log(2 * math.pi))
        return log_normal - self.slope(z).log()
