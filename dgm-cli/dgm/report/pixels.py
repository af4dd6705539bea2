"""Images as figures keep them; neither torch nor matplotlib is imported."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor


def grey(images: "Tensor", shape: tuple[int, int]) -> np.ndarray:
    """Rows of pixels in [0, 1] as 8-bit grey images, (n, rows, columns of pixels)."""
    pixels: np.ndarray = images.clamp(0, 1).mul(255).round().byte().cpu().numpy()
    return pixels.reshape(-1, *shape)


def picture(images: "Tensor", shape: tuple[int, int], channels: int = 1) -> np.ndarray:
    """As `grey`; of rows that hold three channels one after the other, (n, rows, columns, 3)."""
    if channels == 1:
        return grey(images, shape)
    rows, columns = shape
    stacked = grey(images, (channels * rows, columns)).reshape(-1, channels, rows, columns)
    return np.moveaxis(stacked, 1, -1)
