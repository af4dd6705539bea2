"""Monte Carlo EM for the decoder alone (Kingma & Welling 2014, Section 5 and Appendix E)."""

from typing import Any

import torch
from torch import Tensor

from dgm.inference.hmc import adapt, hmc_start, hmc_step
from dgm.learning.adagrad import Adagrad
from dgm.models.vae import VAE
from dgm.state import State

LEAPFROGS, WEIGHT_UPDATES = 10, 5  # the paper's


class MonteCarloEM(State):
    """E: one HMC transition of each image's chain on p(z|x). M: five ascents of log p(x, z).

    A chain starts at a sample of the prior and continues whenever its image is in a minibatch. One
    step size for all chains is adapted to 90 % acceptance. The encoder is not used.
    """

    def __init__(self, model: VAE, data_size: int, rate: float, generator: torch.Generator) -> None:
        self.decoder, self.generator = model.decoder, generator
        theta = self.decoder.parameters.flat
        self.adagrad = Adagrad(theta, rate, decay=1 / data_size)
        shape = data_size, self.decoder.latent_dim
        self.chains = torch.randn(shape, generator=generator, device=theta.device)
        self.step_size = torch.full((), 0.1, device=theta.device)

    def update(self, x: Tensor, indices: Tensor) -> None:
        """One posterior sample for each image x (batch, visible), whose chains are `indices`."""
        # The weights have changed since: density and gradient at the old state are not those kept.
        state = hmc_start(self.decoder, x, self.chains[indices])
        state, acceptance = hmc_step(
            self.decoder, x, state, self.step_size, LEAPFROGS, self.generator
        )
        self.step_size.copy_(adapt(self.step_size, acceptance.mean()))
        self.chains[indices] = state.z
        for _ in range(WEIGHT_UPDATES):
            self.decoder.backward(x, state.z)
            self.adagrad.ascend(self.decoder.parameters.gradient)

    def state_dict(self) -> dict[str, Any]:
        own = {"chains": self.chains, "step_size": self.step_size}
        return own | self.adagrad.state_dict()
