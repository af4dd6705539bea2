"""Collections of documents: small ones counted by hand, and the known numbers of the real ones."""

import gzip
import hashlib
import io
import re
import tarfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import sklearn.datasets._twenty_newsgroups as sklearn_posts
from scipy.stats import multinomial
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS
from snowballstemmer.english_stemmer import EnglishStemmer

from dgm import data
from dgm.data import files
from dgm.data.bags import Bags, Documents, bags
from dgm.data.documents import newsgroups, newsgroups_bow, rcv1, reuters, synthetic_documents
from dgm.data.files import File
from dgm.data.stems import Text, collect, frequent, stems
from dgm.errors import BadInput, MissingData

# --- bags of stems ---------------------------------------------------------------------------


def test_stems() -> None:
    said = "Don't run, RUNNING runs: I was the runner in a U.S. café_bar for 3rd-rate cafés."
    expected = {"don": 1, "run": 3, "runner": 1, "café": 2, "bar": 1, "rd": 1, "rate": 1}
    assert stems(said) == expected
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
    with pytest.raises(BadInput, match=r"^small: no word is in any training document$"):
        collect("small", [Text("the", ("trade",))], TEST)


def test_a_topic_without_a_document_is_bad_input() -> None:
    found = collect("small", TRAIN, TEST)
    one = bags([{0: 1}], 2, [[0, 1, 3]], 4)
    with pytest.raises(BadInput, match=r"^small: no document is of ship$"):
        replace(found, train=one, test=one)
    assert len(replace(found, train=one).train) == 1  # a topic of test documents only is none


def test_bags() -> None:
    found = bags([{}, {3: 1, 0: 7}, {}], 4, [[1], [], [0, 1]], 2)
    assert found.counts.toarray().tolist() == [[0] * 4, [7, 0, 0, 1], [0] * 4]
    assert found.counts.has_canonical_format and found.counts.dtype == np.int64
    assert found.topics.tolist() == [[False, True], [False, False], [True, True]]
    assert (len(found), found.empty) == (3, 2)


def altered(split: Bags, part: str) -> Bags:
    counts, topics = split.counts.copy(), split.topics.copy()
    if part == "topics":
        topics[0, 1] = not topics[0, 1]
    elif part == "data":
        counts.data[0] += 1
    else:
        counts = counts[:, ::-1]
    return Bags(counts, topics)


def test_the_hash_is_that_of_all_that_is_in_it() -> None:
    found = collect("small", TRAIN, TEST)
    assert found.hash == collect("other", TRAIN, TEST).hash and len(found.hash) == 64
    others = [
        *(replace(found, train=altered(found.train, part)) for part in ("topics", "data", "words")),
        *(replace(found, test=altered(found.test, part)) for part in ("topics", "data", "words")),
        replace(found, topics=found.topics[::-1]),
        replace(found, vocabulary=("cocoa", "trades")),
    ]
    assert len({found.hash, *(other.hash for other in others)}) == 9


