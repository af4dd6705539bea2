"""Random draws that models, data and samplers share."""

import torch
from torch import Tensor

from dgm.passes import below


def bernoulli(probability: Tensor, generator: torch.Generator) -> Tensor:
    """A fresh draw of zeros and ones with these probabilities, of their shape.

    On a CPU the probabilities are rounded to multiples of 2^-16: four draws then share one
    64-bit random number, which makes this faster than `torch.rand(...) < probability`.
    """
    if probability.device.type != "cpu":
        uniform = torch.rand(probability.shape, generator=generator, device=probability.device)
        return uniform.lt_(probability)
    words = torch.empty((probability.numel() + 3) // 4, dtype=torch.int64)
    words.random_(-(2**63), None, generator=generator)
    integers = words.view(torch.int16)[: probability.numel()]
    return below(integers, probability)
