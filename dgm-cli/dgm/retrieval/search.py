"""The nearest documents of every document, at a small part of the cost of comparing all pairs.

Cosines between unit codes q, d are products of a few numbers each; all pairs of 400,000 documents
are 0.16 trillion. Three things make that quick, and none of them changes the result:

- Documents lie in memory by cluster, a cluster small enough for the nearest cache, and a group of
  queries of one cluster passes over it while it is there.
- Clusters are visited from the queries' own outwards, so that the k-th best cosine so far, below
  which a document is dropped after one comparison, is nearly final after the first few.
- Of a cluster with centre c whose documents are within an angle r of it, no cosine is above
  cos(max(0, angle(q, c) - r)): where that is below the k-th best so far, it is skipped whole.

Cosines are those of single precision. Documents whose cosines to a query differ by less than
`ROUNDING` may stand in either order; the search is for codes that point in many directions, not for
nearly parallel ones. Equal cosines are ranked by document number, the lower first.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from dgm.retrieval.kernel import CHUNK, DOCUMENT, room_for, search
from dgm.state import State

GROUP = 64  # queries that pass over a cluster one after another
ROUNDING = 1e-6  # of a cosine
ROUNDS = 4  # of k-means


class Index(NamedTuple):
    """Unit codes sorted into clusters; a cluster's places are filled up to whole chunks."""

    codes: np.ndarray  # (places / CHUNK, dimensions, CHUNK), single precision
    documents: np.ndarray  # (places,): the number of the document there, -1 where none is
    starts: np.ndarray  # (clusters + 1,): first place of each cluster, and the end
    centres: np.ndarray  # (clusters, dimensions), of length 1
    cos_radius: np.ndarray  # (clusters,): of the largest angle of a document to the centre
    near: np.ndarray  # (clusters, clusters): clusters by falling cosine of their centres

    @property
    def clusters(self) -> int:
        return len(self.centres)


def unit(codes: Tensor) -> Tensor:
    """Codes (N, dimensions) at length 1; a code of length 0 stays so, and its cosines are all 0."""
    largest = codes.abs().amax(1, keepdim=True)  # divided by first, or squares may leave the range
    codes = codes / largest.masked_fill(largest == 0, 1.0)
    return codes / codes.norm(dim=1, keepdim=True).clamp_min(1.0)


def build(codes: Tensor, size: int = 800, seed: int = 0) -> Index:
    """Sort codes (N, dimensions) into clusters of about `size` by k-means on the sphere.

    Equal cosines go by document number: shuffle the documents first where numbers depend on topics.
    """
    if not len(codes):
        raise ValueError("no codes")
    if not torch.isfinite(codes).all():
        raise ValueError("codes are not finite")
    x = unit(codes).float()
    generator = torch.Generator().manual_seed(seed)
    clusters = max(1, len(x) // size)
    centres = x[torch.randperm(len(x), generator=generator)[:clusters]].clone()
    for _ in range(ROUNDS):
        of = _nearest_centre(x, centres)
        sums = torch.zeros_like(centres).index_add_(0, of, x)
        filled = sums.norm(dim=1) > 0
        centres[filled] = unit(sums[filled])
    of = _nearest_centre(x, centres)

    order = torch.argsort(of, stable=True)
    counts = torch.bincount(of, minlength=clusters)
    padded = (counts + CHUNK - 1) // CHUNK * CHUNK
    starts = torch.cat([torch.zeros(1, dtype=torch.long), padded.cumsum(0)])
    within = torch.arange(len(x)) - (counts.cumsum(0) - counts)[of[order]]
    places = starts[:-1][of[order]] + within
    documents = torch.full((int(starts[-1]),), -1, dtype=torch.int32)
    documents[places] = order.int()
    laid = torch.zeros(int(starts[-1]) // CHUNK, x.shape[1], CHUNK)
    laid[places // CHUNK, :, places % CHUNK] = x[order]
    cosine = (x * centres[of]).sum(1)
    radius = torch.full((clusters,), 1.0).scatter_reduce_(0, of, cosine, "amin")
    radius -= ROUNDING  # otherwise a cluster of nearly equal codes would have none
    near = (centres @ centres.t()).argsort(dim=1, descending=True, stable=True).int()
    arrays = (laid, documents, starts, centres, radius, near)
    return Index(*(array.contiguous().numpy() for array in arrays))


def _nearest_centre(x: Tensor, centres: Tensor) -> Tensor:
    return torch.cat([(part @ centres.t()).argmax(1) for part in x.split(20_000)])


def nearest(index: Index, cluster: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The documents of a cluster (n,), and the k nearest to each, the nearest first (n, k).

    A document is not among its own nearest.
    """
    documents = int((index.documents >= 0).sum())
    if not 1 <= k < documents:
        raise ValueError(
            f"the {k} nearest: each of {documents} documents has {documents - 1} others"
        )
    room, number = room_for(k), (0,) * index.codes.shape[1]
    places = np.arange(index.starts[cluster], index.starts[cluster + 1])
    places = places[index.documents[places] >= 0]
    found = np.empty((len(places), k), np.int32)
    keys = np.empty((GROUP, room), np.int64)
    for first in range(0, len(places), GROUP):
        group = places[first : first + GROUP]
        search(*index[:-1], index.near[cluster], group, number, k, keys[: len(group)])
        best = np.partition(keys[: len(group)], room - k, axis=1)[:, room - k :]
        best.sort(axis=1)
        found[first : first + GROUP] = DOCUMENT - (best[:, ::-1] & DOCUMENT)
    return index.documents[places], found


def hits(
    classes: np.ndarray, queries: np.ndarray, found: np.ndarray, cutoffs: Sequence[int]
) -> Tensor:
    """How many of the first k of `found` (queries, last cutoff) are of the query's class, summed
    over queries: (cutoffs,)."""
    by_rank = (classes[found] == classes[queries][:, None]).sum(0)
    return torch.from_numpy(by_rank).cumsum(0)[torch.tensor(cutoffs) - 1]


class Hits(State):
    """How many of the first k retrieved are of the query's class, summed over queries.

    `add` takes the documents of one cluster as queries; `sums` is (cutoffs,).
    """

    saved = ("sums", "queries")

    def __init__(self, index: Index, classes: np.ndarray, cutoffs: Sequence[int]) -> None:
        self.index, self.classes, self.cutoffs = index, classes, cutoffs
        self.sums = torch.zeros(len(cutoffs), dtype=torch.int64)
        self.queries = torch.zeros((), dtype=torch.int64)

    def add(self, cluster: int) -> None:
        queries, found = nearest(self.index, cluster, self.cutoffs[-1])
        self.sums += hits(self.classes, queries, found, self.cutoffs)
        self.queries += len(queries)
