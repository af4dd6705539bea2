"""Counting the modes that samples reach."""

import pytest
import torch

from dgm.inference.modes import reached

MEANS = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]], dtype=torch.float64)
STDS = torch.tensor([1.0, 1.0, 2.0], dtype=torch.float64)
WEIGHTS = torch.tensor([0.5, 0.25, 0.25], dtype=torch.float64)


def at(mode: int, n: int, away: float = 0.0) -> torch.Tensor:
    return (MEANS[mode] + torch.tensor([away, 0.0])).expand(n, 2)


def test_a_fifth_of_the_fair_share_is_enough() -> None:
    """Of 100 samples the modes' fair shares are 50, 25 and 25."""
    for in_first, modes in ((10, 2), (9, 1)):
        x = torch.cat([at(0, in_first), at(1, 90 - in_first), at(2, 4), at(1, 6, away=4)])
        found = reached(x, WEIGHTS, MEANS, STDS)
        assert (found.modes, found.touched) == (modes, 3)
        assert found.counts.tolist() == [in_first, 90 - in_first, 4]
        assert found.quality == pytest.approx(0.94)


def test_three_standard_deviations_of_the_nearest_mode() -> None:
    for away, n in ((2.99, 1), (3.01, 0)):
        assert reached(at(0, 1, away), WEIGHTS, MEANS, STDS).touched == n
        assert reached(at(2, 1, 2 * away), WEIGHTS, MEANS, STDS).touched == n


def test_no_sample_at_any_mode() -> None:
    found = reached(torch.full((7, 2), 99.0), WEIGHTS, MEANS, STDS)
    assert (found.modes, found.touched, found.quality) == (0, 0, 0.0)
