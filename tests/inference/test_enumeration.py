"""Enumerated RBMs, against the definition of their energy, differences and samplers."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from dgm.inference.enumeration import Enumerated, fit_exactly
from dgm.learning.contrastive_divergence import ContrastiveDivergence
from dgm.models.rbm import RBM


def random_rbm(visible: int = 4, hidden: int = 3, std: float = 1.0, seed: int = 0) -> RBM:
    rbm = RBM(visible, hidden)
    rbm.flat.normal_(0.0, std, generator=torch.Generator().manual_seed(seed))
    return rbm


def all_states(n: int) -> Tensor:
    """In the order of `Enumerated`: the first unit varies fastest."""
    states = [bits[::-1] for bits in itertools.product([0.0, 1.0], repeat=n)]
    return torch.tensor(states, dtype=torch.float64)


def test_distributions_are_those_of_the_energy() -> None:
    rbm = random_rbm()
    W, a, b = (rbm.parameters[name].double() for name in ("W", "a", "b"))
    exact = Enumerated(rbm)
    v, h = all_states(4), all_states(3)
    assert torch.equal(exact.v, v) and torch.equal(exact.h, h)
    weight = torch.exp(
        torch.tensor([[(x @ W @ y + a @ x + b @ y).item() for y in h] for x in v]).double()
    )
    joint = weight / weight.sum()
    torch.testing.assert_close(exact.log_p_v.exp(), joint.sum(1), atol=1e-7, rtol=0)
    torch.testing.assert_close(exact.log_p_h.exp(), joint.sum(0), atol=1e-7, rtol=0)
    torch.testing.assert_close(exact.up, joint / joint.sum(1, keepdim=True), atol=1e-6, rtol=0)
    down = (joint / joint.sum(0)).t()
    torch.testing.assert_close(exact.down, down, atol=1e-6, rtol=0)
    p = exact.log_p_v.exp()
    torch.testing.assert_close(exact.gibbs(p, 5), p)  # which it leaves as it is
    rows = v[[3, 3, 9, 0]].float()
    assert exact.empirical(rows).nonzero()[:, 0].tolist() == [0, 3, 9]
    assert exact.empirical(rows)[3] == 0.5


def test_the_exact_gradient_is_the_derivative() -> None:
    """Oracle: central differences of the log-likelihood."""
    rbm = random_rbm()
    exact = Enumerated(rbm)
    p = exact.empirical(all_states(4)[[1, 5, 6, 6]].float())
    gradient = exact.gradient(p)
    for i in range(0, len(rbm.flat), 3):
        values = []
        for shift in (0.01, -0.01):
            moved = random_rbm()
            moved.flat[i] += shift
            values.append((p @ Enumerated(moved).log_p_v).item())
        assert gradient[i].item() == pytest.approx((values[0] - values[1]) / 0.02, abs=2e-4)


def test_the_expectation_of_cd() -> None:
    """Oracle: the sampler itself, many times from the same data; and the exact gradient for k
    so large that the chain has forgotten them."""
    rbm = random_rbm(std=0.7)
    exact = Enumerated(rbm)
    x = all_states(4)[[1, 5, 6, 6]].float()
    expected = exact.contrastive_divergence(exact.empirical(x), 2)
    before = rbm.flat.clone()
    learner = ContrastiveDivergence(rbm, 2, 1.0, torch.Generator().manual_seed(0))
    learner.update(x.repeat(20_000, 1), torch.empty(0))
    torch.testing.assert_close((rbm.flat - before).double(), expected, atol=0.01, rtol=0)
    p = exact.empirical(x)
    torch.testing.assert_close(exact.contrastive_divergence(p, 500), exact.gradient(p))


def test_fitting_exactly_never_falls() -> None:
    rbm = random_rbm(4, 3, std=0.1)
    p = Enumerated(rbm).empirical(all_states(4)[[0, 15]].float())
    path = fit_exactly(rbm, p, 30)
    values = []
    for parameters in path:
        rbm.flat.copy_(parameters)
        values.append((p @ Enumerated(rbm).log_p_v).item())
    assert len(path) > 5
    assert all(later >= earlier for earlier, later in itertools.pairwise(values))
    assert values[-1] == pytest.approx(-math.log(2), abs=0.05)  # two states


def test_too_many_units_are_refused() -> None:
    with pytest.raises(ValueError, match="enumerating 21 units"):
        Enumerated(RBM(10, 11))
