"""Auto-encoding variational Bayes (Kingma & Welling 2014, Algorithm 1 and Appendix B)."""

import math
from typing import Any

import torch
from torch import Tensor

from dgm.fast.loops import d_reparameterised, reparameterise
from dgm.learning.adagrad import Adagrad
from dgm.learning.adam import Adam
from dgm.models.vae import VAE
from dgm.state import State


class AEVB(State):
    """Stochastic ascent of the bound, one posterior sample per image, N(0, I) prior on the weights.

    `data_size` is N of the paper: a step contains 1/N of the prior's gradient. The paper uses
    Adagrad.
    """

    def __init__(
        self,
        model: VAE,
        data_size: int,
        rate: float,
        generator: torch.Generator,
        optimiser: type[Adagrad | Adam] = Adagrad,
    ) -> None:
        self.model, self.generator = model, generator
        self.optimiser = optimiser(model.flat, rate, decay=1 / data_size)

    def update(self, x: Tensor, indices: Tensor) -> None:
        """One step on a minibatch x (batch, visible)."""
        shape = x.shape[0], self.model.encoder.latent_dim
        aevb_gradient(self.model, x, torch.randn(shape, generator=self.generator, device=x.device))
        self.optimiser.ascend(self.model.gradient)

    def state_dict(self) -> dict[str, Any]:
        return self.optimiser.state_dict()


def aevb_gradient(model: VAE, x: Tensor, noise: Tensor) -> None:
    """Write the gradient of the estimated bound, mean over the batch, into `model.gradient`.

        elbo(x) = log p(x|z) - KL(q(z|x) || p(z)),   z = mean + std * noise,   noise ~ N(0, I)
        KL = -1/2 sum_j (1 + log var_j - mean_j^2 - var_j)

    By the reparameterisation z(mean, log var), with g = d log p(x|z) / dz:

        d elbo / d mean = g - mean,   d elbo / d log var = (g * std * noise + 1 - var) / 2
    """
    q = model.encoder(x)
    z, shift = reparameterise(q.output, noise)
    g = model.decoder.d_latent(model.decoder.backward(x, z))
    model.encoder.backward(x, q, d_reparameterised(q.output, shift, g))


def elbo(model: VAE, x: Tensor, noise: Tensor) -> Tensor:
    """The bound with one posterior sample per image: (batch,), nats."""
    q = model.encoder(x)
    kl = -0.5 * (1 + q.log_variance - q.mean.square() - q.log_variance.exp()).sum(1)
    return model.decoder.log_likelihood(x, q.sample(noise)[None])[0] - kl


def mean_elbo(
    model: VAE, x: Tensor, generator: torch.Generator, samples: int = 1, block: int = 1000
) -> tuple[float, float]:
    """The bound's mean over images, by `samples` posterior samples of each, and its standard error.

    The error is due to the posterior samples, not to the choice of images; nan for one sample.
    """
    means, variances = [], []
    for part in x.split(block):
        shape = samples, len(part), model.encoder.latent_dim
        noise = torch.randn(shape, generator=generator, device=x.device)
        bounds = torch.stack([elbo(model, part, one) for one in noise]).double()
        means.append(bounds.mean(0))
        variances.append(bounds.var(0) / samples if samples > 1 else bounds[0] * math.nan)
    stderr = torch.cat(variances).sum().sqrt() / len(x)
    return torch.cat(means).mean().item(), stderr.item()


def active_latents(model: VAE, x: Tensor) -> int:
    """The number of latent dimensions that tell images apart: Var_x(E_q[z|x]) > 0.01.

    Burda, Grosse & Salakhutdinov (2016), section 5.2; (n, pixels) images, n of at least 2.
    """
    return int((model.encoder(x).mean.var(0) > 0.01).sum())
