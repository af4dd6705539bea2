"""Bars and stripes (MacKay 2003, chapter 43): small enough that an RBM of them can be enumerated.

All images of 3 x 3 binary pixels in which every row is uniform or every column is: 14, equally
likely. Every split holds all of them, since a model is to learn their distribution.
"""

from dgm.data.dataset import Dataset

TITLE = "Bars and stripes"
REVISION = 1
SIDE = 3


def load() -> Dataset:
    import torch

    lines = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * SIDE)
    bars = lines[:, :, None].expand(-1, SIDE, SIDE)
    x = torch.unique(torch.cat([bars, bars.mT]).reshape(-1, SIDE * SIDE), dim=0)
    return Dataset("bars_and_stripes", x, x, x, (SIDE, SIDE))
