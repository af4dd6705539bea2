"""Reuters-21578, Distribution 1.0 (Lewis 1997): newswire of 1987 in SGML, with none to many topics.

The ModApte split: stories that an indexer saw (TOPICS="YES"), TRAIN or TEST by LEWISSPLIT. Stories
without a topic are left out, since nothing is relevant to them: 7,775 to train, 3,019 to test.
"""

import html
import re
from collections.abc import Iterator

from dgm.data import files
from dgm.data.bags import Documents
from dgm.data.files import File
from dgm.data.stems import Text, collect
from dgm.errors import BadInput

TITLE = "Reuters-21578"
REVISION = 1
MIRRORS = (
    "https://github.com/colibri17/TextCategorization/raw/b6c2ca3d/reuters21578/",
    "https://github.com/colibri17/TextCategorization/raw/master/reuters21578/",
)
SHA256 = (
    "0ec53cda8f6d605a3ba710df14be7f00fc02f0c222a14748101df22326afe0f6",
    "1528e7e82d110d88d0234eb9619eadb7f9fd805711971df05975b92277dfdf4d",
    "99f18068d0518952987dedd78c622e5c2a584e357d264d3754696c815f3e6628",
    "78a3a8d7e04bc9d42c4614d5d5c60a4293dbe3f708df6fb5a71d9ef31f4b3fa3",
    "726342c19a65873330b412378cd6a3f0d512035f5223146ddd60930c62eb6ff0",
    "d09de619b6dd2d047d5124681f6df90550abaf592020d1c1ce338ae9b91522e7",
    "b5535c0d66b01f4976f84621a4a795afbc00d2c4bd0a1b7ae426df6630fb361d",
    "aa706007ec84a03537a3921ca976d60e11b3f99e4b9e9b2d5c81dd384d2c2062",
    "a3994583694a00b7c744097c1d7eabfcf90f2e6650cc21663e46828035a336cb",
    "29995f606dd1a9bdf907eacc9d879846c716860d9d9141676979474aaea39c7d",
    "996df6008089bd09fa5b28a4d2eb0ee5f7b9d4601cde566fed3926ac82960fa3",
    "d3a2782015247d9c2bffb8926267827fdd449c70d619435ef01a25a1c56a53ca",
    "da31035d483851f2aebce5b66d779e5e2c0ac9dcfe098596c6d544e81c5604ab",
    "8f7700bc0455fac3fcc12377ced4807b7df8aba1f21ecad059b9cc2b1cf0b8be",
    "ef936bd3e0f36cf722afa9a6957563549775af32e9e28b4f539c8737ceda83ab",
    "6d3bcec73eff871b8a5403588af814c4e50a0de6bc25707480522ab836f74026",
    "be2f03a185fff70131f3b4fdbd6229b7ee2be077eba9691eaa597c8cfbda8812",
    "f370e610b4b1342e41a98e0c426a08541044bd1d7e539674f32372a6060b73b5",
    "a5f971bf25448e915781962309e669359a35fbcaf3017a806eca0590897f209a",
    "d3b07097fba2633d130b4914aceba671645985248943ce9e39c289315339dffb",
    "f6ad1b724125c202566c63b35ea0b5ee23881f8b7ed47a32829d5af05d8e860d",
    "3f5196d32869723c9042aa5756805b4e90360f1f45ea17f4594fa0e2b3630b18",
)
FILES = tuple(
    File(name, sha256, sha256, (f"{name}.gz",), "reuters21578")
    for name, sha256 in ((f"reut2-{i:03}.sgm", sha256) for i, sha256 in enumerate(SHA256))
)
DOCTYPE = '<!DOCTYPE lewis SYSTEM "lewis.dtd">\n'
STORY = re.compile(r"<REUTERS ([^>]*)>\n((?:(?!</?REUTERS).)*)</REUTERS>\s*", re.DOTALL)
ATTRIBUTE = re.compile(r'(\w+)="([^"]*)"')
TOPICS = re.compile(r"<TOPICS>((?:<D>[^<]+</D>)*)</TOPICS>")
TEXT = re.compile(r"<TEXT[^>]*>(.*)</TEXT>", re.DOTALL)
# Author, place and date, and all other tags. What remains is title and body, or the whole text of a
# story that has neither.
NO_TEXT = re.compile(r"<(DATELINE|AUTHOR)>.*?</\1>|<[^>]*>", re.DOTALL)


def load() -> Documents:
    found: dict[str, list[Text]] = {"train": [], "test": []}
    for file in FILES:
        for split, story in stories(files.read("reuters", file).decode("latin-1"), file.name):
            if story.topics:
                found[split].append(story)
    return collect("reuters", found["train"], found["test"])


def stories(sgml: str, name: str) -> Iterator[tuple[str, Text]]:
    """The stories of the ModApte split in a file's content, each with its split, train or test.

    BadInput, with the file and the story's first line, where a story differs from the form that
    the publisher's README describes.
    """

    def malformed(position: int, message: str) -> BadInput:
        line = sgml.count("\n", 0, position) + 1
        return BadInput(f"{name}:{line}: {message}")

    if not sgml.startswith(DOCTYPE):
        raise malformed(0, f"should begin with {DOCTYPE.strip()}")
    position = len(DOCTYPE)
    while position < len(sgml):
        story = STORY.match(sgml, position)
        if not story:
            raise malformed(position, "should be a story, <REUTERS ...> to </REUTERS>")
        attributes = dict(ATTRIBUTE.findall(story[1]))
        topics, text = TOPICS.search(story[2]), TEXT.search(story[2])
        if not {"LEWISSPLIT", "TOPICS"} <= attributes.keys():
            raise malformed(position, "the story has no LEWISSPLIT or no TOPICS")
        if not topics or not text:
            missing = "TEXT" if topics else "TOPICS"
            raise malformed(position, f"the story has no <{missing}> to </{missing}>")
        split = attributes["LEWISSPLIT"].lower()
        if attributes["TOPICS"] == "YES" and split in ("train", "test"):
            about = re.findall("<D>(.*?)</D>", topics[1])
            words = html.unescape(
                NO_TEXT.sub(" ", text[1])
            )  # otherwise `lt`, of &lt;, would be a word
            yield split, Text(words, tuple(about))
        position = story.end()
