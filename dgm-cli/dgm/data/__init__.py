"""The data sets: which there are, whether their files are at hand, and reading them.

A set is one module in the folder of its kind (`images`, `documents`, `codes` or `densities`). It
holds

    TITLE     its name in captions
    REVISION  a whole number, raised whenever `load` gives other numbers from the same files
    FILES     the files it is read from, and MIRRORS, where they are published, if it has files
    load()    the set: a `Dataset`, `Documents`, `Codes` or `Mixture`

and nothing else lists it. Only `load` may import torch. A user's own images are the set
`folder:PATH` (`dgm.data.folder`), of the kind `folders`.
"""

import hashlib
import importlib
import pkgutil
from collections.abc import Sequence
from functools import cache
from typing import Any

from dgm.data import files
from dgm.data.files import File
from dgm.data.folder import PREFIX, Folder
from dgm.errors import BadInput
from dgm.text import did_you_mean

KINDS: dict[str, tuple[str, ...]] = {
    kind.name: tuple(of.name for of in pkgutil.iter_modules([f"{__path__[0]}/{kind.name}"]))
    for kind in pkgutil.iter_modules(__path__)
    if kind.ispkg
}
FOLDERS = "folders"  # the kind of the sets that are a user's


def names(*kinds: str) -> tuple[str, ...]:
    """The sets of these kinds, or all sets, as `names("documents", "codes")`."""
    every = {**KINDS, FOLDERS: (f"{PREFIX}PATH",)}
    return tuple(name for kind in kinds or KINDS for name in every[kind])


def is_among(name: Any, sets: Sequence[str]) -> bool:
    """Whether a set is one of these `names`, of which `folder:PATH` stands for every folder."""
    return name in sets or (f"{PREFIX}PATH" in sets and str(name).startswith(PREFIX))


def module(name: str) -> Any:
    """The module of a set, or what stands for it; BadInput for an unknown name."""
    if name.startswith(PREFIX):
        return Folder(name)
    for kind, sets in KINDS.items():
        if name in sets:
            return importlib.import_module(f"dgm.data.{kind}.{name}")
    raise BadInput(f"data: no {name}{did_you_mean(name, names())}")


def files_of(name: str) -> tuple[File, ...]:
    """The files that a set is read from; none for a set that is generated or in a package."""
    found: tuple[File, ...] = getattr(module(name), "FILES", ())
    return found


def title(name: str) -> str:
    """A set's name in captions."""
    found: str = module(name).TITLE
    return found


def code(name: str) -> str:
    """SHA-256 over a set's name and REVISION and the contents of its files, without reading them.

    Files are verified when they are read, so equal codes mean equal data, with three exceptions:
    the contents of RCV1-v2's files are not known, so that only their names count; 20 Newsgroups is
    read from either of two archives, which differ in 43 posts; and of a user's folder names, sizes
    and dates of the files count.
    """
    contents = [file.content_sha256 or file.name for file in files_of(name)]
    if isinstance(its := module(name), Folder):
        contents = its.contents()
    revision = str(its.REVISION)
    described = "\n".join([name, revision, *contents])
    return hashlib.sha256(described.encode(errors="surrogateescape")).hexdigest()


def missing(name: str) -> str | None:
    """Which files of a set are not on this machine, in one line; None when all are.

    Looks for files and does not read them: a damaged one counts as present.
    """
    return files.why_missing(name, files_of(name))


@cache
def load(name: str) -> Any:
    """A set, read and verified: a Dataset, Documents, Codes or Mixture, by its kind.

    MissingData when it is not on this machine, BadInput when altered. Downloads nothing; `fetch`
    does.
    """
    return module(name).load()


def fetch(name: str) -> list[str]:
    """Download the files of a set that are not on this machine; their paths.

    MissingData when no mirror answers within a few seconds.
    """
    mirrors = getattr(module(name), "MIRRORS", ())
    return [str(path) for path in files.fetch(name, files_of(name), mirrors)]
