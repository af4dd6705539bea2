"""Images with their classes."""

import pytest
import torch
from torch import Tensor

from dgm.data.dataset import Dataset
from dgm.data.labelled import error_percent, labelled
from dgm.errors import BadInput


def test_error_percent() -> None:
    assert error_percent(torch.tensor([1, 2, 3, 4]), torch.tensor([1, 2, 3, 0])) == 25


def test_bad_images_are_refused() -> None:
    def images(pixels: Tensor, classes: int = 2) -> Dataset:
        labels = {split: torch.tensor([0, 1]) for split in ("train", "validation", "test")}
        return Dataset("x", pixels, pixels, pixels, (1, 2), labels, classes)

    cpu = torch.device("cpu")
    good = labelled(images(torch.rand(2, 2)), cpu)
    assert len(good.all[0]) == len(good.all[1]) == 4
    with pytest.raises(BadInput, match=r"x/train: pixels from 0 to 2, not in \[0, 1\]"):
        labelled(images(torch.tensor([[0.0, 1.0], [2.0, 0.0]])), cpu)
    with pytest.raises(BadInput, match="x: has no classes"):
        labelled(images(torch.rand(2, 2), classes=0), cpu)
