"""The inner loops of the search, compiled for each length of codes when they are first used.

A candidate's key is a whole number that puts the higher cosine first and of equal ones the lower
document: the bits of the cosine, as a number that rises with it, above those of the document.
"""

import math
from typing import Any

import numpy as np
from numba import njit

CHUNK = 32  # documents whose cosines are compared with the threshold at once
DOCUMENT = 2**31 - 1  # the bits of a key that hold the document
LOWEST = -(2**63)  # a key below all others
SLACK = 1e-5  # on bounds of cosines, for rounding in single precision
ONE: Any = np.float32(1.0)


def room_for(k: int) -> int:
    """The candidates that a query has room for: when they are full, the k best are kept."""
    return 4 * k + CHUNK


@njit(nogil=True)
def select(keys: Any, n: int, k: int) -> None:
    """Put the k largest of the first n keys first; no two are equal. Quickselect, whose inner loop
    has no branch that a processor could mispredict."""
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
def key_of(cosine: Any, document: Any) -> Any:
    bits = np.int64(np.float32(cosine).view(np.int32))
    bits = bits if bits >= 0 else np.int64(-2147483648) - bits
    return (bits << 32) | np.int64(DOCUMENT - document)


@njit(nogil=True)
def cosine_of(key: Any) -> Any:
    """The cosine that a key was made from."""
    bits = key >> 32
    if bits < 0:
        bits = np.int64(-2147483648) - bits
    return np.int32(bits).view(np.float32)


@njit(nogil=True)
def cut(keys: Any, n: int, k: int) -> Any:
    """Put the k largest of the first n keys first; the cosine of the least of them."""
    select(keys, n, k)
    lowest = keys[0]
    for j in range(k):
        lowest = min(lowest, keys[j])
    return cosine_of(lowest)


@njit(nogil=True, fastmath=True, error_model="numpy")
def scan(
    chunks: Any,
    documents: Any,
    query: Any,
    own: int,
    number: Any,
    k: int,
    keys: Any,
    n: int,
    threshold: Any,
) -> Any:
    """Add to the first n keys those of a cluster's documents whose cosine reaches the threshold.

    Returns how many keys there are then, and the threshold, which rises where the room is full.
    """
    cosine = np.empty(CHUNK, np.float32)
    reached = threshold - np.float32(SLACK)
    for c in range(len(chunks)):
        chunk = chunks[c]
        some = False
        for j in range(CHUNK):
            product = np.float32(0.0)
            for d in range(len(number)):
                product += query[d] * chunk[d, j]
            some |= product >= reached
        if not some:
            continue
        for j in range(CHUNK):
            product = np.float32(0.0)
            for d in range(len(number)):
                product += query[d] * chunk[d, j]
            cosine[j] = product
        for j in range(CHUNK):
            # Each key is written, and stays if it is a candidate's: no branch to mispredict.
            document = documents[CHUNK * c + j]
            keys[n] = key_of(cosine[j], document)
            n += (cosine[j] >= threshold) & (document >= 0) & (document != own)
        if n >= len(keys) - CHUNK:
            threshold = cut(keys, n, k)
            reached = threshold - np.float32(SLACK)
            n = k
    return n, threshold


@njit(nogil=True, fastmath=True, error_model="numpy")
def search(
    codes: Any,
    documents: Any,
    starts: Any,
    centres: Any,
    cos_radius: Any,
    near: Any,
    places: Any,
    number: Any,
    k: int,
    keys: Any,
) -> None:
    """Write into keys (queries, room) those of the k nearest documents of each query.

    The queries lie at `places`; `near` are the clusters, from their own outwards. `number` is a
    tuple of as many numbers as a code has: its length is known when this is compiled, and the
    innermost loops are unrolled for it.
    """
    queries = len(places)
    q = np.empty((queries, len(number)), np.float32)
    held = np.zeros(queries, np.int64)
    least = np.full(queries, np.float32(-2.0))  # the k-th best cosine so far
    for i in range(queries):
        q[i] = codes[places[i] // CHUNK, :, places[i] % CHUNK]
    for cluster in near:
        start, end = starts[cluster], starts[cluster + 1]
        chunks, here = codes[start // CHUNK : end // CHUNK], documents[start:end]
        to = cos_radius[cluster]
        sin_radius = math.sqrt(max(0.0, ONE - to * to))
        for i in range(queries):
            along = np.float32(0.0)
            for d in range(len(number)):
                along += q[i, d] * centres[cluster, d]
            bound = ONE
            if along < to:
                bound = along * to + math.sqrt(max(0.0, ONE - along * along)) * sin_radius
            if bound + SLACK >= least[i]:
                own = documents[places[i]]
                held[i], least[i] = scan(
                    chunks, here, q[i], own, number, k, keys[i], held[i], least[i]
                )
        # After a cluster: what it left may raise the threshold for the bounds to come.
        for i in range(queries):
            if held[i] >= 2 * k:
                least[i] = cut(keys[i], held[i], k)
                held[i] = k
    for i in range(queries):
        keys[i, held[i] :] = LOWEST
