"""Images moved by a few pixels, so that a net hardly ever sees the same image twice."""

import torch
from torch import Tensor
from torch.nn.functional import pad


def shifted(x: Tensor, shape: tuple[int, int], most: int, generator: torch.Generator) -> Tensor:
    """Each image of x (n, height * width) moved by -most .. most pixels up and to the side.

    Both moves are drawn uniformly for each image. Uncovered pixels are 0; pixels moved over the
    edge are lost.
    """
    height, width = shape
    padded = pad(x.view(-1, height, width), (most,) * 4)
    moves = torch.randint(0, 2 * most + 1, (2, len(x), 1), generator=generator, device=x.device)
    rows = moves[0] + torch.arange(height, device=x.device)
    columns = moves[1] + torch.arange(width, device=x.device)
    images = torch.arange(len(x), device=x.device)
    return padded[images[:, None, None], rows[:, :, None], columns[:, None]].view_as(x)
