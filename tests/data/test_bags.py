"""Bags of stems: small ones counted by hand."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from dgm.data.bags import bags
from dgm.data.stems import Text, collect, frequent, stems
from dgm.errors import BadInput


def test_stems() -> None:
    text = "Don't run, RUNNING runs: I was the runner in a U.S. café_bar for 3rd-rate cafés."
    expected = {"don": 1, "run": 3, "runner": 1, "café": 2, "bar": 1, "rd": 1, "rate": 1}
    assert stems(text) == expected
    assert stems("The a of, 1984 -- x!") == {}


@pytest.mark.parametrize(
    ("word", "stem"),
    [  # as the stemmer's authors give them
        ("consistently", "consist"),
        ("consolatory", "consolatori"),
        ("knightly", "knight"),
        ("knives", "knive"),
        ("generously", "generous"),
        ("dying", "die"),
        ("skies", "sky"),
    ],
)
def test_stems_are_snowballs_english(word: str, stem: str) -> None:
    """Whose first version (Porter 1980) has gener, dy and ski for the last three."""
    assert stems(word) == {stem: 1}


def test_the_most_frequent_stems() -> None:
    counts = [Counter(b=2, a=1, d=1), Counter(a=1, c=1), Counter(e=5)]
    assert frequent(counts, 4) == ("e", "a", "b", "c")  # a and b twice, c and d once
    assert frequent(counts, 9) == ("e", "a", "b", "c", "d")
    assert frequent([], 9) == ()


TRAIN = [Text("Trade of cocoa. Cocoa!", ("cocoa", "trade")), Text("the", ("trade",))]
TEST = [Text("ships trading cocoa, TRADED grain", ("grain", "ship")), Text("wheat", ("grain",))]


def test_a_small_collection() -> None:
    found = collect("small", TRAIN, TEST)
    assert found.vocabulary == ("cocoa", "trade")  # of training documents only, fewer than 2000
    assert found.topics == ("cocoa", "grain", "ship", "trade")
    assert found.train.counts.toarray().tolist() == [[2, 1], [0, 0]]
    assert found.test.counts.toarray().tolist() == [[1, 2], [0, 0]]
    assert found.train.topics.tolist() == [[True, False, False, True], [False, False, False, True]]
    assert found.test.topics.tolist() == [[False, True, True, False], [False, True, False, False]]
    assert found.sizes == (
        "2 training and 2 test documents, of which 1 and 1 have none of the 2 words; 4 topics"
    )
    assert collect("small", TRAIN, TEST, words=1).vocabulary == ("cocoa",)


def test_no_word_to_count_is_bad_input() -> None:
    with pytest.raises(BadInput, match=r"^small: no training document has a word$"):
        collect("small", [Text("the", ("trade",))], TEST)


def test_a_topic_without_a_document_is_bad_input() -> None:
    found = collect("small", TRAIN, TEST)
    one = bags([{0: 1}], 2, [[0, 1, 3]], 4)
    with pytest.raises(BadInput, match=r"^small: no document is of ship$"):
        replace(found, train=one, test=one)
    assert (
        len(replace(found, train=one).train) == 1
    )  # ship has test documents only, which is allowed


def test_bags() -> None:
    found = bags([{}, {3: 1, 0: 7}, {}], 4, [[1], [], [0, 1]], 2)
    assert found.counts.toarray().tolist() == [[0] * 4, [7, 0, 0, 1], [0] * 4]
    assert found.counts.has_canonical_format and found.counts.dtype == np.int64
    assert found.topics.tolist() == [[False, True], [False, False], [True, True]]
    assert (len(found), found.empty) == (3, 2)
