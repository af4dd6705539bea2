"""Principal components: the linear code with the least squared error (Pearson 1901)."""

import torch
from torch import Tensor

from dgm.errors import BadInput


class PCA:
    """x ~ mean + code components, with orthonormal components (code, visible) of falling variance.

    `fit` takes those from the eigenvectors of the covariance, in double precision.
    """

    def __init__(self, visible: int, code: int, device: torch.device | str = "cpu") -> None:
        if not 0 < code <= visible:
            raise BadInput(f"{code} components of {visible} pixels")
        self.config = {"visible": visible, "code": code}
        self.mean = torch.zeros(visible, device=device)
        self.components = torch.zeros(code, visible, device=device)

    def fit(self, x: Tensor) -> None:
        """Of images (N, visible)."""
        wide = x.double()
        centred = wide - wide.mean(0)
        _, vectors = torch.linalg.eigh(centred.t() @ centred)  # eigenvalues rise
        self.mean.copy_(wide.mean(0))
        self.components.copy_(vectors[:, -len(self.components) :].flip(1).t())

    def encode(self, x: Tensor) -> Tensor:
        """Codes (n, code)."""
        return (x - self.mean) @ self.components.t()

    def reconstruct(self, x: Tensor) -> Tensor:
        """The nearest points of the plane, (n, visible)."""
        return self.mean + self.encode(x) @ self.components

    def state_dict(self) -> dict[str, Tensor]:
        return {"mean": self.mean, "components": self.components}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.mean.copy_(state["mean"])
        self.components.copy_(state["components"])
