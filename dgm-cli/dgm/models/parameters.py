"""Named parameters that live in one flat vector, with a gradient vector of the same layout."""

from math import prod

import torch
from torch import Tensor


class Parameters:
    """Views of `flat` and `gradient` by name, e.g. `p["weight"]` and `p.grad["weight"]`.

    Optimisers, priors and checkpoints see two vectors; models see matrices.
    """

    def __init__(self, shapes: dict[str, tuple[int, ...]], device: torch.device | str) -> None:
        sizes = [prod(shape) for shape in shapes.values()]
        self.flat = torch.zeros(sum(sizes), device=device)
        self.gradient = torch.zeros_like(self.flat)
        self._values = self._split(self.flat, shapes, sizes)
        self.grad = self._split(self.gradient, shapes, sizes)

    @staticmethod
    def _split(
        flat: Tensor, shapes: dict[str, tuple[int, ...]], sizes: list[int]
    ) -> dict[str, Tensor]:
        parts = flat.split(sizes)
        return {
            name: part.view(shape)
            for (name, shape), part in zip(shapes.items(), parts, strict=True)
        }

    def __getitem__(self, name: str) -> Tensor:
        return self._values[name]

    def initialise(self, std: float, generator: torch.Generator) -> None:
        """Draw every parameter from N(0, std^2)."""
        self.flat.normal_(0.0, std, generator=generator)
