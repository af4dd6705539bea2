"""Named parameters that share one flat vector, with a gradient vector of the same layout."""

from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor

from dgm.state import State


@dataclass(eq=False)
class Vectors:
    """All parameters end to end, and the gradient likewise: what optimisers and checkpoints see."""

    flat: Tensor
    gradient: Tensor


class Parameters(Vectors):
    """Views of `flat` and `gradient` by name, e.g. `p["W"]` and `p.grad["W"]`: what models see."""

    def __init__(
        self, shapes: dict[str, tuple[int, ...]], device: torch.device | str = "cpu"
    ) -> None:
        self.shapes = shapes
        size = sum(prod(shape) for shape in shapes.values())
        self.place_in(torch.zeros(size, device=device), torch.zeros(size, device=device))

    def place_in(self, flat: Tensor, gradient: Tensor) -> None:
        """From now on the parameters are these vectors."""
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


def concatenate(*parts: Parameters) -> Vectors:
    """Place several parameter sets end to end in one pair of vectors, and return the pair.

    An optimiser then updates all of them in one pass; each part keeps its own views.
    """
    whole = Vectors(
        torch.cat([part.flat for part in parts]), torch.cat([part.gradient for part in parts])
    )
    sizes = [len(part.flat) for part in parts]
    views = zip(whole.flat.split(sizes), whole.gradient.split(sizes), strict=True)
    for part, (flat, gradient) in zip(parts, views, strict=True):
        part.place_in(flat, gradient)
    return whole


class FlatModel(State):
    """A model whose parameters are one vector; `config` holds its constructor's arguments."""

    config: dict[str, Any]
    parameters: Vectors

    @property
    def flat(self) -> Tensor:
        return self.parameters.flat

    @property
    def gradient(self) -> Tensor:
        return self.parameters.gradient

    def state_dict(self) -> dict[str, Any]:
        return {"parameters": self.flat}
