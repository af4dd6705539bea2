"""20 Newsgroups (Lang 1995; Rennie's bydate version): posts to 20 groups, each a class.

The publisher's split: the 11,314 earlier posts to train, the 7,532 later ones to test. Headers,
signatures and quotes give the group away by other things than the post's subject (an organisation,
a regular's name), so they are stripped as scikit-learn does; `newsgroups_unstripped` keeps them.
"""

import io
import re

from dgm.data import files
from dgm.data.bags import Documents
from dgm.data.files import File
from dgm.data.stems import Text, collect

TITLE = "20 Newsgroups"
REVISION = 1
MIRRORS = (
    "http://qwone.com/~jason/20Newsgroups/",
    "https://people.csail.mit.edu/jrennie/20Newsgroups/",
)
# The first hash is that of a tar rebuilt from copies of the posts. 43 of its training posts differ
# from the publisher's in one or a few bytes outside ASCII.
FILES = (
    File(
        "20news-bydate.tar.gz",
        "67fa7e799be8b627d16bdd56ef4e046b4993538bdbe98b94a26d80ff1d07678d",
        "8f1b2514ca22a5ade8fbb9cfa5727df95fa587f4c87b786e15c759fa66d95610",
        folder="20newsgroups",
    ),
)
QUOTE = re.compile(r"writes in|writes:|wrote:|says:|said:|^In article|^Quoted from|^\||^>")


def load(strip: bool = True) -> Documents:
    found = posts(files.read("newsgroups", FILES[0]))
    name = "newsgroups" if strip else "newsgroups_unstripped"
    if strip:
        found = {
            split: [text._replace(text=stripped(text.text)) for text in texts]
            for split, texts in found.items()
        }
    return collect(name, found["train"], found["test"])


def posts(tar: bytes) -> dict[str, list[Text]]:
    """The posts of a tar of 20news-bydate-{train,test}/GROUP/NUMBER, by split, in order of name."""
    import tarfile

    found: dict[str, list[Text]] = {"train": [], "test": []}
    with tarfile.open(fileobj=io.BytesIO(tar)) as members:
        for member in sorted(members, key=lambda member: member.name):
            if file := members.extractfile(member):  # None for a folder
                folder, group, _ = member.name.split("/")
                post = Text(file.read().decode("latin-1"), (group,))
                found[folder.removeprefix("20news-bydate-")].append(post)
    return found


def stripped(post: str) -> str:
    """A post without header, signature and quotes."""
    return without_quotes(without_signature(without_header(post)))


def without_header(post: str) -> str:
    """The text after the first empty line."""
    return post.partition("\n\n")[2]


def without_signature(post: str) -> str:
    """The text before the last line that is blank or all hyphens; all, if that is the first."""
    lines = post.strip().split("\n")
    last = max((i for i, line in enumerate(lines) if not line.strip().strip("-")), default=0)
    return "\n".join(lines[:last]) if last else post


def without_quotes(post: str) -> str:
    """The lines that neither begin with > or | nor introduce a quotation."""
    return "\n".join(line for line in post.split("\n") if not QUOTE.search(line))
