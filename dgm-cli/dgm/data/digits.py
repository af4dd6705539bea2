"""scikit-learn's handwritten digits: 1797 images of 8 x 8, shipped with the package.

The UCI test set of Alpaydin & Kaynak (1998), with pixels 0..16 here divided by 16. It stands in
for MNIST where nothing may be downloaded. One fixed random split: 1400 to train, 97 to validate
and 300 to test.
"""

import numpy as np
import torch

from dgm.data import Dataset


def load() -> Dataset:
    from sklearn.datasets import load_digits

    pixels = torch.from_numpy(load_digits().data.astype(np.float32) / 16)
    order = torch.from_numpy(np.random.RandomState(0).permutation(len(pixels)))
    train, validation, test = pixels[order].split([1400, 97, 300])
    return Dataset("digits", train, validation, test, (8, 8))
