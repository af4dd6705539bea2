"""Binary images from grey ones, each pixel in [0, 1] read as the probability of a 1."""

import hashlib

import torch
from torch import Tensor


def static_binarise(x: Tensor, name: str) -> Tensor:
    """One fixed Bernoulli draw of the images x (N, visible), the same in every trial.

    `name` seeds it, e.g. "mnist/test": rows of one name are drawn in order, so the first thousand
    of a set are the same whether or not the others are drawn too.
    """
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:7], "big")
    uniform = torch.rand(x.shape, generator=torch.Generator().manual_seed(seed))
    return uniform.lt_(x.cpu()).to(x.device)
