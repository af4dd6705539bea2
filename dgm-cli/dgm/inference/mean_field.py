"""Mean field: means of independent units that depend on each other, by a fixed-point iteration."""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

States = tuple[Tensor, ...]


class Found(NamedTuple):
    """The states at the end, and how many iterations led there."""

    states: States
    iterations: int


def mean_field(
    update: Callable[[States], States], start: States, most: int, tolerance: float
) -> Found:
    """Iterate states = update(states) until none changes by more than `tolerance`, or `most` times.

    `update` leaves the states that it is given as they are.
    """
    states = start
    for iteration in range(1, most + 1):
        found = update(states)
        change = max((a - b).abs().max().item() for a, b in zip(found, states, strict=True))
        states = found
        if change <= tolerance:
            return Found(states, iteration)
    return Found(states, most)
