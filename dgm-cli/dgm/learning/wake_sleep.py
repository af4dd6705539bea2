"""The wake-sleep algorithm (Hinton, Dayan, Frey & Neal 1995), with a Gaussian recognition net."""

from typing import Any

import torch
from torch import Tensor

from dgm.learning.adagrad import Adagrad
from dgm.models.vae import VAE, GaussianEncoder
from dgm.state import State


class WakeSleep(State):
    """Wake: fit p(x|z) to data with z ~ q(z|x). Sleep: fit q(z|x) to dreams (z, x) ~ p(z) p(x|z).

    The two phases ascend different objectives, so each half has its own optimiser; the weight prior
    is that of AEVB. There are as many dreams as images in the minibatch. They are samples of
    p(x|z), hence binary for a Bernoulli decoder.
    """

    def __init__(self, model: VAE, data_size: int, rate: float, generator: torch.Generator) -> None:
        self.model, self.generator = model, generator
        self.wake = Adagrad(model.decoder.parameters.flat, rate, decay=1 / data_size)
        self.sleep = Adagrad(model.encoder.parameters.flat, rate, decay=1 / data_size)

    def update(self, x: Tensor, indices: Tensor) -> None:
        """One wake and one sleep step on a minibatch x (batch, visible)."""
        encoder, decoder = self.model.encoder, self.model.decoder
        shape = len(x), encoder.latent_dim
        q = encoder(x)
        noise = torch.randn(shape, generator=self.generator, device=x.device)
        decoder.backward(x, q.sample(noise))
        self.wake.ascend(decoder.parameters.gradient)

        z = torch.randn(shape, generator=self.generator, device=x.device)
        recognition_gradient(encoder, decoder.sample(z, self.generator), z)
        self.sleep.ascend(encoder.parameters.gradient)

    def state_dict(self) -> dict[str, Any]:
        return {"wake": self.wake.squares, "sleep": self.sleep.squares}


def recognition_gradient(encoder: GaussianEncoder, x: Tensor, z: Tensor) -> None:
    """Write the gradient of log q(z|x), mean over the batch, into the encoder.

    d log q / d mean = (z - mean) / var,   d log q / d log var = ((z - mean)^2 / var - 1) / 2
    """
    q = encoder(x)
    error = z - q.mean
    scaled = error * torch.exp(-q.log_variance)
    encoder.backward(x, q, torch.cat([scaled, 0.5 * (error * scaled - 1)], dim=1))
