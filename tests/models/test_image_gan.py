"""Generators and discriminators of images."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

from dgm.models.conv_classifier import ConvClassifier
from dgm.models.image_gan import (
    LEAK,
    ConvDiscriminator,
    ConvGenerator,
    FullGenerator,
    MaxoutDiscriminator,
    halvings,
)


@pytest.fixture(autouse=True)
def no_grad() -> Iterator[None]:
    torch.manual_seed(0)
    with torch.no_grad():
        yield


def test_maxout_units_are_the_largest_of_their_pieces() -> None:
    """Oracle: each unit by itself, from the rows of the weights that are its pieces."""
    net = MaxoutDiscriminator(pixels=6, units=4, pieces=3).eval()
    x = torch.rand(5, 6)
    h = x
    for layer in list(net.layers)[:-1]:
        assert isinstance(layer, nn.Linear)
        pieces = [[layer.weight[k * 4 + unit] for k in range(3)] for unit in range(4)]
        of_units = [torch.stack([h @ w for w in own]).max(0)[0] for own in pieces]
        h = torch.stack(of_units, 1)
    last = net.layers[-1]
    assert isinstance(last, nn.Linear)
    torch.testing.assert_close(net(x), (h @ last.weight.T)[:, 0])


def test_weights_of_a_piece_are_bounded_and_small_ones_kept() -> None:
    net = MaxoutDiscriminator(pixels=6, units=2, pieces=2)
    first = net.layers[0]
    assert isinstance(first, nn.Linear)
    small = first.weight[0].clone()
    first.weight[1] *= 3 * net.NORM / first.weight[1].norm()
    direction = first.weight[1] / first.weight[1].norm()
    net.bound()
    assert torch.equal(first.weight[0], small)
    torch.testing.assert_close(first.weight[1], direction * net.NORM)


def test_dropout_leaves_the_mean_of_a_linear_function() -> None:
    """With equal pieces a unit is linear, and so is the mean logit over masks."""
    net = MaxoutDiscriminator(pixels=3, units=1, pieces=1)
    x = torch.rand(1, 3)
    masked = net.train()(x.expand(400_000, 3))
    assert masked.std() > 0
    expected = net.eval()(x)
    assert masked.mean().item() == pytest.approx(expected.item(), rel=0.02)


def test_a_generator_that_starts_at_the_means() -> None:
    net = FullGenerator(latent_dim=3, hidden=8, pixels=5)
    means = torch.tensor([0.0, 0.1, 0.5, 0.9, 1.0])
    net.start_at(means)
    found = net(torch.zeros(2, 3))[1]
    torch.testing.assert_close(found, means.clamp(1e-3, 1 - 1e-3))


@pytest.mark.parametrize(("side", "times"), [(28, 2), (64, 4), (8, 1), (4, 0), (7, 0), (12, 2)])
def test_how_often_a_side_is_halved(side: int, times: int) -> None:
    assert halvings(side) == times


@pytest.mark.parametrize(
    ("shape", "channels", "widths"),
    [((28, 28), 1, [6, 3]), ((64, 64), 3, [24, 12, 6, 3]), ((28, 20), 1, [6, 3])],
)
def test_images_have_the_size_that_is_asked_for(shape: Any, channels: int, widths: Any) -> None:
    generator = ConvGenerator(5, shape, channels, filters=3)
    discriminator = ConvDiscriminator(shape, channels, filters=3)
    x = generator(torch.randn(4, 5))
    assert x.shape == (4, channels * shape[0] * shape[1])
    assert 0 <= x.min() < x.max() <= 1
    assert [norm.num_features for norm in generator.norms] == widths  # type: ignore[union-attr]
    assert discriminator(x).shape == (4,)


def test_one_image_is_judged_as_among_others_once_learning_is_over() -> None:
    """Batch normalisation then goes by its running averages."""
    generator, discriminator = ConvGenerator(5, (8, 8)), ConvDiscriminator((8, 8))
    z = torch.randn(6, 5)
    together = generator.eval()(z)
    torch.testing.assert_close(generator(z[2:3]), together[2:3])
    logits = discriminator.eval()(together)
    torch.testing.assert_close(discriminator(together[2:3]), logits[2:3])
    assert not torch.allclose(generator.train()(z), together)


def test_a_convolution_by_hand() -> None:
    """Oracle: the first layer's map as sums over patches of the padded image in [-1, 1]."""
    net = ConvDiscriminator((8, 8), filters=2).eval()
    x = torch.rand(1, 64)
    padded = nn.functional.pad((2 * x - 1).view(8, 8), (1, 1, 1, 1))
    first = net.body.layers[0]
    assert isinstance(first, nn.Conv2d)
    by_hand = torch.stack(
        [
            torch.stack(
                [(padded[2 * i : 2 * i + 4, 2 * j : 2 * j + 4] * w[0]).sum() for j in range(4)]
            )
            for w in first.weight
            for i in range(4)
        ]
    ).view(-1)
    torch.testing.assert_close(
        net.body(x)[0], torch.where(by_hand > 0, by_hand, LEAK * by_hand), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("shape", [(4, 4), (7, 28)])
def test_images_that_cannot_be_halved(shape: Any) -> None:
    with pytest.raises(ValueError, match=r"cannot be halved$"):
        ConvGenerator(5, shape)


def test_a_classifiers_logits_come_from_its_features() -> None:
    net = ConvClassifier((9, 8), classes=3, filters=2, features=5)
    x = torch.rand(4, 72)
    h = net.features(x)
    assert h.shape == (4, 5) and (h >= 0).all() and h.any()
    torch.testing.assert_close(net(x), h @ net.output.weight.T + net.output.bias)
