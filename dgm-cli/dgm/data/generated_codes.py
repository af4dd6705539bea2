"""Generated codes of documents, in the size of the paper's collection: 400,000 of ten numbers.

Retrieval at this scale is a matter of codes alone. Classes are 103, as RCV1-v2 has topics, and the
k-th is in proportion to 1/k, so that some have documents by the ten thousand and some by the
hundred.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

DOCUMENTS, NUMBERS, CLASSES = 400_000, 10, 103
SPREAD = 0.7  # standard deviation of the classes' centres; that of documents about theirs is 1
SEEDS = {"classes": 0, "centres": 1, "codes": 2}


@dataclass(frozen=True)
class Codes:
    """Codes (documents, numbers) in single precision and classes (documents,), in no order."""

    name: str
    codes: np.ndarray
    classes: np.ndarray

    @property
    def sizes(self) -> str:
        return (
            f"{len(self.codes)} codes of {self.codes.shape[1]} numbers; "
            f"{len(np.unique(self.classes))} classes"
        )

    @cached_property
    def hash(self) -> str:
        digest = hashlib.sha256(repr(self.codes.shape).encode())
        digest.update(self.codes.tobytes() + self.classes.tobytes())
        return digest.hexdigest()


def draw(name: str, spread: float) -> Codes:
    """x = centre of its class + noise, centre ~ N(0, spread^2 I), noise ~ N(0, I)."""
    random = {what: np.random.RandomState(seed) for what, seed in SEEDS.items()}
    shares = 1 / np.arange(1, CLASSES + 1)
    classes = random["classes"].choice(CLASSES, DOCUMENTS, p=shares / shares.sum())
    centres = spread * random["centres"].standard_normal((CLASSES, NUMBERS))
    noise = random["codes"].standard_normal((DOCUMENTS, NUMBERS))
    return Codes(name, (centres[classes] + noise).astype(np.float32), classes.astype(np.int16))
