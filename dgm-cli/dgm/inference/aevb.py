"""Auto-encoding variational Bayes (Kingma & Welling 2014, Algorithm 1 and Appendix B)."""

import torch
from torch import Tensor

from dgm.inference.adagrad import Adagrad
from dgm.models.vae import VAE


class AEVB:
    """Stochastic ascent of the bound, one posterior sample per image, N(0, I) prior on the weights.

    `data_size` is N of the paper: the prior's share of a step is 1/N of its gradient.
    """

    def __init__(self, model: VAE, data_size: int, rate: float, generator: torch.Generator) -> None:
        self.model, self.generator = model, generator
        self.adagrad = Adagrad(model.flat, rate, decay=1 / data_size)

    def update(self, x: Tensor, indices: Tensor) -> None:
        """One step on a minibatch x (batch, visible)."""
        shape = len(x), self.model.encoder.latent_dim
        aevb_gradient(self.model, x, torch.randn(shape, generator=self.generator, device=x.device))
        self.adagrad.ascend(self.model.gradient)

    def state_dict(self) -> dict[str, Tensor]:
        return self.adagrad.state_dict()

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.adagrad.load_state_dict(state)


def aevb_gradient(model: VAE, x: Tensor, noise: Tensor) -> None:
    """Write the gradient of the estimated bound, mean over the batch, into `model.gradient`.

        elbo(x) = log p(x|z) - KL(q(z|x) || p(z)),   z = mean + std * noise,   noise ~ N(0, I)
        KL = -1/2 sum_j (1 + log var_j - mean_j^2 - var_j)

    By the reparameterisation z(mean, log var), with g = d log p(x|z) / dz:

        d elbo / d mean = g - mean,   d elbo / d log var = (g * std * noise + 1 - var) / 2
    """
    q = model.encoder(x)
    std = torch.exp(0.5 * q.log_variance)
    shift = std * noise
    g = model.decoder.d_latent(model.decoder.backward(x, q.mean + shift))
    model.encoder.backward(x, q, g - q.mean, 0.5 * (g * shift + 1 - std.square()))


def elbo(model: VAE, x: Tensor, noise: Tensor) -> Tensor:
    """The bound with one posterior sample per image: (batch,), nats."""
    q = model.encoder(x)
    z = q.mean + torch.exp(0.5 * q.log_variance) * noise
    kl = -0.5 * (1 + q.log_variance - q.mean.square() - q.log_variance.exp()).sum(1)
    return model.decoder.log_likelihood(x, z[None])[0] - kl
