"""Mixtures of Gaussians: their density and their draws."""

import math
import re
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from dgm import data
from dgm.data.mixture import mixture, ring
from dgm.errors import BadInput


def bent() -> Any:
    covariances = [[[1.0, 0.8], [0.8, 2.0]], [[0.5, 0.0], [0.0, 0.1]]]
    return mixture("bent", [0.3, 0.7], [[0.0, 1.0], [-2.0, 3.0]], covariances)


def test_the_density_is_the_sum_of_its_gaussians() -> None:
    """Oracle: scipy."""
    found = bent()
    x = np.random.RandomState(0).randn(50, 2) * 2
    terms = zip(found.weights, found.means, found.covariances, strict=True)
    p = sum(w.item() * stats.multivariate_normal(m, c).pdf(x) for w, m, c in terms)
    torch.testing.assert_close(found.log_density(torch.from_numpy(x)).exp(), torch.from_numpy(p))


def test_draws_have_its_moments() -> None:
    """Oracle: the mixture's mean and covariance, within five standard errors."""
    found, n = bent(), 40_000
    x = found.sample(n, torch.Generator().manual_seed(0))
    w = found.weights[:, None]
    mean = (w * found.means).sum(0)
    second = found.covariances + found.means[:, :, None] * found.means[:, None, :]
    covariance = (w[:, :, None] * second).sum(0) - torch.outer(mean, mean)
    error = 5 * (covariance.diagonal() / n).sqrt()
    assert ((x.mean(0) - mean).abs() < error).all()
    torch.testing.assert_close(x.T.cov(), covariance, atol=0.05, rtol=0.05)


def test_the_ring() -> None:
    found = data.load("ring")
    assert found.sizes == "8 Gaussians in 2 dimensions"
    torch.testing.assert_close(found.means.norm(dim=1), torch.ones(8).double())
    gaps = torch.cdist(found.means, found.means).sort(1).values[:, 1]
    torch.testing.assert_close(gaps, torch.full((8,), 2 * math.sin(math.pi / 8)).double())
    assert found.covariances.diagonal(dim1=1, dim2=2).sqrt().unique().tolist() == [0.01]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"modes": 0}, "ring: modes 0: should be above 0"),
        ({"std": -0.1}, "ring: std -0.1: should be above 0"),
        ({"radius": 0.0}, "ring: radius 0.0: should be above 0"),
    ],
)
def test_rings_that_are_none(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(BadInput, match=f"^{re.escape(complaint)}$"):
        ring("ring", **{"modes": 8, "radius": 1.0, "std": 0.01, **change})


@pytest.mark.parametrize(
    ("weights", "covariance", "complaint"),
    [
        ([], [[1.0]], "as many weights"),
        ([0.9], [[1.0]], r"weights \[0.9\]: should be above 0 and sum to 1"),
        ([1.0], [[-1.0]], "positive definite"),
        ([1.0], [[1.0, 0.0], [0.0, 1.0]], "as wide as the means"),
        ([1.0], [[1.0, 0.5]], "symmetric"),
    ],
)
def test_mixtures_that_are_none(weights: Any, covariance: Any, complaint: str) -> None:
    with pytest.raises(BadInput, match=f"^odd: .*{complaint}"):
        mixture("odd", weights, [[0.0]], [covariance])
