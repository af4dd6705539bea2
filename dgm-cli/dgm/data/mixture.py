"""Mixtures of Gaussians: data whose density is known, so that nothing has to be estimated."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from dgm.errors import BadInput

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class Mixture:
    """p(x) = sum_k weights_k N(x; means_k, covariances_k), in double precision."""

    name: str
    weights: "Tensor"  # (k,), their sum is 1
    means: "Tensor"  # (k, d)
    covariances: "Tensor"  # (k, d, d)

    @property
    def sizes(self) -> str:
        k, d = self.means.shape
        return f"{k} Gaussian{'s' * (k != 1)} in {d} dimension{'s' * (d != 1)}"

    @cached_property
    def _factors(self) -> "Tensor":
        import torch

        return torch.linalg.cholesky(self.covariances)

    def to(self, device: "torch.device | str") -> "Mixture":
        """The same density on a device."""
        tensors = (t.to(device) for t in (self.weights, self.means, self.covariances))
        return Mixture(self.name, *tensors)

    def sample(self, n: int, generator: "torch.Generator") -> "Tensor":
        """n independent draws, (n, d)."""
        import torch

        means, device = self.means, self.means.device
        k = torch.multinomial(self.weights, n, replacement=True, generator=generator)
        noise = torch.randn(
            n, means.shape[1], dtype=means.dtype, device=device, generator=generator
        )
        return means[k] + (self._factors[k] @ noise[:, :, None])[:, :, 0]

    def log_density(self, x: "Tensor") -> "Tensor":
        """log p(x) of points (n, d), (n,)."""
        import torch

        centred = (x[:, None, :] - self.means)[..., None]  # (n, k, d, 1)
        white = torch.linalg.solve_triangular(self._factors, centred, upper=False)[..., 0]
        log_det = self._factors.diagonal(dim1=1, dim2=2).log().sum(1)
        constant = 0.5 * x.shape[1] * math.log(2 * math.pi)
        log_p = self.weights.log() - 0.5 * white.square().sum(2) - log_det - constant
        return log_p.logsumexp(1)


def mixture(
    name: str,
    weights: Sequence[float],
    means: Sequence[Sequence[float]],
    covariances: Sequence[Sequence[Sequence[float]]],
) -> Mixture:
    """A mixture of these numbers; BadInput unless they describe one."""
    import torch

    if not len(weights) == len(means) == len(covariances) > 0:
        raise BadInput(f"{name}: as many weights as means and covariances, and one at least")
    if min(weights) <= 0 or abs(sum(weights) - 1) > 1e-9:
        raise BadInput(f"{name}: weights {list(weights)}: should be above 0 and sum to 1")
    tensors = (torch.tensor(each, dtype=torch.float64) for each in (weights, means, covariances))
    found = Mixture(name, *tensors)
    symmetric = torch.equal(found.covariances, found.covariances.mT)
    if not symmetric or found.covariances.shape[1:] != 2 * found.means.shape[1:]:
        raise BadInput(f"{name}: covariances: should be symmetric, and as wide as the means")
    if torch.linalg.eigvalsh(found.covariances).min() <= 0:
        raise BadInput(f"{name}: covariances: should be positive definite")
    return found


def ring(name: str, modes: int, radius: float, std: float) -> Mixture:
    """`modes` equal Gaussians of this standard deviation, evenly spaced on a circle."""
    for what, value in (("modes", modes), ("radius", radius), ("std", std)):
        if value <= 0:
            raise BadInput(f"{name}: {what} {value}: should be above 0")
    turns = [2 * math.pi * k / modes for k in range(modes)]
    means = [[radius * math.cos(turn), radius * math.sin(turn)] for turn in turns]
    return mixture(name, [1 / modes] * modes, means, [[[std**2, 0.0], [0.0, std**2]]] * modes)
