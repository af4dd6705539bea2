"""The bars of Hinton, Dayan, Frey & Neal (1995): 4 x 4 images of vertical or of horizontal bars.

Bars are vertical with probability 2/3; each of the four is there with probability 0.2. Every split
is the distribution itself: an image comes as often as 1875 times its probability says, which is a
whole number; their order is one fixed permutation.
"""

import numpy as np

from dgm.data.dataset import Dataset

TITLE = "Bars"
REVISION = 1
SIDE = 4


def load() -> Dataset:
    import torch

    bars = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * SIDE)
    times = 4 ** (SIDE - bars.sum(1).long())  # 0.2 and 0.8 are as 1 to 4
    vertical = bars[:, None, :].expand(-1, SIDE, SIDE).reshape(-1, SIDE**2)
    horizontal = bars[:, :, None].expand(-1, SIDE, SIDE).reshape(-1, SIDE**2)
    x = torch.cat(
        [vertical.repeat_interleave(2 * times, 0), horizontal.repeat_interleave(times, 0)]
    )
    x = x[torch.from_numpy(np.random.RandomState(0).permutation(len(x)))]
    return Dataset("bars", x, x, x, (SIDE, SIDE))
