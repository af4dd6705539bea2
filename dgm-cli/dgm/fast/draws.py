"""Random draws that models, data and samplers share."""

import numpy as np
import torch
from torch import Tensor

from dgm.fast.loops import less_than, random_words


def bernoulli(probability: Tensor, generator: torch.Generator) -> Tensor:
    """A fresh draw of zeros and ones with these probabilities, of their shape.

    On a CPU the probabilities are rounded to multiples of 2^-16: four draws then share one word of
    64 bits, and the generator gives only the seed of all words. That is several times faster than
    `torch.rand(...) < probability`.
    """
    if probability.device.type != "cpu":
        uniform = torch.rand(probability.shape, generator=generator, device=probability.device)
        return uniform.lt_(probability)
    words = random_words(seed_of(generator), (probability.numel() + 3) // 4)
    return less_than(words.view(np.int16), probability)


def seed_of(generator: torch.Generator) -> int:
    """64 random bits, signed, of a generator on the CPU: the seed of many draws."""
    drawn = torch.empty(1, dtype=torch.int64).random_(-(2**63), None, generator=generator)
    return int(drawn.item())
