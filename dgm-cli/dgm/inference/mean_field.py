"""Mean field: a fixed-point iteration over the means of a factorised posterior."""

from collections.abc import Callable

from torch import Tensor

States = tuple[Tensor, ...]  # the means of each group of units, (n, units)


def mean_field(
    update: Callable[[States], States], start: States, most: int, tolerance: float = 0.0
) -> tuple[States, int]:
    """states = update(states), until no mean moves by more than `tolerance`, or `most` times.

    Returns the last states and how many updates were made. `update` leaves its argument as it is.
    With a tolerance of 0 nothing is compared, and all updates are made. ValueError where `most` is
    below 1.
    """
    if most < 1:
        raise ValueError(f"mean field of {most} updates: at least one is needed")
    states = start
    for done in range(1, most + 1):
        before, states = states, update(states)
        if tolerance and _moved(before, states) <= tolerance:
            return states, done
    return states, most


def _moved(before: States, after: States) -> float:
    """The largest change of any mean."""
    pairs = zip(before, after, strict=True)
    return max((new - old).abs().max().item() for old, new in pairs)
