"""Principal components: the linear code with the least squared error (Pearson 1901)."""

import torch
from torch import Tensor

from dgm.errors import BadInput
from dgm.state import State


class PCA(State):
    """x ~ mean + code components, with orthonormal components (code, visible) of falling variance.

    `fit` finds them as eigenvectors of the covariance, in double precision.
    """

    saved = ("mean", "components")

    def __init__(self, visible: int, code: int, device: torch.device | str = "cpu") -> None:
        if not 0 < code <= visible:
            raise BadInput(f"{code} components of {visible} pixels")
        self.config = {"visible": visible, "code": code}
        self.mean = torch.zeros(visible, device=device)
        self.components = torch.zeros(code, visible, device=device)

    def fit(self, x: Tensor) -> None:
        """To images (N, visible)."""
        wide = x.double()
        centred = wide - wide.mean(0)
        _, vectors = torch.linalg.eigh(centred.t() @ centred)  # eigenvalues rise
        self.mean.copy_(wide.mean(0))
        self.components.copy_(vectors[:, -len(self.components) :].flip(1).t())

    def encode(self, x: Tensor) -> Tensor:
        """Codes (n, code)."""
        return (x - self.mean) @ self.components.t()

    def reconstruct(self, x: Tensor) -> Tensor:
        """The nearest points of the subspace, (n, visible)."""
        return self.mean + self.encode(x) @ self.components
