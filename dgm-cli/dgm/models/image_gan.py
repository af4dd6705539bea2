"""Generators and discriminators of images: fully connected ones, and convolutional ones.

A generator maps noise z (n, latent_dim) to rows of pixels in [0, 1], (n, pixels); a discriminator
such rows to the logit of D, (n,). An image of several channels is a row channel after channel.

Fully connected, Goodfellow et al. (2014): two layers of rectified units and sigmoid pixels against
two layers of maxout units with dropout. Convolutional, Radford et al. (2016): strides in the place
of pooling, batch normalisation, rectified units against leaky ones.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, leaky_relu, relu

LEAK = 0.2  # slope of the discriminator's units below zero
STD = 0.02  # of a convolutional net's weights before learning
SMALLEST = 4  # pixels: smaller images are not halved
HEAD = 1  # outputs of a discriminator


# --- fully connected -----------------------------------------------------------------------------


class FullGenerator(nn.Module):
    """x = sigmoid(W_3 relu(W_2 relu(W_1 z + b_1) + b_2) + b_3), weights from U(-0.05, 0.05)."""

    RANGE = 0.05

    def __init__(self, latent_dim: int, hidden: int, pixels: int) -> None:
        super().__init__()
        self.config = {"latent_dim": latent_dim, "hidden": hidden, "pixels": pixels}
        self.latent_dim = latent_dim
        self.layers = nn.ModuleList(
            nn.Linear(below, above)
            for below, above in pairwise([latent_dim, hidden, hidden, pixels])
        )
        for layer in self.layers:
            uniform(layer, self.RANGE)

    def start_at(self, means: Tensor) -> None:
        """Let the output's biases alone give these means of the pixels, (pixels,)."""
        last = self.layers[-1]
        assert isinstance(last, nn.Linear)
        last.bias.data.copy_(torch.logit(means, eps=1e-3))

    def forward(self, z: Tensor) -> Tensor:
        first, second, last = self.layers
        pixels: Tensor = last(relu(second(relu(first(z)))))
        return pixels.sigmoid()


class MaxoutDiscriminator(nn.Module):
    """Two layers of maxout units, each the largest of `pieces` linear functions, and a logit.

    In training, pixels stay with probability 0.8 and units with 0.5, and what stays is divided by
    that. After a step `bound()` shrinks the weights of a piece whose norm is above `NORM`.
    """

    RANGE, PIXELS, UNITS, NORM = 0.005, 0.8, 0.5, 1.9365

    def __init__(self, pixels: int, units: int, pieces: int) -> None:
        super().__init__()
        self.config = {"pixels": pixels, "units": units, "pieces": pieces}
        self.pieces = pieces
        sizes = [(pixels, units * pieces), (units, units * pieces), (units, HEAD)]
        self.layers = nn.ModuleList(nn.Linear(below, above) for below, above in sizes)
        for layer in self.layers:
            uniform(layer, self.RANGE)

    def forward(self, x: Tensor) -> Tensor:
        h = dropout(x, 1 - self.PIXELS, self.training)
        for layer in self.layers[:-1]:
            # Pieces before units, so that the largest of them are found in whole vectors.
            h = layer(h).view(len(h), self.pieces, -1).amax(1)
            h = dropout(h, 1 - self.UNITS, self.training)
        logits: Tensor = self.layers[-1](h)
        return logits[:, 0]

    @torch.no_grad()
    def bound(self) -> None:
        """Scale down the weights of each piece to a norm of at most `NORM`."""
        for layer in self.layers[:-1]:
            assert isinstance(layer, nn.Linear)
            norms = layer.weight.norm(dim=1, keepdim=True)
            layer.weight.mul_((self.NORM / norms).clamp(max=1))


def uniform(layer: nn.Module, within: float) -> None:
    """Weights from U(-within, within) and no bias."""
    assert isinstance(layer, nn.Linear)
    nn.init.uniform_(layer.weight, -within, within)
    nn.init.zeros_(layer.bias)


# --- convolutional -------------------------------------------------------------------------------


