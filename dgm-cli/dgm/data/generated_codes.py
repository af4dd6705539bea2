"""Generated codes of documents, as many as the paper's collection has: 400,000 of ten numbers.

Retrieval at this scale depends on the codes alone. There are 103 classes, as RCV1-v2 has topics.
The k-th is in proportion to 1/k, so some have tens of thousands of documents and some hundreds.
"""

from dataclasses import dataclass

import numpy as np

DOCUMENTS, NUMBERS, CLASSES = 400_000, 10, 103
SPREAD = 0.7  # standard deviation of the classes' centres; documents have 1 about theirs
SEEDS = {"classes": 0, "centres": 1, "codes": 2}


@dataclass(frozen=True)
class Codes:
    """Codes (documents, numbers) in single precision and classes (documents,), in random order."""

    name: str
    codes: np.ndarray
    classes: np.ndarray

    @property
    def sizes(self) -> str:
        return (
            f"{len(self.codes)} codes of {self.codes.shape[1]} numbers; "
            f"{len(np.unique(self.classes))} classes"
        )


def draw(name: str, spread: float) -> Codes:
    """x = centre of its class + noise, centre ~ N(0, spread^2 I), noise ~ N(0, I)."""
    random = {what: np.random.RandomState(seed) for what, seed in SEEDS.items()}
    shares = 1 / np.arange(1, CLASSES + 1)
    classes = random["classes"].choice(CLASSES, DOCUMENTS, p=shares / shares.sum())
    centres = spread * random["centres"].standard_normal((CLASSES, NUMBERS))
    noise = random["codes"].standard_normal((DOCUMENTS, NUMBERS))
    return Codes(name, (centres[classes] + noise).astype(np.float32), classes.astype(np.int16))
