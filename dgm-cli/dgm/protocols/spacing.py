"""The steps at which a curve is evaluated, and temperatures that rise."""

import itertools

import numpy as np


def log_spaced(first: int, last: int, n: int) -> list[int]:
    """Up to `n` whole numbers in equal ratios from `first` (1 or more) to `last`, both included.

    With n = 1 it is `last` alone.
    """
    if n == 1:
        return [last]
    return np.unique(np.geomspace(min(max(first, 1), last), last, n).round().astype(int)).tolist()


def rising(parts: list[tuple[int, float, float]]) -> bool:
    """Whether the betas of these parts (number, from, to) begin at 0 and never fall, up to 1."""
    ends = [
        beta for n, start, end in parts for beta in (start, start + (end - start) * (n - 1) / n)
    ]
    return ends[0] == 0 and all(low <= high for low, high in itertools.pairwise([*ends, 1.0]))
