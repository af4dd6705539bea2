"""RCV1-v2, which only a user has: small files in the form of the real ones."""

import gzip
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dgm import data
from dgm.data.documents import rcv1
from dgm.errors import BadInput, MissingData

STORIES = """.I 3
.W
oil oil price

.I 5
.W
bank
rate rate
.I 9
.W

"""


def test_rcv1_is_read_from_its_token_files(places: Path, put: Callable[..., object]) -> None:
    parts = [STORIES, *(f".I {i}\n.W\ngold oil\n\n" for i in (12, 14, 16, 18))]
    qrels = "C1 3 1\nM1 3 1\nM1 5 1\nC1 9 1\nM1 12 1\nC1 14 1\nM1 16 1\n"
    texts = {3: "oil oil price", 5: "bank rate rate", 9: ""} | dict.fromkeys(
        (12, 14, 16), "gold oil"
    )
    about = {3: "C1 M1", 5: "M1", 9: "C1", 12: "M1", 14: "C1", 16: "M1"}  # 18 has no topic
    put("rcv1", *(content.encode() for content in [*parts, qrels]))
    found = data.load("rcv1")
    assert found.topics == ("C1", "M1")
    assert len(found.train) == len(found.test) == 3
    # The same stories, each once, in one half or the other; words are those of training stories.
    known = set(found.vocabulary)
    rows = [
        (tuple(np.repeat(found.vocabulary, row)), tuple(np.array(found.topics)[topics]))
        for split in (found.train, found.test)
        for row, topics in zip(split.counts.toarray(), split.topics, strict=True)
    ]
    expected = [
        (Counter(word for word in texts[i].split() if word in known), tuple(about[i].split()))
        for i in texts
    ]
    assert sorted((sorted(words), topics) for words, topics in rows) == sorted(
        (sorted(words.elements()), topics) for words, topics in expected
    )
    totals = found.train.counts.sum(0).tolist()
    assert totals == sorted(totals, reverse=True) and min(totals) > 0

    (places / "rcv1" / rcv1.TOPICS.name).write_bytes(gzip.compress(b"C1 3 1\nC1 4 1\n"))
    data.load.cache_clear()
    with pytest.raises(BadInput, match="story 4 has topics and no tokens"):
        data.load("rcv1")
    with pytest.raises(
        MissingData, match=r"cannot be downloaded; put lyrl2004_tokens_train.dat.gz"
    ):
        (places / "rcv1" / rcv1.FILES[0].name).unlink()
        data.fetch("rcv1")


def test_rcv1_malformed() -> None:
    def complaint(content: str) -> str:
        with pytest.raises(BadInput) as raised:
            list(rcv1.tokens(content, "a.dat", {"7"}))
        return str(raised.value)

    assert complaint(".W\noil\n") == "a.dat:1: should be .I number, not '.W'"
    assert complaint(".I 1\noil\n") == "a.dat:2: should be .W, not 'oil'"
    assert complaint(".I x\n.W\n") == "a.dat:1: should be another story's number: '.I x'"
    assert complaint(".I 1\n.W\n.I 1\n.W\n") == "a.dat:3: should be another story's number: '.I 1'"
    assert complaint(".I 7\n.W\n") == "a.dat:1: should be another story's number: '.I 7'"
    assert complaint(".I 1\n") == "a.dat: ends where .W should be"
    with pytest.raises(BadInput, match="b:2: should be topic, story and 1, not 'M1 2'"):
        rcv1.topics_of("M1 1 1\nM1 2\n", "b")
    with pytest.raises(BadInput, match="b:1: should be topic, story and 1, not ''"):
        rcv1.topics_of("", "b")
    assert list(rcv1.tokens(".I 1 \r\n.W\r\na b\r\n\r\n", "a.dat", set())) == [("1", ["a", "b"])]
