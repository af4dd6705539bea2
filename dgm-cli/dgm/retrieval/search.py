"""The nearest documents of every document, exactly, at a small part of the comparisons' cost.

Cosines between unit codes q, d are products of a few numbers each; all pairs of 400,000 documents
are 0.16 trillion. Three things make that quick, and none of them changes the result:

- Documents lie in memory by cluster, a cluster small enough for the nearest cache, and a group of
  queries of one cluster passes over it while it is there.
- Clusters are visited from the queries' own outwards, so that the k-th best cosine so far, below
  which a document is dropped after one comparison, is nearly final after the first few.
- Of a cluster with centre c whose documents are within an angle r of it, no cosine is above
  cos(max(0, angle(q, c) - r)): where that is below the k-th best so far, it is skipped whole.

Equal cosines are ranked by document number, the lower first.
"""

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from dgm.state import State

CHUNK = 32  # documents whose cosines are compared with the threshold at once
GROUP = 64  # queries that pass over a cluster one after another
DOCUMENT = 2**31 - 1  # the bits of a key that tell the document
LOWEST = -(2**63)  # a key that is none
ROUNDING = 1e-6  # of a cosine
SLACK = 1e-5  # on bounds of cosines, for rounding in single precision


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
    """Codes (N, dimensions) at length 1; one of length 0 stays there, its cosines all 0."""
    largest = codes.abs().amax(1, keepdim=True)  # whose square may be too large or small a number
    codes = codes / largest.masked_fill(largest == 0, 1.0)
    return codes / codes.norm(dim=1, keepdim=True).clamp_min(1.0)


