"""k-means by Lloyd's algorithm (1982)."""

from torch import Tensor

from dgm.models.neighbours import neighbours


def lloyd(x: Tensor, centres: Tensor) -> Tensor:
    """One pass: the mean of the rows of x (n, d) nearest to each centre, (k, d).

    A centre that no row is nearest to stays.
    """
    nearest = neighbours(centres, x, 1)[:, 0]
    sums = centres.new_zeros(centres.shape).index_add_(0, nearest, x)
    counts = nearest.bincount(minlength=len(centres))[:, None]
    return sums.div_(counts.clamp(min=1)).where(counts > 0, centres)
