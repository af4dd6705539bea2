"""The variational autoencoder of Kingma & Welling (2014), Appendix C, in two halves.

    p(z) = N(0, I),   q(z|x) = N(mean, diag(std^2)),
    p(x|z) = prod_i Bernoulli(x_i | sigmoid(logits_i))

Each half is an MLP with one tanh layer and knows its own derivative, so that every algorithm
over them (AEVB, wake-sleep, Monte Carlo EM, HMC) reads as the equations it implements. The same
two halves trained by wake-sleep are the Helmholtz machine of the comparison: the models do not
differ, the learning does. A decoder alone is what Monte Carlo EM fits.
Gradients point uphill. Shapes: x (batch, visible), z (batch, latent). Units: nats, per image.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import softplus

from dgm.draws import bernoulli
from dgm.models.parameters import Parameters, adjoin

LOG_2PI = math.log(2 * math.pi)


class Posterior(NamedTuple):
    """q(z|x) = N(mean, diag(exp(log_variance))), and the hidden layer that led to it."""

    mean: Tensor  # (batch, latent)
    log_variance: Tensor  # (batch, latent)
    hidden: Tensor  # (batch, hidden)


class GaussianEncoder:
    """q(z|x): hidden = tanh(W x + b), (mean, log variance) = (hidden V + c)."""

    def __init__(
        self, visible: int, hidden: int, latent_dim: int, device: torch.device | str = "cpu"
    ) -> None:
        self.latent_dim = latent_dim
        # (hidden, visible) is the layout in which the three big products run fastest.
        self.parameters = Parameters(
            {
                "W": (hidden, visible),
                "b": (hidden,),
                "V": (hidden, 2 * latent_dim),
                "c": (2 * latent_dim,),
            },
            device,
        )

    def __call__(self, x: Tensor) -> Posterior:
        p = self.parameters
        hidden = _tanh(torch.addmm(p["b"], x, p["W"].t()))
        mean, log_variance = torch.addmm(p["c"], hidden, p["V"]).chunk(2, dim=1)
        return Posterior(mean, log_variance, hidden)

    def backward(self, x: Tensor, q: Posterior, d_mean: Tensor, d_log_variance: Tensor) -> None:
        """Write d/dparameters, mean over the batch, from the derivatives at the two outputs."""
        p, grad = self.parameters, self.parameters.grad
        d_out = torch.cat([d_mean, d_log_variance], dim=1).mul_(1 / len(x))
        d_pre = _through_tanh(q.hidden, d_out @ p["V"].t())
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
        self, visible: int, hidden: int, latent_dim: int, device: torch.device | str = "cpu"
    ) -> None:
        self.latent_dim = latent_dim
        self.parameters = Parameters(
            {"W": (latent_dim, hidden), "b": (hidden,), "V": (hidden, visible), "c": (visible,)},
            device,
        )
        self._buffer = torch.empty(0, device=device)

    def hidden(self, z: Tensor) -> Tensor:
        p = self.parameters
        return _tanh(torch.addmm(p["b"], z, p["W"]))

    def logits(self, hidden: Tensor) -> Tensor:
        p = self.parameters
        return torch.addmm(p["c"], hidden, p["V"])

    def mean(self, z: Tensor) -> Tensor:
        """E[x|z]: the probability of each pixel, (batch, visible)."""
        return self.logits(self.hidden(z)).sigmoid_()

    def sample(self, z: Tensor, generator: torch.Generator) -> Tensor:
        """Draw x ~ p(x|z)."""
        return bernoulli(self.mean(z), generator)

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

    def log_likelihood_pairs(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x_n|z_k) of every pair, for x (n, visible) and z (k, latent): (k, n)."""
        logits = self.logits(self.hidden(z))
        return logits @ x.t() - softplus(logits).sum(1, keepdim=True)

    def log_joint(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x, z), shapes as in `log_likelihood`."""
        prior = -0.5 * (z.square().sum(2) + self.latent_dim * LOG_2PI)
        return self.log_likelihood(x, z) + prior

    def d_log_joint(self, x: Tensor, z: Tensor) -> Tensor:
        """d log p(x, z) / dz for x (batch, visible) and z (batch, latent): (batch, latent)."""
        hidden = self.hidden(z)
        d_pre = self._d_pre(hidden, self._residual(x, hidden))
        return torch.addmm(z, d_pre, self.parameters["W"].t(), beta=-1)

    def backward(self, x: Tensor, z: Tensor) -> Tensor:
        """Write the mean over the batch of d log p(x|z) / dparameters.

        Returns d log p(x|z) / dhidden's input, (batch, hidden), for `d_latent`.
        """
        grad = self.parameters.grad
        hidden = self.hidden(z)
        residual = self._residual(x, hidden)
        d_pre = self._d_pre(hidden, residual)
        torch.mm(hidden.mul_(1 / len(x)).t(), residual, out=grad["V"])
        torch.sum(residual, 0, out=grad["c"]).mul_(1 / len(x))
        torch.mm((z * (1 / len(x))).t(), d_pre, out=grad["W"])
        torch.sum(d_pre, 0, out=grad["b"]).mul_(1 / len(x))
        return d_pre

    def d_latent(self, d_pre: Tensor) -> Tensor:
        """d log p(x|z) / dz, (batch, latent), from what `backward` returned."""
        return d_pre @ self.parameters["W"].t()

    def _residual(self, x: Tensor, hidden: Tensor) -> Tensor:
        """d log p / dlogits = x - E[x|z], in a buffer that the next call reuses."""
        if self._buffer.shape != x.shape:
            self._buffer = torch.empty_like(x)
        p = self.parameters
        mean = torch.addmm(p["c"], hidden, p["V"], out=self._buffer).sigmoid_()
        return torch.sub(x, mean, out=mean)

    def _d_pre(self, hidden: Tensor, residual: Tensor) -> Tensor:
        return _through_tanh(hidden, residual @ self.parameters["V"].t())


class VAE:
    """Both halves, their parameters end to end in one vector `flat` (and `gradient`)."""

    def __init__(
        self, visible: int, hidden: int, latent_dim: int, device: torch.device | str = "cpu"
    ) -> None:
        self.config = {"visible": visible, "hidden": hidden, "latent_dim": latent_dim}
        self.encoder = GaussianEncoder(visible, hidden, latent_dim, device)
        self.decoder = BernoulliDecoder(visible, hidden, latent_dim, device)
        self.flat, self.gradient = adjoin(self.encoder.parameters, self.decoder.parameters)

    def initialise(self, std: float, generator: torch.Generator) -> None:
        """Draw every parameter from N(0, std^2)."""
        self.flat.normal_(0.0, std, generator=generator)

    def state_dict(self) -> dict[str, Tensor]:
        return {"parameters": self.flat}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.flat.copy_(state["parameters"])


def _tanh(pre: Tensor) -> Tensor:
    """tanh, in place, as 2 sigmoid(2 x) - 1, which is faster than torch's own on a CPU."""
    return pre.mul_(2.0).sigmoid_().mul_(2.0).sub_(1.0)


def _through_tanh(hidden: Tensor, d_hidden: Tensor) -> Tensor:
    """d/dinput = d/dhidden * (1 - hidden^2), in place."""
    return d_hidden.addcmul_(d_hidden * hidden, hidden, value=-1)
