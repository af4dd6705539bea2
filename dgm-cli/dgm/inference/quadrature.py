"""Integrals over a box by the trapezoidal rule: divergences of densities that are known.

A smooth density that vanishes at the box's sides is integrated to rounding by a fine grid.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Grid(NamedTuple):
    """Points (n, d) and the weight of each, (n,), in double precision."""

    points: Tensor
    weights: Tensor

    def integral(self, values: Tensor) -> Tensor:
        """Of a function by its values at the points."""
        return values @ self.weights


def grid(
    low: Sequence[float], high: Sequence[float], n: int, device: torch.device | str = "cpu"
) -> Grid:
    """n evenly spaced points along each side of the box from corner `low` to corner `high`."""
    lines = [torch.linspace(a, b, n, dtype=torch.float64) for a, b in zip(low, high, strict=True)]
    points = torch.cartesian_prod(*lines).reshape(n ** len(lines), len(lines))
    ends = torch.ones(n, dtype=torch.float64)
    ends[0] = ends[-1] = 0.5
    weights = torch.cartesian_prod(*[ends] * len(lines)).reshape(len(points), -1).prod(1)
    weights = weights * math.prod((line[1] - line[0]).item() for line in lines)
    return Grid(points.to(device), weights.to(device))


def kl(log_p: Tensor, log_q: Tensor, over: Grid) -> Tensor:
    """KL(p || q) = integral of p (log p - log q), by both log-densities at the grid's points."""
    return over.integral(log_p.exp() * (log_p - log_q))


def jensen_shannon(log_p: Tensor, log_q: Tensor, over: Grid) -> Tensor:
    """JSD = KL(p || m) / 2 + KL(q || m) / 2 with m = (p + q) / 2, from 0 to log 2 nats."""
    log_m = torch.logaddexp(log_p, log_q) - math.log(2)
    return (kl(log_p, log_m, over) + kl(log_q, log_m, over)) / 2
