"""Which modes of a mixture samples reach, and how many of them lie at a mode."""

from typing import NamedTuple

import torch
from torch import Tensor

WITHIN = 3.0  # standard deviations of a mode that count as at it
FAIR = 0.2  # of the samples that a mode would get in proportion to its weight: enough to count


class Reached(NamedTuple):
    """What samples say of the modes."""

    modes: int  # that have a fifth of their fair share of the samples at them, or more
    touched: int  # that have one sample at them, or more
    quality: float  # the share of the samples that lie at a mode
    counts: Tensor  # samples at each mode, (k,)


def reached(
    x: Tensor, weights: Tensor, means: Tensor, stds: Tensor, within: float = WITHIN
) -> Reached:
    """Of samples (n, d), where each mode k is a round Gaussian of weight w_k.

    A sample belongs to the nearest mode, and lies at it within so many standard deviations.
    """
    distance, nearest = (torch.cdist(x.to(means), means) / stds).min(1)
    counts = torch.bincount(nearest[distance <= within], minlength=len(means))
    modes = int((counts >= FAIR * weights * len(x)).sum())
    return Reached(modes, int((counts > 0).sum()), counts.sum().item() / len(x), counts)
