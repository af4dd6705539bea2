"""What a net of digits is made to show, and what judges it."""

import numpy as np
import pandas as pd
import pytest
import torch

from dgm.experiments.dbn_samples import report
from dgm.models.neighbours import nearest_distance
from dgm.report.tables import Results


def test_distances_to_the_nearest() -> None:
    generator = torch.Generator().manual_seed(0)
    train, x = torch.rand(300, 5, generator=generator), torch.rand(130, 5, generator=generator)
    expected = torch.cdist(x, train).amin(1)
    torch.testing.assert_close(nearest_distance(train, x), expected, atol=1e-3, rtol=0)
    assert nearest_distance(train, train[:3]).max() < 1e-3


def test_unusual_digits_are_told_what_they_are() -> None:
    images = np.arange(13 * 6, dtype=np.uint8).reshape(13, 2, 3)
    about = pd.Series({"least_distance_shown": 6.7312, "mean_distance": 4.2})
    figure = report.unusual_figure(images, np.arange(13) % 10, about)
    assert [axes.get_title() for axes in figure.axes] == [str(i % 10) for i in range(13)]
    for axes, image in zip(figure.axes, images, strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), image)
    assert figure.get_suptitle() == (
        "The 13 recognised test digits farthest from all training digits\n"
        "(distance to the nearest at least 6.73; mean of all recognised 4.20)"
    )


def test_the_judge_and_the_net_err_with_a_test_sets_share() -> None:
    """The judge on 3 of 100 images, the net on 1: sqrt(p (1 - p) / N), in percent."""
    cell = {"trial": "t", "data": "mnist", "seed": 0}
    distances = {"least_distance_shown": 6.0, "mean_distance": 4.0}
    tables = {
        "judge": pd.DataFrame([{**cell, "errors": 3, "images": 100}]),
        "recognised": pd.DataFrame([{**cell, "errors": 1, "images": 100, **distances}]),
    }
    found = {each.metric: each for each in report.summarise(Results(tables))}
    assert [found[name].value for name in ("judge_error", "test_error")] == [3.0, 1.0]
    shares = [found[name].test_stderr for name in ("judge_error", "test_error")]
    assert shares == pytest.approx([1.70587221, 0.99498744])
    assert found["mean_distance"].value == 4.0


def test_the_worst_label_is_of_its_own_samples() -> None:
    cell = {"trial": "t", "data": "mnist", "seed": 0}
    rows = [
        {**cell, "sample": sample, "label": label, "agree": agree}
        for sample, label, agree in ((1, 0, 1.0), (1, 1, 0.9), (2, 0, 1.0), (2, 1, 0.5))
    ]
    found = {m.metric: m.value for m in report.summarise(Results({"judged": pd.DataFrame(rows)}))}
    assert found == {
        "clamped_label_agreement": pytest.approx(0.85),
        "clamped_label_agreement/worst_label": pytest.approx(0.7),
    }
