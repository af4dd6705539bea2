"""How good a ranking is: the mean gain of the first k retrieved, for several k."""

from collections.abc import Sequence

import torch
from torch import Tensor

from dgm.errors import BadInput


def mean_gains(scores: Tensor, gains: Tensor, own: Tensor, cutoffs: Sequence[int]) -> Tensor:
    """The mean gain of the k documents with the highest scores, for each query: (queries, cutoffs).

    `scores` and `gains` are (queries, documents). Query i is document own[i], which is left out.
    With gains of 1 for relevant documents and 0 for others this is the precision at k. Equal scores
    stand in random order; the expectation over these orders is returned, so that nothing depends on
    the order of the documents.
    """
    documents = scores.shape[1]
    if not 0 < cutoffs[0] <= cutoffs[-1] < documents:
        raise BadInput(f"cutoffs {list(cutoffs)}: a query has {documents - 1} other documents")
    rows = torch.arange(len(own), device=own.device)
    scores = scores.clone()
    scores[rows, own] = -torch.inf
    falling, order = scores.sort(dim=1, descending=True)
    sums = torch.nn.functional.pad(gains.double().gather(1, order).cumsum(1), (1, 0))
    columns = []
    for k in cutoffs:
        last = falling[:, k - 1 : k]
        above = (falling > last).sum(1)  # documents that are in for certain
        upto = (falling >= last).sum(1)  # with those of the same score as the k-th
        certain, all_in = sums[rows, above], sums[rows, upto]
        columns.append(certain + (all_in - certain) * (k - above) / (upto - above))
    return torch.stack(columns, 1) / torch.tensor(cutoffs, device=own.device)
