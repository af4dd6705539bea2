"""What the net of digits is made to show: digits far from all others."""

import numpy as np
import pandas as pd
import torch

from dgm.experiments.dbn_samples import report
from dgm.models.neighbours import nearest_distance


def test_distances_to_the_nearest() -> None:
    generator = torch.Generator().manual_seed(0)
    train, x = torch.rand(300, 5, generator=generator), torch.rand(130, 5, generator=generator)
    expected = torch.cdist(x, train).amin(1)
    torch.testing.assert_close(nearest_distance(train, x), expected, atol=1e-3, rtol=0)
    assert nearest_distance(train, train[:3]).max() < 1e-3


def test_unusual_digits_stand_apart_and_are_told_what_they_are() -> None:
    images = np.arange(43 * 6, dtype=np.uint8).reshape(43, 2, 3)
    about = pd.Series({"least_distance_shown": 6.7312, "mean_distance": 4.2})
    (axes,) = report.unusual_figure(images, about).axes
    shown = np.asarray(axes.images[0].get_array())
    assert shown.shape == (2 * 3, 20 * 4)  # what does not fill a line of 20 is left out
    np.testing.assert_array_equal(shown[3:5, 4:7], images[21])
    assert (shown[2::3] == 255).all() and (shown[:, 3::4] == 255).all()
    assert axes.get_title() == (
        "The 40 recognised test digits farthest from all training digits\n"
        "(distance to the nearest at least 6.73; mean of all recognised 4.20)"
    )
