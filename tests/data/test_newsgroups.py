"""20 Newsgroups: posts stripped as by scikit-learn, and the known numbers of both versions."""

import io
import re
import tarfile
from collections.abc import Callable

import pytest
import sklearn.datasets._twenty_newsgroups as sklearn_posts
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS
from snowballstemmer.english_stemmer import EnglishStemmer

from dgm.data import files
from dgm.data.bags import Documents
from dgm.data.documents import newsgroups, newsgroups_bow, newsgroups_unstripped
from dgm.data.stems import Text
from dgm.errors import BadInput

POSTS = [
    "From: a\nSubject: b\n\nIn article <1>, c wrote:\n> quoted\n| too\n\nsaid I\n\n-- \nname\n",
    "From: a\n\none line",
    "From: a\n\n\n\nleading\nlines\n\n--\nsignature\n\n\n",
    "no header at all\nbut two lines",
    "From: a\n\n",
    "From: a\n\n--\nwrites: all\n---",
    "\n\n> x",
    "",
    "From: a\r\n\r\ncarriage\r\n\r\nreturns\r\n",
]


@pytest.mark.parametrize("post", POSTS)
def test_posts_are_stripped_as_by_scikit_learn(post: str) -> None:
    assert newsgroups.without_header(post) == sklearn_posts.strip_newsgroup_header(post)
    assert newsgroups.without_signature(post) == sklearn_posts.strip_newsgroup_footer(post)
    assert newsgroups.without_quotes(post) == sklearn_posts.strip_newsgroup_quoting(post)
    assert newsgroups.stripped(post) == stripped_by_sklearn(post)


def stripped_by_sklearn(post: str) -> str:
    """As fetch_20newsgroups(remove=("headers", "footers", "quotes")) does it, in its order."""
    text = sklearn_posts.strip_newsgroup_header(post)
    return sklearn_posts.strip_newsgroup_quoting(sklearn_posts.strip_newsgroup_footer(text))


def test_a_stripped_post() -> None:
    assert newsgroups.stripped(POSTS[2].replace("leading", "a\n>b\nc")) == "a\nc\nlines\n"


def tar(*posts: tuple[str, str]) -> bytes:
    """A tar of (path, text) within 20news-bydate-."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as members:
        for path, text in posts:
            member = tarfile.TarInfo(f"20news-bydate-{path}")
            member.size = len(text.encode("latin-1"))
            members.addfile(member, io.BytesIO(text.encode("latin-1")))
        folder = tarfile.TarInfo("20news-bydate-train/sci.med")
        folder.type = tarfile.DIRTYPE
        members.addfile(folder)
    return buffer.getvalue()


FEW = [
    ("train/sci.med/9", "From: doctor@hospital\n\ndoctors\n\n-- \nDr. No"),
    ("train/rec.autos/10", "From: driver\n\n> doctors drive\nca\xf1on cars"),
    ("test/sci.med/11", "From: doctor\n\na doctor drives cars"),
]


def test_posts_come_in_the_order_of_their_names() -> None:
    found = newsgroups.posts(tar(*FEW))
    assert [post.topics for post in found["train"]] == [("rec.autos",), ("sci.med",)]
    assert found["train"][0].text == "From: driver\n\n> doctors drive\ncañon cars"
    assert found["test"] == [Text("From: doctor\n\na doctor drives cars", ("sci.med",))]
    assert newsgroups.posts(tar(*reversed(FEW))) == found


def test_newsgroups_with_and_without_what_gives_the_group_away(
    put: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(newsgroups, "FILES", put("newsgroups", tar(*FEW)))
    stripped, whole = newsgroups.load(), newsgroups_unstripped.load()
    assert stripped.vocabulary == ("car", "cañon", "doctor")
    assert stripped.train.counts.toarray().tolist() == [[1, 1, 0], [0, 0, 1]]
    assert stripped.test.counts.toarray().tolist() == [[1, 0, 1]]
    assert whole.vocabulary[:2] == ("doctor", "car")
    assert {"hospit", "dr"} < {*whole.vocabulary}
    assert (stripped.name, whole.name) == ("newsgroups", "newsgroups_unstripped")
    assert stripped.topics == whole.topics == ("rec.autos", "sci.med")


TRAIN_POSTS = [480, 584, 591, 590, 578, 593, 585, 594, 598, 597]
TRAIN_POSTS += [600, 595, 591, 594, 593, 599, 546, 564, 465, 377]
TEST_POSTS = [319, 389, 394, 392, 385, 395, 390, 396, 398, 397]
TEST_POSTS += [399, 396, 393, 396, 394, 398, 364, 376, 310, 251]


def test_newsgroups_are_as_published(real: Callable[[str], Documents]) -> None:
    found = real("newsgroups")
    assert found.train.topics.sum(0).tolist() == TRAIN_POSTS and len(found.train) == 11_314
    assert found.test.topics.sum(0).tolist() == TEST_POSTS and len(found.test) == 7_532
    assert found.topics == newsgroups_bow.GROUPS
    assert len(found.vocabulary) == 2000
    assert (found.train.empty, found.test.empty) == (359, 266)
    totals = found.train.counts.sum(0).tolist()
    assert totals == sorted(totals, reverse=True)

    posts = newsgroups.posts(files.read("newsgroups", newsgroups.FILES[0]))["train"]
    for i in range(0, len(posts), 250):
        text = stripped_by_sklearn(posts[i].text)
        words = re.findall(r"[^\W\d_]{2,}", text.lower())
        stemmed = EnglishStemmer().stemWords([w for w in words if w not in ENGLISH_STOP_WORDS])
        row = [stemmed.count(word) for word in found.vocabulary]
        assert found.train.counts[[i]].toarray().tolist() == [row]


# --- its ready bags --------------------------------------------------------------------------


def test_ready_bags() -> None:
    found = newsgroups_bow.parsed("2 3:1 1:12\n20 2:5\n", "a", 3)
    assert found.counts.toarray().tolist() == [[12, 0, 1], [0, 5, 0]]
    assert found.topics.nonzero()[1].tolist() == [1, 19]


@pytest.mark.parametrize(
    "line",
    ["", "x 1:1", "0 1:1", "21 1:1", "1 0:1", "1 4:1", "1 1:0", "1 1:-1", "1 1", "1 1:1:1"]
    + ["1 1:1 2:x", "1 2:1 2:1", "1 1:1.5", "1 :1"],
)
def test_a_malformed_line_is_named(line: str) -> None:
    with pytest.raises(BadInput) as caught:
        newsgroups_bow.parsed(f"1 1:1\n{line}\n1 1:1\n", "train.feat", 3)
    assert str(caught.value) == (
        "train.feat:2: should be a group of 1..20 and different words word:count of 1..3, "
        f"not {line!r}"
    )


def test_the_ready_bags_are_as_published(real: Callable[[str], Documents]) -> None:
    found = real("newsgroups_bow")
    assert (len(found.train), len(found.test)) == (11_268, 7_505)
    assert (found.train.counts.sum(), found.test.counts.sum()) == (1_128_881, 720_898)
    assert (found.train.empty, found.test.empty) == (0, 0)
    words = files.read("newsgroups_bow", newsgroups_bow.FILES[2]).decode().split()
    assert found.vocabulary == tuple(words[::2])
    assert found.train.counts.sum(0).tolist() == [*map(int, words[1::2])]
    hockey = found.train.counts[:, [found.vocabulary.index("hockey")]].toarray()
    assert found.topics[(hockey * found.train.topics).sum(0).argmax()] == "rec.sport.hockey"
