"""Gaussians fitted in either direction against closed forms."""

import pytest
import torch

from dgm.data.mixture import mixture
from dgm.inference.quadrature import grid
from dgm.learning.gaussian_fit import Direction, fit

SIGMA = [[1.0, 0.7], [0.7, 0.8]]
ONE = mixture("one", [1.0], [[0.4, -0.3]], [SIGMA])
OVER = grid([-8.0, -8.0], [8.0, 8.0], 161)


def start(x: float, y: float) -> torch.Tensor:
    return torch.tensor([x, y], dtype=torch.float64)


@pytest.mark.parametrize("direction", ["model_data", "data_model"])
def test_a_gaussian_is_fitted_exactly(direction: Direction) -> None:
    found = fit(ONE, direction, False, start(2.0, 1.0), OVER)
    torch.testing.assert_close(found.mean, ONE.means[0], atol=1e-6, rtol=0)
    torch.testing.assert_close(found.covariance, ONE.covariances[0], atol=1e-6, rtol=0)
    assert found.divergence == pytest.approx(0, abs=1e-9)


def test_a_factorised_gaussian_has_bishops_variances() -> None:
    """Oracle: 1 / Lambda_ii and Sigma_ii (Bishop 2006, section 10.1.2)."""
    sigma = ONE.covariances[0]
    expected: dict[Direction, torch.Tensor] = {
        "model_data": 1 / sigma.inverse().diagonal(),
        "data_model": sigma.diagonal(),
    }
    for direction, variances in expected.items():
        found = fit(ONE, direction, True, start(-1.0, 1.0), OVER)
        torch.testing.assert_close(found.covariance, variances.diag(), atol=1e-6, rtol=0)
        # Both divergences are -log(1 - correlation^2) / 2.
        rho2 = sigma[0, 1] ** 2 / (sigma[0, 0] * sigma[1, 1])
        assert found.divergence == pytest.approx(-0.5 * (1 - rho2).log().item(), abs=1e-8)


def test_each_hill_is_an_optimum_of_the_direction_that_seeks() -> None:
    """Oracle: a mixture of two far hills, of which P takes one and pays minus its weight's log."""
    small = [[0.3, 0.0], [0.0, 0.3]]
    far = mixture("far", [0.7, 0.3], [[-3.0, 0.0], [3.0, 0.0]], [small, small])
    for x, weight in ((-2.0, 0.7), (2.0, 0.3)):
        found = fit(far, "model_data", False, start(x, 0.5), OVER)
        assert found.mean[0].item() == pytest.approx(3.0 if x > 0 else -3.0, abs=1e-4)
        assert found.divergence == pytest.approx(-torch.tensor(weight).log().item(), abs=1e-4)
    found = fit(far, "data_model", False, start(2.0, 0.5), OVER)
    assert found.mean[0].item() == pytest.approx(3.0 * (0.3 - 0.7), abs=1e-6)
    assert found.covariance[0, 0].item() == pytest.approx(0.3 + 36 * 0.7 * 0.3, abs=1e-5)
