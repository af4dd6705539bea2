"""The variational autoencoder of Kingma & Welling (2014), Appendix C, in two halves.

    p(z) = N(0, I),   q(z|x) = N(mean, diag(std^2)),
    p(x|z) = prod_i Bernoulli(x_i | sigmoid(logits_i))

Each half is an MLP with one tanh layer and knows its own derivative, so that every algorithm
over them (AEVB, wake-sleep, Monte Carlo EM, HMC) reads as the equations it implements. The same
halves trained by wake-sleep are a Helmholtz machine; a decoder alone is what Monte Carlo EM fits.
Gradients point uphill. Shapes: x (batch, visible), z (batch, latent). Units: nats, per image.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import softplus

from dgm.models.parameters import Parameters

LOG_2PI = math.log(2 * math.pi)


class Posterior(NamedTuple):
    """q(z|x) = N(mean, diag(exp(log_variance))), and the hidden layer that led to it."""

    mean: Tensor  # (batch, latent)
    log_variance: Tensor  # (batch, latent)
    hidden: Tensor  # (batch, hidden)


class GaussianEncoder:
    """q(z|x): hidden = tanh(W x + b), (mean, log variance) = (hidden V + c)."""

    def __init__(
        self, visible: int, hidden: int, latent: int, device: torch.device | str = "cpu"
    ) -> None:
        self.latent_dim = latent
        # (hidden, visible) is the layout in which the three big products run fastest.
        self.parameters = Parameters(
            {"W": (hidden, visible), "b": (hidden,), "V": (hidden, 2 * latent), "c": (2 * latent,)},
            device,
        )

    def __call__(self, x: Tensor) -> Posterior:
        p = self.parameters
        hidden = torch.addmm(p["b"], x, p["W"].t()).tanh_()
        mean, log_variance = torch.addmm(p["c"], hidden, p["V"]).chunk(2, dim=1)
        return Posterior(mean, log_variance, hidden)

    def backward(self, x: Tensor, q: Posterior, d_mean: Tensor, d_log_variance: Tensor) -> None:
        """Write d/dparameters, mean over the batch, from the derivatives at the two outputs."""
        p, grad = self.parameters, self.parameters.grad
        d_out = torch.cat([d_mean, d_log_variance], dim=1).mul_(1 / len(x))
        d_pre = (d_out @ p["V"].t()).mul_(1 - q.hidden.square())
        torch.mm(q.hidden.t(), d_out, out=grad["V"])
        torch.sum(d_out, 0, out=grad["c"])
        torch.mm(d_pre.t(), x, out=grad["W"])
        torch.sum(d_pre, 0, out=grad["b"])


class BernoulliDecoder:
    """p(x|z): hidden = tanh(W z + b), logits = hidden V + c.

    With x in {0, 1} the likelihood is normalised. With x in [0, 1] the same formula,
    sum_i x_i log y_i + (1 - x_i) log(1 - y_i), is not a density over x: label it unnormalised.
    """

    def __init__(
        self, visible: int, hidden: int, latent: int, device: torch.device | str = "cpu"
    ) -> None:
        self.latent_dim = latent
        self.parameters = Parameters(
            {"W": (latent, hidden), "b": (hidden,), "V": (hidden, visible), "c": (visible,)},
            device,
        )

    def hidden(self, z: Tensor) -> Tensor:
        p = self.parameters
        return torch.addmm(p["b"], z, p["W"]).tanh_()

    def logits(self, hidden: Tensor) -> Tensor:
        p = self.parameters
        return torch.addmm(p["c"], hidden, p["V"])

    def sample(self, z: Tensor, generator: torch.Generator) -> Tensor:
        """Draw x ~ p(x|z)."""
        mean = self.logits(self.hidden(z)).sigmoid_()
        return (torch.rand(mean.shape, generator=generator, device=mean.device) < mean).float()

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x|z) for z (samples, batch, latent) and x (batch, visible): (samples, batch)."""
        p = self.parameters
        samples, batch, _ = z.shape
        hidden = self.hidden(z.flatten(0, 1))
        # x . logits = (V x) . hidden + x . c spares a pass over samples * batch * visible numbers.
        data_term = (hidden.view(samples, batch, -1) * (x @ p["V"].t())).sum(2) + x @ p["c"]
        # In blocks that stay in cache: the logits of all samples are never held at once.
        normaliser = torch.cat([softplus(self.logits(part)).sum(1) for part in hidden.split(512)])
        return data_term - normaliser.view(samples, batch)

    def log_joint(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x, z), shapes as in `log_likelihood`."""
        prior = -0.5 * (z.square().sum(2) + self.latent_dim * LOG_2PI)
        return self.log_likelihood(x, z) + prior

    def d_latent(self, x: Tensor, z: Tensor) -> Tensor:
        """d log p(x|z) / dz: (batch, latent)."""
        hidden = self.hidden(z)
        return self._back(hidden, x - self.logits(hidden).sigmoid_())[1]

    def d_log_joint(self, x: Tensor, z: Tensor) -> Tensor:
        """d log p(x, z) / dz: (batch, latent)."""
        return self.d_latent(x, z) - z

    def backward(self, x: Tensor, z: Tensor, need_latent: bool = True) -> Tensor | None:
        """Write the mean over the batch of d log p(x|z) / dparameters; return d log p(x|z) / dz."""
        grad = self.parameters.grad
        hidden = self.hidden(z)
        residual = torch.sub(x, self.logits(hidden).sigmoid_())  # d log p / dlogits
        d_pre, d_latent = self._back(hidden, residual, need_latent)
        scale = 1 / len(x)
        torch.mm(hidden.mul_(scale).t(), residual, out=grad["V"])
        torch.sum(residual, 0, out=grad["c"]).mul_(scale)
        d_pre.mul_(scale)
        torch.mm(z.t(), d_pre, out=grad["W"])
        torch.sum(d_pre, 0, out=grad["b"])
        return d_latent

    def _back(
        self, hidden: Tensor, residual: Tensor, need_latent: bool = True
    ) -> tuple[Tensor, Tensor]:
        p = self.parameters
        d_pre = (residual @ p["V"].t()).mul_(1 - hidden.square())
        return d_pre, (d_pre @ p["W"].t() if need_latent else d_pre.new_empty(0))
