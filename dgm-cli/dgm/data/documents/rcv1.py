"""RCV1-v2, Reuters newswire of 1996 and 1997 (Lewis, Yang, Rose & Li 2004): 804,414 stories.

The paper's collection, which may not be copied freely. If you have the token files of the article's
online appendix 12 and the topics of its appendix 8, put them into rcv1/ (scikit-learn's fetch_rcv1
has weights, not counts). The tokens are stems already, without stop words. As in Hinton &
Salakhutdinov (2006), a random half of the stories is for training, and its 2000 most frequent stems
are the vocabulary. Stories without a topic are left out, since nothing is relevant to them.
"""

import reprlib
from collections import Counter
from collections.abc import Iterator

import numpy as np

from dgm.data import files
from dgm.data.bags import Bags, Documents
from dgm.data.files import File
from dgm.data.stems import WORDS, frequent
from dgm.errors import BadInput

TITLE = "RCV1-v2"
REVISION = 1
MIRRORS = ()
TOPICS = File("rcv1-v2.topics.qrels.gz", None, None)
TOKENS = tuple(
    File(f"lyrl2004_tokens_{part}.dat.gz", None, None)
    for part in ("train", "test_pt0", "test_pt1", "test_pt2", "test_pt3")
)
FILES = (*TOKENS, TOPICS)


def load() -> Documents:
    from scipy.sparse import coo_array, csr_array

    about = topics_of(files.read("rcv1", TOPICS).decode("latin-1"), TOPICS.name)
    topics = sorted({topic for of in about.values() for topic in of})
    number = {topic: i for i, topic in enumerate(topics)}
    known: dict[str, int] = {}  # each stem's number, in order of appearance
    indicators: list[np.ndarray] = []
    stories, stems = [], []
    seen: set[str] = set()
    for file in TOKENS:
        for story, words in tokens(files.read("rcv1", file).decode("latin-1"), file.name, seen):
            if story not in about:
                continue
            row = np.zeros(len(topics), bool)
            row[[number[topic] for topic in about.pop(story)]] = True
            stories.append(np.full(len(words), len(indicators), np.int32))
            stems.append(np.array([known.setdefault(w, len(known)) for w in words], np.int32))
            indicators.append(row)
    if about or not indicators:
        which = f"story {next(iter(about))}" if about else "no story"
        raise BadInput(f"{TOPICS.name}: {which} has topics and no tokens")
    n = len(indicators)
    rows, columns = np.concatenate(stories), np.concatenate(stems)
    ones = np.ones(len(rows), np.int64)
    counts = csr_array(coo_array((ones, (rows, columns)), shape=(n, len(known))))  # adds them up
    # RandomState's draws are the same in every version of numpy.
    train = np.sort(np.random.RandomState(0).permutation(n)[: n // 2])
    test = np.setdiff1d(np.arange(n), train)
    totals = Counter(dict(zip(known, counts[train].sum(0).tolist(), strict=True)))
    vocabulary = frequent([+totals], WORDS)
    if not vocabulary:
        raise BadInput("rcv1: no training story has a word")
    counts = counts[:, [known[word] for word in vocabulary]]
    indicator = np.array(indicators)
    return Documents(
        "rcv1",
        Bags(csr_array(counts[train]), indicator[train]),
        Bags(csr_array(counts[test]), indicator[test]),
        tuple(topics),
        vocabulary,
    )


def tokens(content: str, name: str, seen: set[str]) -> Iterator[tuple[str, list[str]]]:
    """Each story's number and stems, from lines ".I number", ".W", stems, and an empty one.

    Numbers are added to `seen`. BadInput, with file and line, where a line has another form or a
    number was seen before.
    """
    words: list[str] = []
    story, expected = "", ".I number"
    for number, line in enumerate(map(str.rstrip, content.split("\n")), 1):
        if line.startswith(".I ") and expected in (".I number", "stems"):
            if expected == "stems":
                yield story, words
            new = line[3:].strip()
            if not new.isdecimal() or new in seen:
                raise BadInput(f"{name}:{number}: should be another story's number: {line!r}")
            story, words, expected = new, [], ".W"
            seen.add(story)
        elif line == ".W" and expected == ".W":
            expected = "stems"
        elif expected == "stems" and not line.startswith("."):
            words += line.split()
        elif line:
            raise BadInput(f"{name}:{number}: should be {expected}, not {reprlib.repr(line)}")
    if expected != "stems":
        raise BadInput(f"{name}: ends where {expected} should be")
    yield story, words


def topics_of(content: str, name: str) -> dict[str, list[str]]:
    """The topics of each story, from lines "topic number 1"; else BadInput with file and line."""
    about: dict[str, list[str]] = {}
    for number, line in enumerate(content.rstrip("\n").split("\n"), 1):
        fields = line.split()
        if len(fields) != 3 or not fields[1].isdecimal() or fields[2] != "1":
            raise BadInput(f"{name}:{number}: should be topic, story and 1, not {line!r}")
        about.setdefault(fields[1], []).append(fields[0])
    return about
