"""MNIST (LeCun, Cortes & Burges 1998): 28 x 28 grey images of digits in idx files.

The first 50,000 of the training file to train, its last 10,000 to validate, the test file to test.
"""

import numpy as np

from dgm.data import files
from dgm.data.dataset import Dataset
from dgm.data.files import File
from dgm.errors import BadInput

TITLE = "MNIST"
REVISION = 1
MIRRORS = (
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://github.com/fgnt/mnist/raw/master/",
)
# SHA-256 of the decompressed file, which is verified, and of the publisher's .gz.
FILES = (
    File(
        "train-images-idx3-ubyte.gz",
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    ),
    File(
        "train-labels-idx1-ubyte.gz",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    ),
    File(
        "t10k-images-idx3-ubyte.gz",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    ),
    File(
        "t10k-labels-idx1-ubyte.gz",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ),
)


def load() -> Dataset:
    import torch

    train, train_labels, test, test_labels = (files.read("mnist", file) for file in FILES)
    images = torch.from_numpy(idx(train, FILES[0].name))
    labels = torch.from_numpy(idx_labels(train_labels, FILES[1].name))
    return Dataset(
        "mnist",
        images[:50_000],
        images[50_000:],
        torch.from_numpy(idx(test, FILES[2].name)),
        (28, 28),
        {
            "train": labels[:50_000],
            "validation": labels[50_000:],
            "test": torch.from_numpy(idx_labels(test_labels, FILES[3].name)),
        },
        classes=10,
    )


def idx(content: bytes, name: str) -> np.ndarray:
    """The images of an idx3 file as (N, rows * columns) float32, each byte divided by 255."""
    magic, n, rows, columns = (int.from_bytes(content[i : i + 4], "big") for i in range(0, 16, 4))
    if magic != 0x803 or len(content) != 16 + n * rows * columns:
        raise BadInput(f"{name}: is not an idx file of images")
    pixels = np.frombuffer(content, np.uint8, offset=16).reshape(n, rows * columns)
    return pixels.astype(np.float32) / 255


def idx_labels(content: bytes, name: str) -> np.ndarray:
    """The labels of an idx1 file, (N,) int64."""
    magic, n = (int.from_bytes(content[i : i + 4], "big") for i in (0, 4))
    if magic != 0x801 or len(content) != 8 + n:
        raise BadInput(f"{name}: is not an idx file of labels")
    return np.frombuffer(content, np.uint8, offset=8).astype(np.int64)
