"""The adversary-activated VAE (Hu et al. 2018, section 4.2).

A discriminator D learns to tell images from the VAE's own samples, as in a GAN, and the VAE ascends
its bound on samples too, each counted by how much D takes it for an image:

    E_data[elbo(x)] + E_{p(x)}[D(x) elbo(x)]

Instead of a weight D(x), a sample is kept with this probability: the expected gradient is the same
but for the minibatch's size, by which it is divided.
"""

from typing import Any

import torch
from torch import Tensor, nn

from dgm.fast.draws import bernoulli
from dgm.learning.adagrad import Adagrad
from dgm.learning.adam import Adam
from dgm.learning.adversarial import descend, minus_value
from dgm.learning.aevb import AEVB
from dgm.models.vae import VAE

BETAS = (0.5, 0.999)  # of the discriminator's Adam


class AdversaryActivated(AEVB):
    """As many samples as images are drawn in each step. `kept` and `made` count them."""

    def __init__(
        self,
        model: VAE,
        data_size: int,
        rate: float,
        generator: torch.Generator,
        discriminator: nn.Module,
        discriminator_rate: float,
        optimiser: type[Adagrad | Adam] = Adam,
    ) -> None:
        super().__init__(model, data_size, rate, generator, optimiser)
        self.discriminator = discriminator
        self.of_discriminator = torch.optim.Adam(
            discriminator.parameters(), discriminator_rate, BETAS, fused=True
        )
        self.kept = self.made = 0

    def update(self, x: Tensor, indices: Tensor) -> None:
        """A step of D, then one of the VAE, on a minibatch x (batch, visible) of binary pixels."""
        shape = len(x), self.model.decoder.latent_dim
        z = torch.randn(shape, generator=self.generator, device=x.device)
        made = self.model.decoder.sample(z, self.generator)
        with torch.enable_grad():
            loss = minus_value(self.discriminator(x), self.discriminator(made))
            descend(self.of_discriminator, loss)
        kept = bernoulli(self.discriminator(made).sigmoid(), self.generator).bool()
        self.kept, self.made = self.kept + int(kept.sum()), self.made + len(made)
        super().update(torch.cat([x, made[kept]]), indices)

    def state_dict(self) -> dict[str, Any]:
        return {
            "vae": super().state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "of_discriminator": self.of_discriminator.state_dict(),
            "kept": self.kept,
            "made": self.made,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.optimiser.load_state_dict(state["vae"])
        self.discriminator.load_state_dict(state["discriminator"])
        self.of_discriminator.load_state_dict(state["of_discriminator"])
        self.kept, self.made = state["kept"], state["made"]
