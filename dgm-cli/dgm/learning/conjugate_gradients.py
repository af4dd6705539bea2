"""Nonlinear conjugate gradients (Polak & Ribiere 1969) on one flat parameter vector, descending.

    d_0 = -g_0,   d_t = -g_t + max(0, g_t (g_t - g_(t-1)) / |g_(t-1)|^2) d_(t-1)

and theta goes along d to a step that satisfies the strong Wolfe conditions: with f(a) the loss at
theta + a d,

    f(a) <= f(0) + 0.01 a f'(0),   |f'(a)| <= 0.5 |f'(0)| .

Steps are guessed by cubic interpolation and extrapolation, as in the code that Hinton &
Salakhutdinov (2006) published, which is C. E. Rasmussen's `minimize`.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

LOWER, FLATTER = 0.01, 0.5  # of the Wolfe conditions
EXTEND, INSIDE = 3.0, 0.1  # a guess at most so many times the last step; so far inside a bracket
GROW = 100.0  # a search begins at most so many times as far as the last one ended
LOOKS = 20  # evaluations a search has

Loss = Callable[[], tuple[float, Tensor]]


class Point(NamedTuple):
    """On the line: the step, and the loss and its slope there."""

    step: float
    value: float
    slope: float


def descend(theta: Tensor, loss: Loss, searches: int) -> float:
    """So many line searches from theta, which is moved; returns the loss where it ends.

    `loss()` gives the loss of what theta then holds and its gradient, in a buffer that it may
    overwrite. The loss never rises. Ends early where two searches in a row find nothing lower.
    """
    value, gradient = loss()
    last = gradient.clone()
    direction = -last
    slope = -_dot(last, last)
    step, failed = 1 / (1 - slope), False
    origin = theta.clone()

    def along(step: float) -> Point:
        nonlocal gradient
        torch.add(origin, direction, alpha=step, out=theta)
        value, gradient = loss()
        return Point(step, value, _dot(gradient, direction))

    for _ in range(searches):
        if slope == 0:
            break
        start = Point(0.0, value, slope)
        found, satisfied = search(along, start, step)
        if satisfied:
            change = (_dot(gradient, gradient) - _dot(gradient, last)) / _dot(last, last)
            direction.mul_(max(0.0, change)).sub_(gradient)
            failed = False
        else:
            found = along(found.step)  # back to the lowest seen, for its gradient
            torch.neg(gradient, out=direction)
            if failed:
                break
            failed = True
        origin.copy_(theta)
        last.copy_(gradient)
        value, slope = found.value, _dot(gradient, direction)
        if slope > 0:
            torch.neg(gradient, out=direction)
            slope = -_dot(gradient, gradient)
        if satisfied:
            step = found.step * min(GROW, start.slope / min(slope, -1e-30))
        else:
            step = 1 / (1 - slope)
    return value


def search(along: Callable[[float], Point], start: Point, step: float) -> tuple[Point, bool]:
    """The last point looked at and True where it satisfies the conditions; else the lowest."""
    lowest = start
    # The minimum lies beyond `low`, and before `high` if there is one.
    previous = low = start
    high: Point | None = None
    for _ in range(LOOKS):
        point = along(step)
        if not math.isfinite(point.value):
            step = (low.step + step) / 2
            continue
        lowest = min(lowest, point, key=lambda p: p.value)
        too_high = point.value > start.value + LOWER * point.step * start.slope
        if not too_high and abs(point.slope) <= -FLATTER * start.slope:
            return point, True
        if too_high or point.slope > 0:
            high = point
        else:
            low, previous = point, low
        step = _beyond(previous, low) if high is None else _between(low, high, start)
    return lowest, False


def _beyond(a: Point, b: Point) -> float:
    """Where the cubic through two points has its minimum beyond b, within bounds."""
    width = b.step - a.step
    third = 6 * (a.value - b.value) + 3 * (b.slope + a.slope) * width
    second = 3 * (b.value - a.value) - (2 * a.slope + b.slope) * width
    inside = second * second - third * a.slope * width
    below = second + math.sqrt(inside) if inside >= 0 else 0.0
    guess = a.step - a.slope * width**2 / below if below else math.inf
    farthest = b.step * EXTEND
    if not math.isfinite(guess) or guess < 0:
        return farthest
    return min(farthest, max(guess, b.step + INSIDE * width))


def _between(low: Point, high: Point, start: Point) -> float:
    """Where the parabola or cubic through two points has its minimum, inside the bracket."""
    width = high.step - low.step
    guess = math.nan
    if high.value > start.value:  # the loss may be far from a cubic so far out
        below = high.value - low.value - low.slope * width
        if below:
            guess = low.step - 0.5 * low.slope * width**2 / below
    else:
        third = 6 * (low.value - high.value) / width + 3 * (high.slope + low.slope)
        second = 3 * (high.value - low.value) - (2 * low.slope + high.slope) * width
        inside = second * second - third * low.slope * width**2
        if inside >= 0 and third:
            guess = low.step + (math.sqrt(inside) - second) / third
    if not math.isfinite(guess):
        guess = low.step + width / 2
    return min(max(guess, low.step + INSIDE * width), high.step - INSIDE * width)


def _dot(a: Tensor, b: Tensor) -> float:
    return torch.dot(a, b).item()
