"""Monte Carlo EM for the decoder alone (Kingma & Welling 2014, Section 5 and Appendix E)."""

import torch
from torch import Tensor

from dgm.inference.hmc import adapt, hmc_start, hmc_step
from dgm.learning.adagrad import Adagrad
from dgm.models.vae import VAE

LEAPFROGS, WEIGHT_UPDATES = 10, 5  # the paper's


class MonteCarloEM:
    """E: one HMC transition of each image's chain on p(z|x). M: five ascents of log p(x, z).

    A chain goes on from where it was when its image was last in a minibatch; it starts at the
    prior. One step size for all chains follows 90 % acceptance. The encoder is not used.
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
        # The weights have moved since, so density and gradient at the old state are computed anew.
        state = hmc_start(self.decoder, x, self.chains[indices])
        state, info = hmc_step(self.decoder, x, state, self.step_size, LEAPFROGS, self.generator)
        self.step_size.copy_(adapt(self.step_size, info.acceptance.mean()))
        self.chains[indices] = state.z
        for _ in range(WEIGHT_UPDATES):
            self.decoder.backward(x, state.z)
            self.adagrad.ascend(self.decoder.parameters.gradient)

    def state_dict(self) -> dict[str, Tensor]:
        own = {"chains": self.chains, "step_size": self.step_size}
        return own | self.adagrad.state_dict()

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.chains.copy_(state["chains"])
        self.step_size.copy_(state["step_size"])
        self.adagrad.load_state_dict(state)
