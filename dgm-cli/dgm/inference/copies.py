"""Whether generated images are copies of training images.

A sample counts as a copy where it is nearer to a training image than that image is to its nearest
neighbour among the other training images. Fresh images of the same kind count at some rate too, so
a share tells something beside that of test images alone.
"""

from torch import Tensor

from dgm.models.neighbours import neighbours


def nearest(train: Tensor, x: Tensor) -> Tensor:
    """The row of `train` (N, d) nearest to each row of x (n, d), (n,)."""
    return neighbours(train, x, 1)[:, 0]


def share_of_copies(train: Tensor, x: Tensor) -> float:
    """Of the rows of x (n, d), those nearer to a row of `train` than that is to any other."""
    near = train[nearest(train, x)]
    other = train[neighbours(train, near, 2)[:, 1]]  # the first is the image itself
    closer = (x - near).square().sum(1) < (near - other).square().sum(1)
    return closer.double().mean().item()
