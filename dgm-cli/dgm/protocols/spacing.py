"""At which steps a curve is looked at."""

import numpy as np


def log_spaced(first: int, last: int, n: int) -> list[int]:
    """Up to `n` whole numbers in equal ratios, the ends `first` (1 or more) and `last` included.

    A single one is the last.
    """
    if n == 1:
        return [last]
    return np.unique(np.geomspace(min(max(first, 1), last), last, n).round().astype(int)).tolist()
