"""Loops of binary units, against torch in double precision."""

import pytest
import torch
from torch.nn.functional import softplus

from dgm.fast.loops import bernoulli_terms, sweep


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape) + seed))


@pytest.mark.parametrize("n", [1, 63, 64, 200])  # runs of 64, and what is left of them
@pytest.mark.parametrize("each", [1, 3])
@pytest.mark.parametrize("scale", [0.0, 1.0, 30.0, 1000.0])
def test_log_probabilities_of_units(n: int, each: int, scale: float) -> None:
    pre, states = scale * drawn(6, n), (drawn(6 // each, n, seed=1) > 0).float()
    s, z = states.repeat_interleave(each, 0).double(), pre.double()
    log_p = bernoulli_terms(pre, states)
    torch.testing.assert_close(log_p.double(), (s * z - softplus(z)).sum(1), atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(pre.double(), s - z.sigmoid(), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("scale", [1.0, 0.3])
def test_a_sweep_draws_each_unit_given_all_others(scale: float) -> None:
    W, b = drawn(5, 70), drawn(70)
    h, drive = (drawn(200, 5) > 0).float(), drawn(200, 5, seed=1)
    noise = torch.rand(200, 5, generator=torch.Generator().manual_seed(2)).logit()
    expected = h.double()
    for j in range(5):
        off, on = expected.clone(), expected.clone()
        off[:, j], on[:, j] = 0, 1
        change = [softplus(b.double() + state @ W.double()).sum(1) for state in (on, off)]
        odds = drive[:, j] - scale * (change[0] - change[1])
        expected[:, j] = (odds > noise[:, j]).double()
    pre = b + h @ W
    sweep(h, drive, pre, W, noise, scale)
    assert torch.equal(h.double(), expected)
    torch.testing.assert_close(pre, b + h @ W, atol=1e-4, rtol=1e-4)
