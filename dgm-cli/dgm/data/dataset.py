"""Images as rows of pixels, split into those to train on, to validate and to test."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


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
