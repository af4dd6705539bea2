"""The steps at which a curve is evaluated."""

import numpy as np


def log_spaced(first: int, last: int, n: int) -> list[int]:
    """Up to `n` whole numbers in equal ratios from `first` (1 or more) to `last`, both included.

    With n = 1 it is `last` alone.
    """
    if n == 1:
        return [last]
    return np.unique(np.geomspace(min(max(first, 1), last), last, n).round().astype(int)).tolist()
