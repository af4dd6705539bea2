"""Images as rows of pixels, in three splits."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Dataset:
    """Images as rows of pixels, split into training, validation and test images."""

    name: str
    train: "Tensor"  # (n, visible)
    validation: "Tensor"
    test: "Tensor"
    shape: tuple[int, int]  # of an image: rows, columns
    labels: "Mapping[str, Tensor]" = field(default_factory=dict)  # by split, (n,) integers
    classes: int = 0  # how many the labels name; 0 where they are not classes
    channels: int = 1  # a row holds one after the other
    skipped: tuple[str, ...] = ()  # files that could not be read, and why

    @property
    def sizes(self) -> str:
        return (
            f"{len(self.train)} training, {len(self.validation)} validation "
            f"and {len(self.test)} test images"
        )
