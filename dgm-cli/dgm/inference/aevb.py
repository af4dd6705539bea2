"""Auto-encoding variational Bayes (Kingma & Welling 2014, Algorithm 1 and Appendix B)."""

import torch
from torch import Tensor

from dgm.models.vae import BernoulliDecoder, GaussianEncoder


def aevb_gradient(
    encoder: GaussianEncoder, decoder: BernoulliDecoder, x: Tensor, noise: Tensor
) -> None:
    """Write the gradient of the estimated bound, mean over the batch, into both halves.

        elbo(x) = log p(x|z) - KL(q(z|x) || p(z)),   z = mean + std * noise,   noise ~ N(0, I)
        KL = -1/2 sum_j (1 + log var_j - mean_j^2 - var_j)

    By the reparameterisation z(mean, log var), with g = d log p(x|z) / dz:

        d elbo / d mean = g - mean,   d elbo / d log var = (g * std * noise + 1 - var) / 2
    """
    q = encoder(x)
    std = torch.exp(0.5 * q.log_variance)
    shift = std * noise
    g = decoder.backward(x, q.mean + shift)
    assert g is not None
    encoder.backward(x, q, g - q.mean, 0.5 * (g * shift + 1 - std.square()))


def elbo(encoder: GaussianEncoder, decoder: BernoulliDecoder, x: Tensor, noise: Tensor) -> Tensor:
    """The bound with one posterior sample per image: (batch,), nats."""
    q = encoder(x)
    z = q.mean + torch.exp(0.5 * q.log_variance) * noise
    kl = -0.5 * (1 + q.log_variance - q.mean.square() - q.log_variance.exp()).sum(1)
    return decoder.log_likelihood(x, z[None])[0] - kl
