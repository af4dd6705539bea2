"""scikit-learn's handwritten digits: 1797 images of 8 x 8, shipped with the package.

The UCI test set of Alpaydin & Kaynak (1998), its pixels 0..16 divided by 16. It stands in for MNIST
where there is no network. One fixed random split: 1400 to train, 97 to validate and 300 to test.
"""

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from dgm.data.dataset import Dataset

TITLE = "Digits"
REVISION = 1


def load() -> Dataset:
    import torch

    found, sizes = torch.from_numpy(_rows()), [1400, 97, 300]
    found = found[torch.from_numpy(np.random.RandomState(0).permutation(len(found)))]
    pixels, labels = found[:, :-1] / 16, found[:, -1].long()
    names = ("train", "validation", "test")
    by_split = dict(zip(names, labels.split(sizes), strict=True))
    train, validation, test = pixels.split(sizes)
    return Dataset("digits", train, validation, test, (8, 8), by_split, classes=10)


def _rows() -> np.ndarray:
    """(1797, 65): 64 pixels and the label. `load_digits` reads the same file; to import it takes
    a second, which every process that trains would pay."""
    package = find_spec("sklearn")
    assert package is not None and package.origin is not None
    path = Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz"
    return np.loadtxt(path, delimiter=",", dtype=np.float32)
