"""Named parameters that live in one flat vector, with a gradient vector of the same layout."""

from math import prod

import torch
from torch import Tensor


class Parameters:
    """Views of `flat` and `gradient` by name, e.g. `p["W"]` and `p.grad["W"]`.

    Optimisers, priors and checkpoints see two vectors; models see matrices.
    """

    def __init__(
        self, shapes: dict[str, tuple[int, ...]], device: torch.device | str = "cpu"
    ) -> None:
        self.shapes = shapes
        size = sum(prod(shape) for shape in shapes.values())
        self._lie_in(torch.zeros(size, device=device), torch.zeros(size, device=device))

    def _lie_in(self, flat: Tensor, gradient: Tensor) -> None:
        self.flat, self.gradient = flat, gradient
        self._values, self.grad = self._views(flat), self._views(gradient)

    def _views(self, vector: Tensor) -> dict[str, Tensor]:
        parts = vector.split([prod(shape) for shape in self.shapes.values()])
        return {
            name: part.view(shape)
            for (name, shape), part in zip(self.shapes.items(), parts, strict=True)
        }

    def __getitem__(self, name: str) -> Tensor:
        return self._values[name]


def adjoin(*parts: Parameters) -> tuple[Tensor, Tensor]:
    """Lay several parameter sets end to end in one (flat, gradient) pair and return the pair.

    An optimiser then passes over all of them at once; each part keeps its own views.
    """
    flat = torch.cat([part.flat for part in parts])
    gradient = torch.cat([part.gradient for part in parts])
    sizes = [len(part.flat) for part in parts]
    for part, values, grad in zip(parts, flat.split(sizes), gradient.split(sizes), strict=True):
        part._lie_in(values, grad)
    return flat, gradient
