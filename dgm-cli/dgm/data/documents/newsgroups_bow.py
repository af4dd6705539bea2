"""20 Newsgroups as ready bags of 2000 words (Miao, Yu & Blunsom 2016, NVDM; Srivastava 2013).

11,268 training and 7,505 test documents of the bydate version. Words are not stemmed. It is not
known which posts were left out, nor how the others were stripped.
"""

import reprlib

from dgm.data import files
from dgm.data.bags import Bags, Documents, bags
from dgm.data.files import File
from dgm.errors import BadInput

TITLE = "20 Newsgroups, ready bags"
REVISION = 1
FOLDER = "20newsgroups/nvdm_bow"
MIRRORS = ("https://github.com/ysmiao/nvdm/raw/master/data/20news/",)
TRAIN_SHA256 = "55dfc0cc4e8aac22484ed93a4d785bb171959a00e8ffbca6f13c1c80d8cc4ce5"
TEST_SHA256 = "344eff7e61116d72abd6ebc3d3c1e286c0474b41bf85ab09c8b898e0a5ff80c1"
VOCABULARY_SHA256 = "afbe73140a0d39578e6ae33914e049e6587768c088a0501392afda20ca3c85a8"
FILES = tuple(
    File(name, sha256, sha256, (f"{name}.gz",), FOLDER)
    for name, sha256 in (
        ("train.feat", TRAIN_SHA256),
        ("test.feat", TEST_SHA256),
        ("vocab.new", VOCABULARY_SHA256),
    )
)
GROUPS = (  # in the order of their numbers, from 1
    "alt.atheism",
    "comp.graphics",
    "comp.os.ms-windows.misc",
    "comp.sys.ibm.pc.hardware",
    "comp.sys.mac.hardware",
    "comp.windows.x",
    "misc.forsale",
    "rec.autos",
    "rec.motorcycles",
    "rec.sport.baseball",
    "rec.sport.hockey",
    "sci.crypt",
    "sci.electronics",
    "sci.med",
    "sci.space",
    "soc.religion.christian",
    "talk.politics.guns",
    "talk.politics.mideast",
    "talk.politics.misc",
    "talk.religion.misc",
)


def load() -> Documents:
    train, test, words = (files.read("newsgroups_bow", file).decode() for file in FILES)
    vocabulary = tuple(line.split()[0] for line in words.splitlines())
    return Documents(
        "newsgroups_bow",
        parsed(train, FILES[0].name, len(vocabulary)),
        parsed(test, FILES[1].name, len(vocabulary)),
        GROUPS,
        vocabulary,
    )


def parsed(content: str, name: str, words: int) -> Bags:
    """The bags of a file of lines "group word:count word:count ...", groups and words from 1.

    BadInput, with file and line, where a line has another form or repeats a word.
    """
    counts, groups = [], []
    for number, line in enumerate(content.splitlines(), 1):
        try:
            group, *pairs = line.split()
            numbers = [(int(word), int(n)) for word, n in (pair.split(":") for pair in pairs)]
            row = {word - 1: n for word, n in numbers if 1 <= word <= words and n > 0}
            if len(row) < len(pairs) or not 1 <= int(group) <= len(GROUPS):
                raise ValueError
        except ValueError as error:
            raise BadInput(
                f"{name}:{number}: should be a group of 1..{len(GROUPS)} and different words "
                f"word:count of 1..{words}, not {reprlib.repr(line)}"
            ) from error
        counts.append(row)
        groups.append([int(group) - 1])
    return bags(counts, words, groups, len(GROUPS))
