"""Frey Faces (Roweis & Saul 2000): 1965 frames of 28 x 20 grey pixels from one film of one face.

One fixed random split: 1565 to train, 200 to validate and 200 to test. The frames are those of one
film, so a test frame's neighbours in time are mostly training frames and much like it. A bound on
test frames says how well the film is interpolated, not how well faces in general are modelled.
"""

import numpy as np

from dgm.data import files
from dgm.data.dataset import Dataset
from dgm.data.files import File

TITLE = "Frey Faces"
REVISION = 1
MIRRORS = (
    "https://cs.nyu.edu/~roweis/data/",
    "http://www.cs.nyu.edu/~roweis/data/",
)
# The hash of the pixels, frame by frame and row by row. We do not know the published file's.
FILES = (
    File(
        "frey_rawface.mat",
        "2438ba4f0d2a6bd8bac43de756141eaa33c8d248dd613d464bdb1210d9b7af78",
        None,
        ("freyfaces_1965x28x20_u8.npy",),
    ),
)
SIZES = [1565, 200, 200]


def load() -> Dataset:
    """`labels` holds each frame's place in the film."""
    import torch

    frames = np.frombuffer(files.read("frey_faces", FILES[0]), np.uint8).reshape(-1, 28 * 20)
    order = torch.from_numpy(np.random.RandomState(0).permutation(len(frames)))
    pixels = torch.from_numpy(frames.astype(np.float32) / 255)[order]
    names = ("train", "validation", "test")
    places = dict(zip(names, order.split(SIZES), strict=True))
    train, validation, test = pixels.split(SIZES)
    return Dataset("frey_faces", train, validation, test, (28, 20), places)
