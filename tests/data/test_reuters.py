"""Reuters-21578: stories of the ModApte split, and its known numbers."""

from collections.abc import Callable

import pytest

from dgm.data.bags import Documents
from dgm.data.documents import reuters
from dgm.errors import BadInput


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
    ("content", "line", "message"),
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
def test_malformed_sgml_is_bad_input_with_file_and_line(
    content: str, line: int, message: str
) -> None:
    with pytest.raises(BadInput) as caught:
        list(reuters.stories(content, "a.sgm"))
    assert str(caught.value).startswith(f"a.sgm:{line}: ")
    assert message in str(caught.value)


def test_reuters_is_as_published(real: Callable[[str], Documents]) -> None:
    found = real("reuters")
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
