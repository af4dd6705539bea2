"""Compiled passes against the formulas in double precision, and against autograd."""

import pytest
import torch
from torch import Tensor

from dgm.fast.loops import (
    Units,
    activation_backward,
    column_sums,
    d_reparameterised,
    reparameterise,
    squared_distance,
)


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("rows", [1, 4, 7, 100])  # four rows at a time, and what is left of them
def test_sums_of_columns(rows: int) -> None:
    d, sums = drawn(rows, 13), torch.full((13,), torch.nan)
    column_sums(d, sums, 0.3)
    torch.testing.assert_close(sums, (0.3 * d.double().sum(0)).float())


@pytest.mark.parametrize("units", ["tanh", "logistic"])
@pytest.mark.parametrize("summed", [True, False])
def test_the_derivative_of_units(units: Units, summed: bool) -> None:
    pre = drawn(7, 13).requires_grad_()
    hidden = torch.tanh(pre) if units == "tanh" else torch.sigmoid(pre)
    d, sums = drawn(7, 14)[:, :13].contiguous(), torch.full((13,), torch.nan)
    hidden.backward(d)
    assert pre.grad is not None
    found = activation_backward(units, hidden.detach(), d, sums if summed else None, 0.3)
    assert found is d
    torch.testing.assert_close(d, pre.grad)
    if summed:
        torch.testing.assert_close(sums, 0.3 * pre.grad.sum(0))


def test_a_sample_and_the_derivative_through_it() -> None:
    """Of a bound whose log p(x|z) is g . z."""
    output, noise, g = drawn(5, 6).requires_grad_(), drawn(5, 3), drawn(3, 5).t().contiguous()
    mean, log_variance = output.chunk(2, dim=1)
    sample = mean + torch.exp(0.5 * log_variance) * noise
    kl = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum()
    ((g * sample).sum() - kl).backward()
    z, shift = reparameterise(output.detach(), noise)
    torch.testing.assert_close(z, sample.detach())
    torch.testing.assert_close(shift, (sample - mean).detach())
    torch.testing.assert_close(d_reparameterised(output.detach(), shift, g), output.grad)


def test_the_mean_of_squared_distances() -> None:
    x, y = drawn(7, 13), drawn(13, 7).t()
    found = squared_distance(x, y)
    assert found.shape == () and found.dtype == x.dtype
    torch.testing.assert_close(found, (x.double() - y.double()).square().sum(1).mean().float())


def test_nothing_is_left_out_of_what_has_no_number() -> None:
    """A diverged net must be seen to have: the loops are compiled for speed, and keep NaN."""
    d, sums = torch.full((4, 2), torch.nan), torch.zeros(2)
    activation_backward("tanh", torch.zeros(4, 2), d, sums, 1.0)
    assert d.isnan().all() and sums.isnan().all()
    assert squared_distance(d, torch.zeros(4, 2)).isnan()