def halvings(side: int) -> int:
    """How often an image's side is halved: while it is even and more than four pixels."""
    times = 0
    while side % 2 == 0 and side > SMALLEST:
        side, times = side // 2, times + 1
    return times


class _Images:
    """The sizes of an image and of its smallest map, and the numbers of filters between them."""

    def __init__(self, shape: Sequence[int], channels: int, filters: int) -> None:
        times = min(map(halvings, shape))
        if not times:
            raise ValueError(f"images of {shape[0]} x {shape[1]} pixels cannot be halved")
        self.shape, self.channels = tuple(shape), channels
        self.filters = [filters * 2**i for i in range(times)]  # from the image inwards
        self.smallest = shape[0] // 2**times, shape[1] // 2**times

    @property
    def inner(self) -> int:
        """Numbers in the smallest map."""
        return self.filters[-1] * math.prod(self.smallest)


class ConvGenerator(nn.Module):
    """Noise to the smallest map, which each layer then doubles: 4 x 4 kernels, stride 2.

    Batch normalisation and rectified units between layers; the pixels are (tanh + 1) / 2.
    `filters` of the last map before the image, twice as many of each smaller one.
    """

    def __init__(
        self, latent_dim: int, shape: Sequence[int], channels: int = 1, filters: int = 64
    ) -> None:
        super().__init__()
        self.config: dict[str, Any] = {"latent_dim": latent_dim, "shape": list(shape)}
        self.config |= {"channels": channels, "filters": filters}
        self.latent_dim, self.sizes = latent_dim, _Images(shape, channels, filters)
        widths = self.sizes.filters[::-1]
        self.first = nn.Linear(latent_dim, self.sizes.inner, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in widths)
        self.layers = nn.ModuleList(
            nn.ConvTranspose2d(below, above, 4, 2, 1, bias=i == len(widths) - 1)
            for i, (below, above) in enumerate(pairwise([*widths, channels]))
        )
        start(self)

    def forward(self, z: Tensor) -> Tensor:
        h = self.first(z).view(len(z), -1, *self.sizes.smallest)
        for norm, layer in zip(self.norms, self.layers, strict=True):
            h = layer(relu(norm(h), inplace=True))
        return h.tanh().add(1).div(2).flatten(1)


class ConvBody(nn.Module):
    """Pixels to the smallest map, (n, inner): each layer halves, 4 x 4 kernels, stride 2.

    Leaky units; batch normalisation in all layers but the first.
    """

    def __init__(self, shape: Sequence[int], channels: int = 1, filters: int = 64) -> None:
        super().__init__()
        self.sizes = _Images(shape, channels, filters)
        self.inner = self.sizes.inner
        widths = [channels, *self.sizes.filters]
        self.layers = nn.ModuleList(
            nn.Conv2d(below, above, 4, 2, 1, bias=i == 0)
            for i, (below, above) in enumerate(pairwise(widths))
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in widths[2:])

    def forward(self, x: Tensor) -> Tensor:
        h = (2 * x - 1).view(len(x), self.sizes.channels, *self.sizes.shape)
        h = leaky_relu(self.layers[0](h), LEAK, inplace=True)
        for norm, layer in zip(self.norms, self.layers[1:], strict=True):
            h = leaky_relu(norm(layer(h)), LEAK, inplace=True)
        return h.flatten(1)


class ConvDiscriminator(nn.Module):
    """The logit of D from a `ConvBody`."""

    def __init__(self, shape: Sequence[int], channels: int = 1, filters: int = 64) -> None:
        super().__init__()
        self.config: dict[str, Any] = {"shape": list(shape), "channels": channels}
        self.config |= {"filters": filters}
        self.body = ConvBody(shape, channels, filters)
        self.head = nn.Linear(self.body.inner, HEAD)
        start(self)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.body(x))
        return logits[:, 0]


def start(net: nn.Module) -> None:
    """Weights from N(0, 0.02^2), the scales of batch normalisation from N(1, 0.02^2), no biases."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, STD)
        elif isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, STD)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
