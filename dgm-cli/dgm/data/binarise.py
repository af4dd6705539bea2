"""Binary images from grey ones: each pixel in [0, 1] is the probability of a 1."""

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from dgm.errors import BadInput

if TYPE_CHECKING:
    from torch import Tensor

Binarization = Literal["none", "static", "dynamic"]


def static_binarise(x: "Tensor", name: str) -> "Tensor":
    """One fixed Bernoulli draw of the images x (N, visible), the same in every trial.

    `name` is the seed, e.g. "mnist/test". Rows are drawn in order, so the first thousand images of
    a set come out the same whether or not the others are drawn too.
    """
    import torch

    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:7], "big")
    uniform = torch.rand(x.shape, generator=torch.Generator().manual_seed(seed))
    return uniform.lt_(x.cpu()).to(x.device)


def binarise(
    name: str, how: Binarization, train: "Tensor", evaluated: "Mapping[str, Tensor]"
) -> "tuple[Tensor, dict[str, Tensor]]":
    """The images that a Bernoulli decoder learns from, and those of each split it is evaluated on.

    none: as they are. static: one fixed draw. dynamic: the fixed draw to evaluate on, while
    training images stay grey and `Minibatches` draws them at each visit. `name` is the data set's.
    BadInput when a pixel is not a probability.
    """
    check_pixels(name, {"train": train, **evaluated})
    if how == "none":
        return train, dict(evaluated)
    drawn = {split: static_binarise(x, f"{name}/{split}") for split, x in evaluated.items()}
    return static_binarise(train, f"{name}/train") if how == "static" else train, drawn


def check_pixels(name: str, images: "Mapping[str, Tensor]") -> None:
    """BadInput where a split of a data set has a pixel outside [0, 1]."""
    for split, x in images.items():
        low, high = x.min().item(), x.max().item()
        if not (low >= 0 and high <= 1):
            raise BadInput(f"{name}/{split}: pixels from {low:g} to {high:g}, not in [0, 1]")
