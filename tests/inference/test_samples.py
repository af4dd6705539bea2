"""How samples are judged: Parzen windows, the Frechet distance, copies."""

import math

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from scipy.stats import gaussian_kde

from dgm.inference.copies import nearest, share_of_copies
from dgm.inference.frechet import classifier_score, frechet_distance
from dgm.inference.parzen import log_likelihoods


def draws(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


# --- Parzen windows --------------------------------------------------------------------------


def test_a_window_against_scipys_kernel_density() -> None:
    """Oracle: `gaussian_kde`, whose kernel is the samples' covariance times a factor: of samples
    with the covariance I it is a round one."""
    raw = draws(0, 40, 3)
    centred = raw - raw.mean(0)
    white = centred @ torch.linalg.inv(torch.linalg.cholesky(centred.T.cov())).T
    x = draws(1, 1200, 3)
    bandwidths = [0.1, 0.4, 1.0]
    found = log_likelihoods(white, x, bandwidths)
    for sigma, rows in zip(bandwidths, found, strict=True):
        expected = gaussian_kde(white.numpy().T, bw_method=sigma).logpdf(x.numpy().T)
        np.testing.assert_allclose(rows.numpy(), expected, rtol=1e-9)


def test_a_window_of_one_sample_is_its_gaussian() -> None:
    x, sample, sigma = torch.tensor([[0.2, 0.5]]), torch.tensor([[0.1, 0.3]]), 0.25
    expected = -(0.1**2 + 0.2**2) / (2 * sigma**2) - math.log(2 * math.pi * sigma**2)
    assert log_likelihoods(sample, x, [sigma]).item() == pytest.approx(expected, rel=1e-6)


def test_single_precision_is_enough_for_images() -> None:
    samples, x = draws(2, 300, 784).sigmoid(), draws(3, 50, 784).sigmoid()
    exact = log_likelihoods(samples, x, [0.1, 0.2])
    rounded = log_likelihoods(samples.float(), x.float(), [0.1, 0.2]).double()
    torch.testing.assert_close(rounded, exact, rtol=0, atol=0.05)


# --- features ----------------------------------------------------------------------------------


def test_the_distance_against_the_closed_form_of_two_gaussians() -> None:
    """Oracle: samples that have exactly these moments, and the trace of a matrix root by scipy."""
    moments = []
    made = []
    for seed, n in ((0, 200), (1, 350)):
        raw = draws(seed, n, 4)
        centred = raw - raw.mean(0)
        white = centred @ torch.linalg.inv(torch.linalg.cholesky(centred.T.cov())).T
        scale, mean = draws(seed + 2, 4, 4), draws(seed + 4, 4)
        made.append(white @ scale.T + mean)
        moments.append((mean.numpy(), (scale @ scale.T).numpy()))
    (m1, c1), (m2, c2) = moments
    expected = ((m1 - m2) ** 2).sum() + np.trace(c1 + c2 - 2 * sqrtm(c1 @ c2).real)
    assert frechet_distance(*made) == pytest.approx(expected, rel=1e-8)


def test_the_distance_of_gaussians_on_the_line() -> None:
    """Oracle: (m_1 - m_2)^2 + (s_1 - s_2)^2."""
    x = draws(0, 100, 1)
    assert frechet_distance(x, 3 * x + 2) == pytest.approx(
        ((2 * x.mean() + 2) ** 2 + (2 * x.std()) ** 2).item()
    )


def test_no_distance_where_a_feature_never_varies() -> None:
    x = torch.cat([draws(0, 50, 2), torch.ones(50, 1, dtype=torch.float64)], 1)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-10)


def test_the_score_of_sure_and_of_unsure_classifiers() -> None:
    """Ten classes that are sure and equally frequent have 10, one class or no idea 1."""
    sure = torch.eye(10).repeat(5, 1).clamp(min=1e-30).log()
    assert classifier_score(sure) == pytest.approx(10)
    assert classifier_score(sure[:1].repeat(9, 1)) == pytest.approx(1)
    assert classifier_score(torch.full((6, 10), 0.1).log()) == pytest.approx(1)
    two = torch.tensor([[0.9, 0.1], [0.4, 0.6]], dtype=torch.float64)
    kl = (two * (two / two.mean(0)).log()).sum(1).mean()
    assert classifier_score(two.log()) == pytest.approx(kl.exp().item())


# --- copies ------------------------------------------------------------------------------------


def test_copies_are_nearer_than_the_nearest_neighbour() -> None:
    """Of the points 0, 10 and 13 the nearest others are 10, 3 and 3 away."""
    train = torch.tensor([[0.0], [10.0], [13.0]])
    x = torch.tensor([[4.0], [6.0], [9.0], [17.0]])  # 4, 4, 1 and 4 from the nearest
    assert nearest(train, x).tolist() == [0, 1, 1, 2]
    assert share_of_copies(train, x) == 0.5


def test_training_images_are_copies_and_far_ones_are_none() -> None:
    train = draws(0, 30, 5)
    assert share_of_copies(train, train[:7] + 1e-6) == 1
    assert share_of_copies(train, train[:7] + 100) == 0
