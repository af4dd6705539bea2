"""Images as figures keep them."""

import numpy as np
import torch

from dgm.report.pixels import grey


def test_grey_images_are_bytes() -> None:
    found = grey(torch.tensor([[0.0, 0.5, 1.0, 1.2], [-0.1, 1 / 255, 0.25, 0.75]]), (2, 2))
    assert found.dtype == np.uint8
    assert found.tolist() == [[[0, 128], [255, 255]], [[0, 1], [64, 191]]]
