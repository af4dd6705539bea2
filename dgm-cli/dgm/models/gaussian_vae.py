"""A VAE of points whose decoder's variance is learned.

z ~ N(0, I),   x|z ~ N(g(z), s^2 I),   q(z|x) = N(mean(x), diag(exp(log_variance(x))))
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dgm.models.gan import Generator, Perceptron


class GaussianVAE(nn.Module):
    """The decoder's mean is a GAN's generator."""

    def __init__(self, latent_dim: int, hidden: Sequence[int], d: int, std: float) -> None:
        """`std` is s before learning."""
        super().__init__()
        self.decoder = Generator(latent_dim, hidden, d)
        self.encoder = Perceptron([d, *hidden, 2 * latent_dim])
        self.log_s = nn.Parameter(torch.tensor(math.log(std)))

    def elbo(self, x: Tensor, noise: Tensor) -> Tensor:
        """E_q[log p(x|z)] - KL(q(z|x) || N(0, I)) by one draw of each posterior, (n,); nats."""
        mean, log_variance = self.encoder(x).chunk(2, 1)
        z = mean + (log_variance / 2).exp() * noise
        squared = (x - self.decoder(z)).square().sum(1)
        constant = x.shape[1] * (self.log_s + 0.5 * math.log(2 * math.pi))
        log_p = -0.5 * squared * (-2 * self.log_s).exp() - constant
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)
        return log_p - kl

    def sample(self, z: Tensor, noise: Tensor) -> Tensor:
        """x ~ N(g(z), s^2 I), (n, d)."""
        return self.decoder(z) + self.log_s.exp() * noise
