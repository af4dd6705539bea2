"""k nearest neighbours among training images, by the distance sum_i |x_i - y_i|^p."""

import torch
from torch import Tensor

from dgm.errors import BadInput

ROWS = 256  # training images that stay in a core's cache while all queries pass
QUERIES = 100


def neighbours(train: Tensor, x: Tensor, k: int, power: int = 2) -> Tensor:
    """The indices of the k nearest rows of `train` for each row of x, the nearest first: (n, k)."""
    if k > len(train):
        raise BadInput(f"{k} neighbours among {len(train)} images")
    found = [_distances(train, part, power).topk(k, largest=False)[1] for part in x.split(QUERIES)]
    return torch.cat(found)


def _distances(train: Tensor, x: Tensor, power: int) -> Tensor:
    """(n, N); where p = 2 without |x_i|^2, which is the same for all of a row."""
    if power == 2:
        return torch.addmm(train.square().sum(1), x, train.t(), alpha=-2)
    out = x.new_empty(len(x), len(train))
    for first in range(0, len(train), ROWS):
        block = train[first : first + ROWS]
        difference, product = torch.empty_like(block), torch.empty_like(block)
        for i, row in enumerate(x):
            torch.sub(block, row, out=difference).abs_()
            product.copy_(difference)
            for _ in range(power - 1):
                product.mul_(difference)
            torch.sum(product, 1, out=out[i, first : first + len(block)])
    return out


def vote(labels: Tensor, classes: int) -> Tensor:
    """The most frequent label in each row of neighbours' labels (n, k); of equals, the smallest."""
    counts = torch.stack([(labels == label).sum(1) for label in range(classes)], 1)
    return counts.argmax(1)


def classify(train: Tensor, labels: Tensor, x: Tensor, k: int = 3) -> Tensor:
    """The label of the majority of the k nearest rows of `train`, for each row of x: (n,).

    By Euclidean distance. This is the judge of generated digits.
    """
    near = neighbours(train.to(x.device), x, k)
    return vote(labels.cpu()[near.cpu()], int(labels.max()) + 1)


def nearest_distance(train: Tensor, x: Tensor) -> Tensor:
    """The Euclidean distance of each row of x to the nearest of `train`, (n,)."""
    squares = [
        _distances(train, part, 2).amin(1) + part.square().sum(1) for part in x.split(QUERIES)
    ]
    return torch.cat(squares).clamp(min=0).sqrt()
