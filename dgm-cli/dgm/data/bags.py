"""Collections of documents as bags of words: how often each word is in each, and its topics.

Documents are in the order in which they are published, which may be sorted by topic: what picks
among equals by row number (ties in a ranking) then has a hint of the topic.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from dgm.errors import BadInput

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass(frozen=True)
class Bags:
    """Documents of one split. One without a word of the vocabulary is kept, as a row of zeros."""

    counts: "csr_array"  # (documents, words) int64
    topics: np.ndarray  # (documents, topics) bool; one True a row where topics are classes

    def __len__(self) -> int:
        return len(self.topics)

    @property
    def empty(self) -> int:
        """How many documents have no word of the vocabulary."""
        return int((self.counts.sum(1) == 0).sum())


@dataclass(frozen=True)
class Documents:
    """A collection, split. `hash` is the SHA-256 of all that is in it.

    BadInput where a topic has no document in either split. A topic that only one split has is
    none: nobody learns topics here, they only judge what is retrieved.
    """

    name: str
    train: Bags
    test: Bags
    topics: tuple[str, ...]
    vocabulary: tuple[str, ...]

    def __post_init__(self) -> None:
        used = self.train.topics.any(0) | self.test.topics.any(0)
        if not used.all():
            raise BadInput(f"{self.name}: no document is of {self.topics[used.argmin()]}")

    @property
    def sizes(self) -> str:
        return (
            f"{len(self.train)} training and {len(self.test)} test documents, of which "
            f"{self.train.empty} and {self.test.empty} have none of the {len(self.vocabulary)} "
            f"words; {len(self.topics)} topics"
        )

    @cached_property
    def hash(self) -> str:
        digest = hashlib.sha256(repr((self.topics, self.vocabulary)).encode())
        for split in (self.train, self.test):
            counts = split.counts
            digest.update(repr(counts.shape).encode())
            for part in (counts.indptr, counts.indices, counts.data, split.topics):
                digest.update(part.astype(np.int64).tobytes())  # scipy picks the indices' type
        return digest.hexdigest()


def bags(
    counts: Sequence[Mapping[int, int]], words: int, about: Sequence[Sequence[int]], topics: int
) -> Bags:
    """Bags of documents from the counts by word number and the topics' numbers of each."""
    from scipy.sparse import csr_array

    ordered = [sorted(row.items()) for row in counts]
    pairs = np.array([pair for row in ordered for pair in row], np.int64).reshape(-1, 2)
    indices = pairs[:, 0].astype(np.int32)  # not all of scikit-learn takes 64-bit ones
    starts = np.cumsum([0, *map(len, ordered)], dtype=np.int32)
    indicator = np.zeros((len(about), topics), bool)
    for row, of in zip(indicator, about, strict=True):
        row[list(of)] = True
    return Bags(csr_array((pairs[:, 1], indices, starts), shape=(len(counts), words)), indicator)
