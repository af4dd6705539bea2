"""Images with their classes, for classifiers."""

from typing import NamedTuple

import torch
from torch import Tensor

from dgm.data.binarise import check_pixels
from dgm.data.dataset import Dataset
from dgm.errors import BadInput


class Labelled(NamedTuple):
    """Images (n, visible) in [0, 1] and their class numbers (n,), by split."""

    x: dict[str, Tensor]
    classes: dict[str, Tensor]

    @property
    def all(self) -> tuple[Tensor, Tensor]:
        """Training and validation images together, with their classes."""
        both = ("train", "validation")
        return torch.cat([self.x[s] for s in both]), torch.cat([self.classes[s] for s in both])


def labelled(data: Dataset, device: torch.device) -> Labelled:
    """A data set on a device; BadInput where it has no classes or pixels outside [0, 1]."""
    if not data.classes:
        raise BadInput(f"{data.name}: has no classes to learn")
    x = {"train": data.train, "validation": data.validation, "test": data.test}
    check_pixels(data.name, x)
    return Labelled(
        {name: pixels.to(device) for name, pixels in x.items()},
        {name: classes.to(device) for name, classes in data.labels.items()},
    )


def error_percent(predicted: Tensor, classes: Tensor) -> float:
    return 100 * (predicted != classes).double().mean().item()
