"""Simulated annealing of binary units: temperatures that fall (Kirkpatrick et al. 1983)."""

import itertools
from collections.abc import Sequence

Schedule = Sequence[tuple[int, float]]  # sweeps at a temperature, in turn


def inverse_temperatures(schedule: Schedule, counted: int = 0) -> list[float]:
    """1/T of each sweep: those of the schedule, then `counted` more at its last temperature.

    ValueError where the temperatures do not fall, or are not positive.
    """
    temperatures = [temperature for _, temperature in schedule]
    if not falls(schedule):
        raise ValueError(f"schedule: temperatures must fall and be above 0, not {temperatures}")
    sweeps = [1 / t for n, t in schedule for _ in range(n)]
    return sweeps + [1 / temperatures[-1]] * counted


def falls(schedule: Schedule) -> bool:
    """Whether the temperatures are positive, and each is below the one before it."""
    temperatures = [temperature for _, temperature in schedule]
    falling = all(high > low for high, low in itertools.pairwise(temperatures))
    return bool(temperatures) and falling and temperatures[-1] > 0
