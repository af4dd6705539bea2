"""Collections of documents as bags of words: each document's count of each word, and its topics.

Documents keep their published order, which may be sorted by topic. A ranking that breaks ties by
row number would therefore learn something about the topic.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dgm.errors import BadInput

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass(frozen=True)
class Bags:
    """Documents of one split. One without any word of the vocabulary stays, as a row of zeros."""

    counts: "csr_array"  # (documents, words) int64
    topics: np.ndarray  # (documents, topics) bool; where topics are classes, one True in each row

    def __len__(self) -> int:
        return len(self.topics)

    @property
    def empty(self) -> int:
        """How many documents have no word of the vocabulary."""
        return int((self.counts.sum(1) == 0).sum())


@dataclass(frozen=True)
class Documents:
    """A collection in two splits; BadInput where a topic has no document in either.

    A topic that occurs in one split only is allowed: topics are not learned, they only judge what
    is retrieved.
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


def bags(
    counts: Sequence[Mapping[int, int]], words: int, about: Sequence[Sequence[int]], topics: int
) -> Bags:
    """Bags from each document's counts by word number, and its topics' numbers in `about`."""
    from scipy.sparse import csr_array

    ordered = [sorted(row.items()) for row in counts]
    pairs = np.array([pair for row in ordered for pair in row], np.int64).reshape(-1, 2)
    indices = pairs[:, 0].astype(np.int32)  # parts of scikit-learn reject 64-bit ones
    starts = np.cumsum([0, *map(len, ordered)], dtype=np.int32)
    indicator = np.zeros((len(about), topics), bool)
    for row, of in zip(indicator, about, strict=True):
        row[list(of)] = True
    return Bags(csr_array((pairs[:, 1], indices, starts), shape=(len(counts), words)), indicator)