def build(codes: Tensor, size: int = 800, rounds: int = 4, seed: int = 0) -> Index:
    """Sort codes (N, dimensions) into clusters of about `size` by k-means on the sphere.

    Equal cosines go by document number: where numbers tell of topics, shuffle documents first.
    """
    if not len(codes):
        raise ValueError("no codes")
    if not torch.isfinite(codes).all():
        raise ValueError("codes are not finite")
    x = unit(codes).float()
    generator = torch.Generator().manual_seed(seed)
    clusters = max(1, len(x) // size)
    centres = x[torch.randperm(len(x), generator=generator)[:clusters]].clone()
    for _ in range(rounds):
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
    radius -= ROUNDING  # or else a cluster of nearly equal codes would have none
    near = (centres @ centres.t()).argsort(dim=1, descending=True, stable=True).int()
    arrays = (laid, documents, starts, centres, radius, near)
    return Index(*(array.contiguous().numpy() for array in arrays))


def _nearest_centre(x: Tensor, centres: Tensor) -> Tensor:
    return torch.cat([(part @ centres.t()).argmax(1) for part in x.split(20_000)])


def nearest(index: Index, cluster: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The documents of a cluster (n,), and of each the k nearest to it, the nearest first (n, k).

    A document is not among its own.
    """
    documents = int((index.documents >= 0).sum())
    if not 1 <= k < documents:
        raise ValueError(
            f"the {k} nearest: each of {documents} documents has {documents - 1} others"
        )
    search, room = _kernel(index.codes.shape[1], k)
    places = np.arange(index.starts[cluster], index.starts[cluster + 1])
    places = places[index.documents[places] >= 0]
    found = np.empty((len(places), k), np.int32)
    keys = np.empty((GROUP, room), np.int64)
    for first in range(0, len(places), GROUP):
        group = places[first : first + GROUP]
        search(*index[:-1], index.near[cluster], group, keys)
        best = np.partition(keys[: len(group)], room - k, axis=1)[:, room - k :]
        best.sort(axis=1)
        found[first : first + GROUP] = DOCUMENT - (best[:, ::-1] & DOCUMENT)
    return index.documents[places], found


def hits(
    classes: np.ndarray, queries: np.ndarray, found: np.ndarray, cutoffs: Sequence[int]
) -> Tensor:
    """Of the first k of `found` (queries, last cutoff), how many are of the query's class."""
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


@cache
def _kernel(dimensions: int, k: int) -> tuple[Callable[..., None], int]:
    """The search of a group of queries, and the candidates that it has room for.

    It is compiled for codes of so many numbers, which its inner loop is unrolled for. A candidate's
    key is a whole number: of two the larger has the higher cosine, or it and a lower document.
    """
    from numba import njit

    room = 4 * k + CHUNK
    one: Any = np.float32(1.0)

    @njit(nogil=True)
    def select(keys: Any, n: int, k: int) -> None:
        """Put the k largest of the first n keys first. Quickselect, without a branch that could be
        mistaken in its inner loop; no two keys are equal."""
        left, right = 0, n
        while right - left > 1:
            a, b, c = left, (left + right) // 2, right - 1
            if keys[a] > keys[b]:
                a, b = b, a
            if keys[b] > keys[c]:
                b = c
            if keys[a] > keys[b]:
                b = a
            pivot = keys[b]  # the median of three
            keys[b] = keys[right - 1]
            middle = left
            for i in range(left, right - 1):
                key = keys[i]
                keys[i] = keys[middle]
                keys[middle] = key
                middle += key > pivot
            keys[right - 1], keys[middle] = keys[middle], pivot
            if middle > k:
                right = middle
            elif middle < k - 1:
                left = middle + 1
            else:
                return

    @njit(nogil=True)
    def cosine_of(key: Any, cosine: Any, as_bits: Any) -> Any:
        """The cosine that a key was made from."""
        bits = key >> 32
        if bits < 0:
            bits = np.int64(-2147483648) - bits
        as_bits[0] = np.int32(bits)
        return cosine[0]

    @njit(nogil=True)
    def cut(keys: Any, n: int, cosine: Any, as_bits: Any) -> Any:
        """Put the k largest of the first n keys first; the cosine of the least of them."""
        select(keys, n, k)
        lowest = keys[0]
        for j in range(k):
            lowest = min(lowest, keys[j])
        return cosine_of(lowest, cosine, as_bits)

    @njit(nogil=True, fastmath=True, error_model="numpy")
    def search(
        codes: Any,
        documents: Any,
        starts: Any,
        centres: Any,
        cos_radius: Any,
        near: Any,
        places: Any,
        keys: Any,
    ) -> None:
        queries = len(places)
        q = np.empty((queries, dimensions), np.float32)
        held = np.zeros(queries, np.int64)
        least = np.full(queries, np.float32(-2.0))
        cosine = np.empty(CHUNK, np.float32)
        as_bits = cosine.view(np.int32)
        for i in range(queries):
            for d in range(dimensions):
                q[i, d] = codes[places[i] // CHUNK, d, places[i] % CHUNK]
        for cluster in near:
            to = cos_radius[cluster]
            sin_radius = math.sqrt(max(0.0, one - to * to))
            for i in range(queries):
                along = np.float32(0.0)
                for d in range(dimensions):
                    along += q[i, d] * centres[cluster, d]
                bound = one
                if along < to:
                    bound = along * to + math.sqrt(max(0.0, one - along * along)) * sin_radius
                if bound + SLACK < least[i]:
                    continue
                own = documents[places[i]]
                query, mine = q[i], keys[i]
                threshold = least[i]
                reached = threshold - np.float32(SLACK)
                n = held[i]
                for c in range(starts[cluster] // CHUNK, starts[cluster + 1] // CHUNK):
                    chunk = codes[c]
                    some = False
                    for j in range(CHUNK):
                        product = np.float32(0.0)
                        for d in range(dimensions):
                            product += query[d] * chunk[d, j]
                        some |= product >= reached
                    if not some:
                        continue
                    for j in range(CHUNK):
                        product = np.float32(0.0)
                        for d in range(dimensions):
                            product += query[d] * chunk[d, j]
                        cosine[j] = product
                    for j in range(CHUNK):
                        document = documents[CHUNK * c + j]
                        # Whole numbers in the order of the cosines, then of the documents. Each is
                        # written, and stays if it is one of those: no branch to be mistaken about.
                        bits = np.int64(as_bits[j])
                        bits = bits if bits >= 0 else np.int64(-2147483648) - bits
                        mine[n] = (bits << 32) | np.int64(DOCUMENT - document)
                        n += (cosine[j] >= threshold) & (document >= 0) & (document != own)
                    if n >= room - CHUNK:
                        threshold = cut(mine, n, cosine, as_bits)
                        reached = threshold - np.float32(SLACK)
                        n = k
                held[i] = n
                least[i] = threshold
            # After a cluster: what it left may raise the threshold for the bounds to come.
            for i in range(queries):
                if held[i] >= 2 * k:
                    least[i] = cut(keys[i], held[i], cosine, as_bits)
                    held[i] = k
        for i in range(queries):
            keys[i, held[i] :] = LOWEST

    return search, room
