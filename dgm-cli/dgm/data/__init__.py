"""The data sets: where their files lie, how they are verified, and how they are split.

`load("mnist")` gives a `Dataset`, `load("reuters")` gives `Documents`, and generated codes of
documents are `Codes`. A module a set; what is common to the sets that are files (folders, mirrors,
hashes) is in `dgm.data.files`.
"""

import hashlib
import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from dgm.errors import BadInput
from dgm.text import did_you_mean

if TYPE_CHECKING:
    from torch import Tensor


KINDS = {
    "images": ("mnist", "frey_faces", "digits", "bars_and_stripes"),
    "documents": (
        "newsgroups",
        "newsgroups_unstripped",
        "newsgroups_bow",
        "reuters",
        "rcv1",
        "synthetic_documents",
    ),
    "codes": ("clustered_codes", "isotropic_codes"),
}
TITLES = {
    "mnist": "MNIST",
    "frey_faces": "Frey Faces",
    "digits": "Digits",
    "bars_and_stripes": "Bars and stripes",
    "newsgroups": "20 Newsgroups",
    "newsgroups_unstripped": "20 Newsgroups, nothing stripped",
    "newsgroups_bow": "20 Newsgroups, ready bags",
    "reuters": "Reuters-21578",
    "rcv1": "RCV1-v2",
    "synthetic_documents": "Synthetic documents",
    "clustered_codes": "Generated codes, clustered",
    "isotropic_codes": "Generated codes, isotropic",
}


@dataclass(frozen=True)
class Dataset:
    """Images as rows of pixels, split. `hash` is the SHA-256 of all that is in it."""

    name: str
    train: "Tensor"  # (n, visible)
    validation: "Tensor"
    test: "Tensor"
    shape: tuple[int, int]  # of an image: rows, columns
    labels: "Mapping[str, Tensor]" = field(default_factory=dict)  # by split, (n,) whole numbers
    classes: int = 0  # that the labels name; 0 where they name none

    @property
    def sizes(self) -> str:
        return (
            f"{len(self.train)} training, {len(self.validation)} validation "
            f"and {len(self.test)} test images"
        )

    @cached_property
    def hash(self) -> str:
        splits = (self.train, self.validation, self.test)
        digest = hashlib.sha256(repr((self.shape, [len(split) for split in splits])).encode())
        for split in splits:
            digest.update(split.numpy().data)
        for name, labels in sorted(self.labels.items()):
            digest.update(name.encode() + labels.numpy().data)
        return digest.hexdigest()


def names(*kinds: str) -> tuple[str, ...]:
    """The sets of these kinds, or all sets."""
    return tuple(name for kind in kinds or KINDS for name in KINDS[kind])


def module(name: str) -> Any:
    """`dgm.data.<name>`, with `load()` and, for sets that are files, `FILES`; else BadInput."""
    if name not in names():
        raise BadInput(f"data: no {name}{did_you_mean(name, names())}")
    kind = next(kind for kind in KINDS if name in names(kind))
    return importlib.import_module(f"dgm.data.{kind}.{name}")


@cache
def load(name: str) -> Any:
    """A set, read and verified: a Dataset, or Documents, or Codes.

    MissingData when it is not on this machine, BadInput when altered. Downloads nothing:
    `dgm.data.files.fetch` does.
    """
    return module(name).load()


def fetch(name: str) -> list[str]:
    """Download the files of a set that are not on this machine; their paths.

    MissingData when no mirror answers within a few seconds.
    """
    from dgm.data import files

    found = module(name)
    if not hasattr(found, "FILES"):
        return []
    return [str(path) for path in files.fetch(name, found.FILES, found.MIRRORS)]
