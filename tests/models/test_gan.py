"""Generators and discriminators."""

import math

import pytest
import torch
from torch import nn

from dgm.inference.quadrature import grid
from dgm.models.gan import Discriminator, Generator, MonotoneGenerator


@pytest.fixture
def bent() -> MonotoneGenerator:
    """A generator of two bumps."""
    torch.manual_seed(0)
    generator = MonotoneGenerator(5, mean=0.3, slope=0.5)
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.add_(torch.randn_like(parameter))
    return generator


@torch.no_grad()
def test_the_density_integrates_to_one_and_matches_a_histogram(bent: MonotoneGenerator) -> None:
    over = grid([-30.0], [30.0], 6001)
    p = bent.log_density(over.points).exp()
    assert over.integral(p).item() == pytest.approx(1, abs=1e-6)
    n, bins = 200_000, 40
    x = bent(torch.randn(n, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))
    edges = torch.linspace(-5, 5, bins + 1, dtype=torch.float64)
    share = torch.histogram(x[:, 0], edges).hist / n
    for k in range(bins):
        inside = grid([edges[k].item()], [edges[k + 1].item()], 101)
        expected = inside.integral(bent.log_density(inside.points).exp()).item()
        error = math.sqrt(expected * (1 - expected) / n)
        assert share[k].item() == pytest.approx(expected, abs=5 * error + 1e-6)


@torch.no_grad()
def test_the_inverse_undoes_the_map(bent: MonotoneGenerator) -> None:
    z = torch.linspace(-4, 4, 41, dtype=torch.float64)[:, None]
    torch.testing.assert_close(bent.inverse(bent(z)), z, atol=1e-10, rtol=0)


def test_the_slope_is_the_derivative(bent: MonotoneGenerator) -> None:
    z = torch.linspace(-3, 3, 31, dtype=torch.float64)[:, None].requires_grad_()
    (derivative,) = torch.autograd.grad(bent(z).sum(), z)
    torch.testing.assert_close(bent.slope(z), derivative[:, 0])
    assert (bent.slope(z) > 0).all()


@torch.no_grad()
def test_a_new_generator_is_about_normal() -> None:
    """Oracle: the mean asked for; its bends add a little to the slope."""
    generator = MonotoneGenerator(10, mean=3.0, slope=0.7)
    z = torch.tensor([[-1.0], [0.0], [1.0]], dtype=torch.float64)
    assert generator(z)[1].item() == pytest.approx(3.0, abs=1e-9)
    assert 0.7 < generator.slope(z).min() <= generator.slope(z).max() < 1.4


def test_shapes() -> None:
    z = torch.randn(7, 3)
    x = Generator(3, [8, 5], 2)(z)
    assert x.shape == (7, 2)
    d = Discriminator(2, [8])
    assert d(x).shape == (7,)
    assert sum(p.numel() for p in d.parameters()) == 2 * 8 + 8 + 8 + 1
    assert [type(layer) for layer in d] == [nn.Linear, nn.LeakyReLU, nn.Linear]
