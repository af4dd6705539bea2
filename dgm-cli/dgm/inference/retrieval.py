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

CHUNK = 32  # documents whose cosines are compared with the threshold at once
GROUP = 64  # queries that pass over a cluster one after another
SLACK = 1e-5  # on bounds of cosines, for rounding in single precision


class Index(NamedTuple):
    """Unit codes sorted into clusters; a cluster's places are filled up to whole chunks."""

    codes: np.ndarray  # (dimensions, places), single precision
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
    return codes / codes.norm(dim=1, keepdim=True).clamp_min(1e-30)


def build(codes: Tensor, size: int = 800, rounds: int = 4, seed: int = 0) -> Index:
    """Sort codes (N, dimensions) into clusters of about `size` by k-means on the sphere.

    Equal cosines go by document number: where numbers tell of topics, shuffle documents first.
    """
    if not torch.isfinite(codes).all():
        raise ValueError("codes are not finite")
    x = unit(codes.float())
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
    laid = torch.zeros(x.shape[1], int(starts[-1]))
    laid[:, places] = x[order].t()
    cosine = (x * centres[of]).sum(1)
    radius = torch.full((clusters,), 1.0).scatter_reduce_(0, of, cosine, "amin")
    near = (centres @ centres.t()).argsort(dim=1, descending=True, stable=True).int()
    arrays = (laid, documents, starts, centres, radius, near)
    return Index(*(array.contiguous().numpy() for array in arrays))


def _nearest_centre(x: Tensor, centres: Tensor) -> Tensor:
    return torch.cat([(part @ centres.t()).argmax(1) for part in x.split(20_000)])


def nearest(index: Index, cluster: int, cutoffs: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """The documents of a cluster (n,), and of each those nearest to it, itself left out.

    Of these, (n, last cutoff), the first k are the k nearest for each k of the rising cutoffs, in
    no particular order between one cutoff and the next.
    """
    if list(cutoffs) != sorted(set(cutoffs)) or cutoffs[0] < 1:
        raise ValueError(f"cutoffs {list(cutoffs)} do not rise from 1 or more")
    documents = int((index.documents >= 0).sum())
    if cutoffs[-1] >= documents:
        raise ValueError(f"cutoff {cutoffs[-1]}: each of {documents} documents has fewer others")
    kernel = _kernel(len(index.codes), cutoffs[-1])
    places = np.arange(index.starts[cluster], index.starts[cluster + 1])
    places = places[index.documents[places] >= 0]
    found = np.empty((len(places), cutoffs[-1]), np.int32)
    for first in range(0, len(places), GROUP):
        part = slice(first, first + GROUP)
        near = index.near[cluster]
        kernel(*index[:-1], near, places[part], np.array(cutoffs), found[part])
    return index.documents[places], found


@cache
def _kernel(dimensions: int, k: int) -> Callable[..., Any]:
    """Compiled for codes of so many numbers, which its inner loop is unrolled for."""
    from numba import njit

    room = 4 * k + CHUNK
    one: Any = np.float32(1.0)

    @njit(nogil=True)
    def select(keys: Any, n: int, k: int) -> None:
        """Put the k largest of the first n keys first (Hoare's quickselect)."""
        left, right = 0, n - 1
        while left < right:
            a, b, c = keys[left], keys[(left + right) // 2], keys[right]
            pivot = max(min(a, b), min(max(a, b), c))
            i, j = left, right
            while i <= j:
                while keys[i] > pivot:
                    i += 1
                while keys[j] < pivot:
                    j -= 1
                if i <= j:
                    keys[i], keys[j] = keys[j], keys[i]
                    i += 1
                    j -= 1
            if k - 1 <= j:
                right = j
            elif k - 1 >= i:
                left = i
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
        cutoffs: Any,
        found: Any,
    ) -> None:
        queries = len(places)
        q = np.empty((queries, dimensions), np.float32)
        keys = np.empty((queries, room), np.int64)
        held = np.zeros(queries, np.int64)
        least = np.full(queries, np.float32(-2.0))
        cosine = np.empty(CHUNK, np.float32)
        as_bits = cosine.view(np.int32)
        for i in range(queries):
            for d in range(dimensions):
                q[i, d] = codes[d, places[i]]
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
                threshold = least[i]
                n = held[i]
                for start in range(starts[cluster], starts[cluster + 1], CHUNK):
                    highest = np.float32(-2.0)
                    for j in range(CHUNK):
                        product = np.float32(0.0)
                        for d in range(dimensions):
                            product += q[i, d] * codes[d, start + j]
                        cosine[j] = product
                        highest = max(highest, product)
                    if highest < threshold:
                        continue
                    for j in range(CHUNK):
                        document = documents[start + j]
                        if cosine[j] >= threshold and document >= 0 and document != own:
                            # Whole numbers in the order of the cosines, then of the documents.
                            bits = np.int64(as_bits[j])
                            if bits < 0:
                                bits = np.int64(-2147483648) - bits
                            keys[i, n] = (bits << 32) | (np.int64(0x7FFFFFFF) - document)
                            n += 1
                    if n >= room - CHUNK:
                        threshold = cut(keys[i], n, cosine, as_bits)
                        n = k
                held[i] = n
                least[i] = threshold
            # After a cluster: what it left may raise the threshold for the bounds to come.
            for i in range(queries):
                if held[i] >= 2 * k:
                    least[i] = cut(keys[i], held[i], cosine, as_bits)
                    held[i] = k
        for i in range(queries):
            n = held[i]
            for c in range(len(cutoffs) - 1, -1, -1):
                select(keys[i], n, cutoffs[c])
                n = cutoffs[c]
            for j in range(k):
                found[i, j] = np.int64(0x7FFFFFFF) - (keys[i, j] & np.int64(0x7FFFFFFF))

    return search