# --- 20 Newsgroups ---------------------------------------------------------------------------

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


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """$DGM_DATA; the cache is empty."""
    monkeypatch.setenv("DGM_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    data.load.cache_clear()
    return tmp_path / "data"


def put(own: Path, module: ModuleType, *contents: bytes) -> tuple[File, ...]:
    """Files of a set with this content, where the set looks for them; the File of each."""
    made = []
    for file, content in zip(module.FILES, contents, strict=True):
        path = own / file.folder / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
        made.append(file._replace(content_sha256=hashlib.sha256(content).hexdigest()))
    return tuple(made)


def test_newsgroups_with_and_without_what_gives_the_group_away(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(newsgroups, "FILES", put(own, newsgroups, tar(*FEW)))
    stripped, whole = data.load("newsgroups"), data.load("newsgroups_unstripped")
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


def found_or_skipped(name: str) -> Documents:
    if files.missing(name, data.module(name).FILES):
        pytest.skip(f"{name} is not on this machine: set DGM_DATA or `dgm data fetch {name}`")
    found: Documents = data.module(name).load()
    return found


def test_newsgroups_are_as_published() -> None:
    found = found_or_skipped("newsgroups")
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


# --- RCV1-v2, which only a user has -----------------------------------------------------------

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


def test_rcv1_is_read_from_its_token_files(own: Path) -> None:
    parts = [STORIES, *(f".I {i}\n.W\ngold oil\n\n" for i in (12, 14, 16, 18))]
    qrels = "C1 3 1\nM1 3 1\nM1 5 1\nC1 9 1\nM1 12 1\nC1 14 1\nM1 16 1\n"
    texts = {3: "oil oil price", 5: "bank rate rate", 9: ""} | dict.fromkeys(
        (12, 14, 16), "gold oil"
    )
    about = {3: "C1 M1", 5: "M1", 9: "C1", 12: "M1", 14: "C1", 16: "M1"}  # 18 has no topic
    for file, content in zip(rcv1.FILES, [*parts, qrels], strict=True):
        path = own / "rcv1" / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(content.encode()))
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

    (own / "rcv1" / rcv1.TOPICS.name).write_bytes(gzip.compress(b"C1 3 1\nC1 4 1\n"))
    data.load.cache_clear()
    with pytest.raises(BadInput, match="story 4 has topics and no tokens"):
        data.load("rcv1")
    with pytest.raises(
        MissingData, match=r"cannot be downloaded; put lyrl2004_tokens_train.dat.gz"
    ):
        (own / "rcv1" / rcv1.FILES[0].name).unlink()
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


def test_the_ready_bags_are_as_published() -> None:
    found = found_or_skipped("newsgroups_bow")
    assert (len(found.train), len(found.test)) == (11_268, 7_505)
    assert (found.train.counts.sum(), found.test.counts.sum()) == (1_128_881, 720_898)
    assert (found.train.empty, found.test.empty) == (0, 0)
    words = files.read("newsgroups_bow", newsgroups_bow.FILES[2]).decode().split()
    assert found.vocabulary == tuple(words[::2])
    assert found.train.counts.sum(0).tolist() == [*map(int, words[1::2])]
    hockey = found.train.counts[:, [found.vocabulary.index("hockey")]].toarray()
    assert found.topics[(hockey * found.train.topics).sum(0).argmax()] == "rec.sport.hockey"


# --- Reuters-21578 ---------------------------------------------------------------------------


def story(
    topics: str = "<D>cocoa</D>",
    attributes: str = 'TOPICS="YES" LEWISSPLIT="TRAIN" NEWID="1"',
    text: str = "<TEXT>&#2;\n<TITLE>Cocoa &lt;CCA></TITLE>\n<BODY>Up.\n Reuter\n&#3;</BODY></TEXT>",
) -> str:
    return f"<REUTERS {attributes}>\n<TOPICS>{topics}</TOPICS>\n{text}\n</REUTERS>\n"


def sgml(*stories: str) -> str:
    return reuters.DOCTYPE + "".join(stories)


def test_stories_of_the_modapte_split() -> None:
    dated = (
        "<TEXT><AUTHOR>  By A. Bee</AUTHOR><TITLE>T</TITLE>"
        "<DATELINE> PARIS,\nMay 1 - </DATELINE><BODY>B</BODY></TEXT>"
    )
    found = reuters.stories(
        sgml(
            story(),
            story("<D>earn</D><D>acq</D>", 'TOPICS="YES" LEWISSPLIT="TEST"', dated),
            story(attributes='TOPICS="NO" LEWISSPLIT="TRAIN"'),
            story(attributes='TOPICS="YES" LEWISSPLIT="NOT-USED"'),
            story(attributes='TOPICS="BYPASS" LEWISSPLIT="TEST"'),
            story("", text='<TEXT TYPE="UNPROC">plain</TEXT>'),
        ),
        "a.sgm",
    )
    (first, one), (second, two), (third, three) = found
    assert (first, second, third) == ("train", "test", "train")
    assert one.text.split() == ["Cocoa", "<CCA>", "Up.", "Reuter"]
    assert two.text.split() == ["T", "B"]
    assert three.text == "plain"
    assert [text.topics for text in (one, two, three)] == [("cocoa",), ("earn", "acq"), ()]


NO_STORY = "should be a story, <REUTERS ...> to </REUTERS>"


@pytest.mark.parametrize(
    ("content", "line", "said"),
    [
        ("", 1, f"should begin with {reuters.DOCTYPE.strip()}"),
        (story(), 1, f"should begin with {reuters.DOCTYPE.strip()}"),
        (sgml(story(), "a line\n", story()), 10, NO_STORY),
        (sgml(story(), story().replace("</REUTERS>\n", "")), 10, NO_STORY),
        (sgml(story().replace("</REUTERS>\n", ""), story()), 2, NO_STORY),
        (sgml(story(), story()[:90]), 10, NO_STORY),
        (sgml(story(), "\n", story().replace("<REUTERS", "<REUTER")), 11, NO_STORY),
        (sgml(story(attributes='TOPICS="YES"')), 2, "has no LEWISSPLIT"),
        (sgml(story(attributes="LEWISSPLIT=TRAIN TOPICS=YES")), 2, "has no LEWISSPLIT"),
        (sgml(story(), story("<D>cocoa")), 10, "has no <TOPICS> to </TOPICS>"),
        (sgml(story("<D></D>")), 2, "has no <TOPICS> to </TOPICS>"),
        (sgml(story("cocoa")), 2, "has no <TOPICS> to </TOPICS>"),
        (sgml(story(text="<TEXT>no end")), 2, "has no <TEXT> to </TEXT>"),
        (sgml(story(text="")), 2, "has no <TEXT> to </TEXT>"),
    ],
)
def test_malformed_sgml_is_bad_input_with_file_and_line(content: str, line: int, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        list(reuters.stories(content, "a.sgm"))
    assert str(caught.value).startswith(f"a.sgm:{line}: ")
    assert said in str(caught.value)


def test_reuters_is_as_published() -> None:
    found = found_or_skipped("reuters")
    assert (len(found.train), len(found.test)) == (7_775, 3_019)
    train, test = found.train.topics, found.test.topics
    assert (train.any(0).sum(), test.any(0).sum(), len(found.topics)) == (115, 93, 118)
    assert (train.any(0) & test.any(0)).sum() == 90
    assert train.any(1).all() and test.any(1).all()
    for topic, counts in {"earn": (2877, 1087), "acq": (1650, 719)}.items():
        column = found.topics.index(topic)
        assert (train[:, column].sum(), test[:, column].sum()) == counts
    assert len(found.vocabulary) == 2000
    assert (found.train.empty, found.test.empty) == (0, 0)
    cocoa = found.train.counts[[0], [found.vocabulary.index("cocoa")]]
    assert cocoa.tolist() == [7]  # BAHIA COCOA REVIEW


# --- documents of known topics ---------------------------------------------------------------


def test_synthetic_documents_are_what_they_are_said_to_be() -> None:
    found = synthetic_documents.load()
    assert found.hash == synthetic_documents.load().hash == data.load("synthetic_documents").hash
    assert [split.counts.shape for split in (found.train, found.test)] == [(800, 200), (400, 200)]
    assert (len(found.topics), len(found.vocabulary)) == (16, 200)
    assert (found.train.empty, found.test.empty) == (0, 0)
    probabilities = synthetic_documents.word_probabilities()
    np.testing.assert_allclose(probabilities.sum(1), 1)
    assert probabilities.min() > 0
    for split in (found.train, found.test):
        assert (split.topics.sum(1) == 1).all() and split.topics.any(0).all()
        lengths = split.counts.sum(1)
        assert abs(lengths.mean() - 20) < 4 * np.sqrt(20 / len(split))
        assert 0.8 < lengths.var() / 20 < 1.2
        counts = split.topics.T @ split.counts.toarray()  # (topics, words)
        expected = counts.sum(1, keepdims=True) * probabilities
        often = expected > 5
        z = (counts - expected)[often] / np.sqrt(expected * (1 - probabilities))[often]
        assert abs(z.mean()) < 4 / np.sqrt(z.size)
        assert 0.9 < z.std() < 1.1


def test_the_posterior_is_bayes_rule_and_calibrated() -> None:
    test = synthetic_documents.load().test
    posterior = np.exp(synthetic_documents.log_posterior(test.counts))
    counts, probabilities = test.counts.toarray(), synthetic_documents.word_probabilities()
    for row, expected in zip(counts[:20], posterior, strict=False):
        joint = np.array([multinomial.pmf(row, row.sum(), p / p.sum()) for p in probabilities])
        np.testing.assert_allclose(expected, joint / joint.sum(), atol=1e-12)
    right = posterior.argmax(1) == test.topics.argmax(1)
    confidence = posterior.max(1)
    deviation = np.sqrt((confidence * (1 - confidence)).sum()) / len(test)
    assert abs(right.mean() - confidence.mean()) < 3.5 * deviation
    assert 0.95 < right.mean() < 1  # neither hopeless nor without a mistake


# --- by name, missing, damaged ---------------------------------------------------------------

FIRST = {
    "newsgroups": ("20newsgroups", "20news-bydate.tar.gz"),
    "newsgroups_bow": ("20newsgroups/nvdm_bow", "train.feat"),
    "reuters": ("reuters21578", "reut2-000.sgm"),
}


@pytest.mark.parametrize("name", FIRST)
def test_missing_collections(own: Path, name: str) -> None:
    folder, file = FIRST[name]
    with pytest.raises(MissingData) as caught:
        data.load(name)
    cache = own.parent / "cache" / "dgm" / folder
    assert str(caught.value) == (
        f"{name}: {file} is not in {own / folder} or {cache}; `dgm data fetch {name}` gets it"
    )


@pytest.mark.parametrize("name", FIRST)
def test_altered_collections(own: Path, name: str) -> None:
    module = data.module(name)
    put(own, module, *[b"other"] * len(module.FILES))
    with pytest.raises(BadInput, match=rf"/{FIRST[name][1]}: is not {name}'s "):
        data.load(name)


def test_the_command_line_covers_collections(own: Path, here: Callable[..., str]) -> None:
    said = here("data", "list")
    assert "newsgroups: missing 20news-bydate.tar.gz; `dgm data fetch newsgroups`" in said
    assert "synthetic_documents: needs no files" in said
    said = here("data", "verify")
    for name in ("newsgroups", "newsgroups_unstripped", "newsgroups_bow", "reuters"):
        assert f"{name}: not here" in said
    assert (
        "synthetic_documents: whole: 800 training and 400 test documents, of which 0 and 0 have "
        "none of the 200 words; 16 topics"
    ) in said
    put(own, reuters, *[b"other"] * 22)
    assert "is not reuters's" in here("data", "verify", "reuters", code=2)
