"""Integrals and divergences against closed forms."""

import math

import pytest
import torch
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from dgm.inference.quadrature import grid, jensen_shannon, kl


def test_integrals_of_polynomials_and_boxes() -> None:
    over = grid([0.0, -1.0], [2.0, 1.0], 201)
    x, y = over.points.T
    assert over.points.shape == (201 * 201, 2)
    assert over.integral(torch.ones_like(x)).item() == pytest.approx(4)
    assert over.integral(x * (y + 1)).item() == pytest.approx(4)
    assert over.integral(x**2).item() == pytest.approx(16 / 3, rel=1e-4)


def test_kl_of_gaussians_is_the_closed_form() -> None:
    """Oracle: torch.distributions, in one and in two dimensions."""
    p, q = Normal(0.3, 0.5), Normal(-0.2, 0.8)
    over = grid([-12.0], [12.0], 4001)
    x = over.points[:, 0]
    found = kl(p.log_prob(x), q.log_prob(x), over).item()
    assert found == pytest.approx(kl_divergence(p, q).item(), abs=1e-6)

    one, two = torch.eye(2), torch.tensor([[1.0, 0.6], [0.6, 1.5]])
    p2 = MultivariateNormal(torch.zeros(2).double(), one.double())
    q2 = MultivariateNormal(torch.ones(2).double(), two.double())
    plane = grid([-10.0, -10.0], [10.0, 10.0], 401)
    found = kl(p2.log_prob(plane.points), q2.log_prob(plane.points), plane).item()
    assert found == pytest.approx(kl_divergence(p2, q2).item(), abs=1e-9)


def test_jensen_shannon_from_alike_to_apart() -> None:
    over = grid([-40.0], [40.0], 16_001)
    x = over.points[:, 0]
    at = [Normal(mean, 1.0).log_prob(x) for mean in (0.0, 0.5, 20.0)]
    assert jensen_shannon(at[0], at[0], over).item() == pytest.approx(0, abs=1e-12)
    assert jensen_shannon(at[0], at[2], over).item() == pytest.approx(math.log(2), abs=1e-9)
    between = jensen_shannon(at[0], at[1], over).item()
    assert between == pytest.approx(jensen_shannon(at[1], at[0], over).item())
    # Near zero it is an eighth of chi-squared, which is about the squared distance of the means.
    assert between == pytest.approx(0.5**2 / 8, rel=0.05)
