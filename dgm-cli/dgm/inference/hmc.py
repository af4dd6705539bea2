"""Hamiltonian Monte Carlo (Duane et al. 1987; Neal 2011) on many posteriors at once.

Row n of every tensor is one chain, on p(z|x_n). Shapes: x (batch, visible),
z (batch, latent), step size scalar or (batch, 1).
"""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

TARGET = 0.9  # acceptance
GAIN = 0.1  # change of the log step size for each unit of acceptance above the target


class LatentModel(Protocol):
    """What samplers and estimators need of p(x, z) with prior N(0, I) on z."""

    latent_dim: int

    def log_joint(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x, z) for z (samples, batch, latent): (samples, batch)."""

    def d_log_joint(self, x: Tensor, z: Tensor) -> Tensor:
        """d log p(x, z) / dz for z (batch, latent): (batch, latent)."""

    def log_likelihood_pairs(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x_n|z_k) for z (k, latent): (k, batch)."""


class HMCState(NamedTuple):
    """Positions, with the log density and its gradient there."""

    z: Tensor  # (batch, latent)
    log_density: Tensor  # (batch,)
    gradient: Tensor  # (batch, latent)


def hmc_start(model: LatentModel, x: Tensor, z: Tensor) -> HMCState:
    return HMCState(z, model.log_joint(x, z[None])[0], model.d_log_joint(x, z))


def hmc_step(
    model: LatentModel,
    x: Tensor,
    state: HMCState,
    step_size: Tensor,
    leapfrogs: int,
    generator: torch.Generator,
) -> tuple[HMCState, Tensor]:
    """A proposal by `leapfrogs` steps with unit mass, and its Metropolis test.

    Returns the new state and each proposal's probability of acceptance, min(1, exp(-energy error)),
    of shape (batch,).
    """
    z, gradient = state.z, state.gradient
    start = torch.randn(z.shape, generator=generator, device=z.device)
    momentum = start + 0.5 * step_size * gradient
    for leapfrog in range(leapfrogs):
        z = z + step_size * momentum
        gradient = model.d_log_joint(x, z)
        last = leapfrog == leapfrogs - 1
        momentum = momentum + (0.5 if last else 1.0) * step_size * gradient
    log_density = model.log_joint(x, z[None])[0]
    kinetic_change = 0.5 * (momentum.square().sum(1) - start.square().sum(1))
    acceptance = torch.exp(log_density - state.log_density - kinetic_change).clamp(max=1.0)
    acceptance = acceptance.nan_to_num(nan=0.0)  # reject a trajectory that overflowed
    uniform = torch.rand(acceptance.shape, generator=generator, device=z.device)
    accepted = uniform < acceptance
    taken = accepted[:, None]
    new = HMCState(
        torch.where(taken, z, state.z),
        torch.where(accepted, log_density, state.log_density),
        torch.where(taken, gradient, state.gradient),
    )
    return new, acceptance


def adapt(step_size: Tensor, acceptance: Tensor) -> Tensor:
    """Robbins-Monro on the log step size: it grows while the acceptance is above `TARGET`.

    `acceptance` has the step size's shape; the caller averages it if need be.
    """
    return step_size * torch.exp(GAIN * (acceptance - TARGET))
