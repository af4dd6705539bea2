"""Mean field theory of sigmoid belief nets (Saul, Jaakkola & Jordan 1996).

With independent hidden units of means mu, log p(x) is at least

    sum_l E[h_l z_l] - sum_i ( xi_i E[z_i] + log(E[exp(-xi_i z_i)] + E[exp((1 - xi_i) z_i)]) ) + H,

z = b + h W the units' inputs and H the entropy, for every xi: E[log(1 + exp(z))] has no closed
form, and xi bounds it. E[exp(a z_i)] = exp(a b_i) prod_j (1 + mu_j (exp(a W_ji) - 1)).

E step: mu = sigmoid(d bound / d mu, without the entropy's share), half of the way at a time, and
xi = E[exp((1 - xi) z)] / (E[exp(-xi z)] + E[exp((1 - xi) z)]), which is the best where z is nearly
Gaussian. M step: the bound's gradient. Every iteration costs (images, above, below) exponentials.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import softplus

from dgm.inference.mean_field import mean_field
from dgm.learning.adam import Adam
from dgm.models.sigmoid_belief_net import SigmoidBeliefNet
from dgm.state import State

SMALLEST = 1e-6  # of a mean and of one less it


class Weights(NamedTuple):
    """A net's W (above, below) and b (below,) of each layer, and the prior's log odds."""

    W: list[Tensor]
    b: list[Tensor]
    prior: Tensor

    @classmethod
    def of(cls, net: SigmoidBeliefNet) -> "Weights":
        layers = net.generative
        return cls([of["W"] for of in layers], [of["b"] for of in layers], net.prior["b"])


class MeanFieldEM(State):
    """Ascends the bound by Adam, with at most `iterations` of the E step an image and visit."""

    momentum = 0.0  # there is none; `epochs` reads and sets it

    def __init__(
        self, net: SigmoidBeliefNet, iterations: int, rate: float, tolerance: float = 1e-3
    ) -> None:
        self.net, self.iterations, self.rate, self.tolerance = net, iterations, rate, tolerance
        self.optimiser = Adam(net.flat[: net.generative_size], rate)

    def update(self, x: Tensor, indices: Tensor) -> Tensor:
        """One step on a minibatch x (batch, visible); its mean bound."""
        mu, xi = posterior(self.net, x, self.iterations, self.tolerance)
        found = self.gradient(x, mu, xi)
        self.optimiser.rate = self.rate
        self.optimiser.ascend(self.net.gradient[: self.net.generative_size])
        return found

    def gradient(self, x: Tensor, mu: Sequence[Tensor], xi: Sequence[Tensor]) -> Tensor:
        """Write the gradient of the generative weights, mean over x; the mean bound."""
        net, own = self.net, Weights.of(self.net)
        with torch.enable_grad():
            leaves = [of.detach().requires_grad_() for of in (*own.W, *own.b, own.prior)]
            L = net.layers
            weights = Weights(leaves[:L], leaves[L : 2 * L], leaves[-1])
            mean = (energy(weights, x, mu, xi) + entropy(mu)).mean()
            gradients = torch.autograd.grad(mean, leaves)
        for layer, dW, db in zip(net.generative, gradients[:L], gradients[L:], strict=False):
            layer.grad["W"].copy_(dW)
            layer.grad["b"].copy_(db)
        net.prior.grad["b"].copy_(gradients[-1])
        return mean.detach()

    def state_dict(self) -> dict[str, Any]:
        return self.optimiser.state_dict()


def posterior(
    net: SigmoidBeliefNet, x: Tensor, most: int, tolerance: float = 1e-4
) -> tuple[list[Tensor], list[Tensor]]:
    """The means mu of each hidden layer and the xi of each layer with children's inputs."""
    weights, n = Weights.of(net), len(x)
    sizes = [*net.sizes[1:], *net.sizes[:-1]]  # of mu, from the lowest layer up, and of xi

    def update(states: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        mu, xi = list(states[: net.layers]), list(states[net.layers :])
        for number in range(net.layers):
            with torch.enable_grad():
                mu[number] = mu[number].detach().requires_grad_()
                (slope,) = torch.autograd.grad(energy(weights, x, mu, xi).sum(), mu[number])
            found = slope.sigmoid().clamp_(SMALLEST, 1 - SMALLEST)
            mu[number] = mu[number].detach().lerp(found, 0.5)
        for number, (W, b) in enumerate(zip(weights.W, weights.b, strict=True)):
            off = log_mean_exp(-xi[number], W, b, mu[number])
            on = log_mean_exp(1 - xi[number], W, b, mu[number])
            xi[number] = (on - off).sigmoid_()
        return (*mu, *xi)

    start = tuple(x.new_full((n, size), 0.5) for size in sizes)
    states, _ = mean_field(update, start, most, tolerance)
    return list(states[: net.layers]), list(states[net.layers :])


def energy(weights: Weights, x: Tensor, mu: Sequence[Tensor], xi: Sequence[Tensor]) -> Tensor:
    """The bound without the entropy, (n,)."""
    top = mu[-1] @ weights.prior - softplus(weights.prior).sum()
    for W, b, below, above, of in zip(weights.W, weights.b, [x, *mu], mu, xi, strict=False):
        mean = b + above @ W
        off, on = log_mean_exp(-of, W, b, above), log_mean_exp(1 - of, W, b, above)
        top = top + ((below - of) * mean - torch.logaddexp(off, on)).sum(1)
    return top


def log_mean_exp(a: Tensor, W: Tensor, b: Tensor, mu: Tensor) -> Tensor:
    """log E[exp(a z)] of inputs z = b + h W, h independent with means mu; a and it (n, below)."""
    factors = torch.log1p(mu[:, :, None] * torch.expm1(a[:, None] * W))
    return a * b + factors.sum(1)


def entropy(mu: Sequence[Tensor]) -> Tensor:
    """Of independent units, (n,)."""
    return sum((torch.special.entr(of) + torch.special.entr(1 - of)).sum(1) for of in mu)  # type: ignore[return-value]
