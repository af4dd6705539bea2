"""scikit-learn's handwritten digits: 1797 images of 8 x 8, shipped with the package.

The UCI test set of Alpaydin & Kaynak (1998), its pixels 0..16 divided by 16. It stands in for MNIST
where there is no network. One fixed random split: 1400 to train, 97 to validate and 300 to test.
"""

import numpy as np

from dgm.data.dataset import Dataset

TITLE = "Digits"
REVISION = 1


def load() -> Dataset:
    import torch
    from sklearn.datasets import load_digits

    found, sizes = load_digits(), [1400, 97, 300]
    order = torch.from_numpy(np.random.RandomState(0).permutation(len(found.data)))
    pixels = torch.from_numpy(found.data.astype(np.float32) / 16)[order]
    labels = torch.from_numpy(found.target.astype(np.int64))[order]
    names = ("train", "validation", "test")
    by_split = dict(zip(names, labels.split(sizes), strict=True))
    train, validation, test = pixels.split(sizes)
    return Dataset("digits", train, validation, test, (8, 8), by_split, classes=10)
