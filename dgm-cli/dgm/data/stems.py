"""From texts to bags of stems, as in Hinton & Salakhutdinov (2006), Figure 4.

A word is a run of two or more letters, in lower case (single letters are remains of "don't" or
"U.S."). scikit-learn's English stop words are left out; Snowball's English stemmer (Porter 2001)
cuts the others to their stems. The vocabulary is the 2000 most frequent stems in training texts.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

from dgm.data.bags import Bags, Documents, bags
from dgm.errors import BadInput

WORDS = 2000
WORD = re.compile(r"[^\W\d_]{2,}")


@cache
def _stemmer() -> Callable[[str], str]:
    # Not snowballstemmer.stemmer("english"), which uses PyStemmer where that is installed: the
    # stems, and with them the collections, would depend on it.
    from snowballstemmer.english_stemmer import EnglishStemmer

    return cache(EnglishStemmer().stemWord)  # slow, and a word occurs 18 times on average


@cache
def _stop_words() -> frozenset[str]:
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS  # slow to import

    return ENGLISH_STOP_WORDS


class Text(NamedTuple):
    """A document as it was written, and its topics."""

    text: str
    topics: tuple[str, ...]


def stems(text: str) -> Counter[str]:
    """How often each stem is in a text."""
    found, without, stem = WORD.findall(text.lower()), _stop_words(), _stemmer()
    return Counter(stem(word) for word in found if word not in without)


def frequent(counts: Sequence[Counter[str]], n: int) -> tuple[str, ...]:
    """The n most frequent stems of all documents together, by falling count and then by alphabet.

    All stems, where there are fewer than n.
    """
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return tuple(sorted(total, key=lambda stem: (-total[stem], stem))[:n])


def collect(
    name: str, train: Sequence[Text], test: Sequence[Text], words: int = WORDS
) -> Documents:
    """The collection of these texts; its topics are all that occur in them.

    BadInput when the training texts have no word at all.
    """
    counts_train, counts_test = ([stems(text.text) for text in each] for each in (train, test))
    vocabulary = frequent(counts_train, words)
    if not vocabulary:
        raise BadInput(f"{name}: no training document has a word")
    topics = sorted({topic for text in (*train, *test) for topic in text.topics})
    word_number = {stem: i for i, stem in enumerate(vocabulary)}
    topic_number = {topic: i for i, topic in enumerate(topics)}

    def split(texts: Sequence[Text], counts: Sequence[Counter[str]]) -> Bags:
        known = [{word_number[s]: n for s, n in c.items() if s in word_number} for c in counts]
        about = [[topic_number[topic] for topic in text.topics] for text in texts]
        return bags(known, len(vocabulary), about, len(topics))

    return Documents(
        name, split(train, counts_train), split(test, counts_test), tuple(topics), vocabulary
    )
