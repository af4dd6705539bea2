"""The fixed-point iteration, against fixed points in closed form."""

import pytest
import torch

from dgm.inference.mean_field import States, mean_field


def halfway(states: States) -> States:
    """Its fixed point is (1, 2), and each update halves the distance to it."""
    return tuple(0.5 * (x + i) for i, x in enumerate(states, start=1))


def test_the_iteration_ends_at_the_fixed_point() -> None:
    start = torch.zeros(3, 1), torch.zeros(3, 2)
    (first, second), n = mean_field(halfway, start, 100, 1e-4)
    torch.testing.assert_close(first, torch.full((3, 1), 1.0), atol=1e-4, rtol=0)
    torch.testing.assert_close(second, torch.full((3, 2), 2.0), atol=1e-4, rtol=0)
    assert n == 15  # the first n with 2 / 2^n <= 1e-4
    assert not start[0].any()


def test_at_most_so_many_updates() -> None:
    (x,), n = mean_field(halfway, (torch.zeros(1),), 3, 1e-9)
    assert (x.item(), n) == (1 - 0.5**3, 3)
    assert mean_field(lambda states: states, (torch.zeros(1),), 7)[1] == 7  # nothing is compared
    with pytest.raises(ValueError, match="mean field of 0 updates"):
        mean_field(halfway, (torch.zeros(1),), 0)
