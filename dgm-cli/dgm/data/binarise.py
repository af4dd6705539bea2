"""Binary images from grey ones, each pixel in [0, 1] read as the probability of a 1."""

import hashlib
from typing import Literal

import torch
from torch import Tensor

from dgm.errors import BadInput

Binarization = Literal["none", "static", "dynamic"]


def static_binarise(x: Tensor, name: str) -> Tensor:
    """One fixed Bernoulli draw of the images x (N, visible), the same in every trial.

    `name` seeds it, e.g. "mnist/test": rows of one name are drawn in order, so the first thousand
    of a set are the same whether or not the others are drawn too.
    """
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:7], "big")
    uniform = torch.rand(x.shape, generator=torch.Generator().manual_seed(seed))
    return uniform.lt_(x.cpu()).to(x.device)


def binarise(x: Tensor, name: str, how: Binarization, training: bool) -> Tensor:
    """The images as a Bernoulli decoder is trained or evaluated on them.

    none: as they are; static: one fixed draw; dynamic: drawn at each visit in training, which
    `Minibatches` does, and evaluated on the fixed draw. BadInput when a pixel is no probability.
    """
    low, high = x.min().item(), x.max().item()
    if not (low >= 0 and high <= 1):
        raise BadInput(
            f"{name}: pixels from {low:g} to {high:g}; a Bernoulli decoder needs them in [0, 1]"
        )
    drawn = how == "static" or (how == "dynamic" and not training)
    return static_binarise(x, name) if drawn else x
