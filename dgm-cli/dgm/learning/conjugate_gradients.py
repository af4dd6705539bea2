"""Nonlinear conjugate gradients (Polak & Ribiere 1969) on one flat parameter vector, descending.

    d_0 = -g_0,   d_t = -g_t + max(0, g_t (g_t - g_(t-1)) / |g_(t-1)|^2) d_(t-1)

A search along d ends at a step a that satisfies the strong Wolfe conditions: with f(a) the loss at
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

DECREASE, FLATNESS = 0.01, 0.5  # of the Wolfe conditions
EXTEND, INSIDE = 3.0, 0.1  # of a guess: at most 3 times the last step; a tenth inside a bracket
GROW = 100.0  # a search starts with at most 100 times the last one's step
EVALUATIONS = 20  # of the loss in a search, at most

Loss = Callable[[], tuple[float, Tensor]]


class Point(NamedTuple):
    """A step along the line, with the loss and its slope there."""

    step: float
    value: float
    slope: float


def descend(theta: Tensor, loss: Loss, searches: int) -> float:
    """Move theta by that many line searches; returns the loss at its end.

    `loss()` gives the loss at the present theta and its gradient, which it may overwrite later. The
    loss never rises. Ends early where two searches in a row find nothing lower.
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
            found = along(found.step)  # back to the lowest point, for its gradient
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
    """The point that satisfies the conditions, and True; or the lowest one evaluated, and False."""
    lowest = start
    # The minimum lies beyond `low`, and before `high` once there is one.
    previous = low = start
    high: Point | None = None
    for _ in range(EVALUATIONS):
        point = along(step)
        if not math.isfinite(point.value):
            step = (low.step + step) / 2
            continue
        lowest = min(lowest, point, key=lambda p: p.value)
        too_high = point.value > start.value + DECREASE * point.step * start.slope
        if not too_high and abs(point.slope) <= -FLATNESS * start.slope:
            return point, True
        if too_high or point.slope > 0:
            high = point
        else:
            low, previous = point, low
        step = _extrapolate(previous, low) if high is None else _interpolate(low, high, start)
    return lowest, False


def _extrapolate(a: Point, b: Point) -> float:
    """The minimum beyond b of the cubic through two points, kept within bounds."""
    width = b.step - a.step
    third = 6 * (a.value - b.value) + 3 * (b.slope + a.slope) * width
    second = 3 * (b.value - a.value) - (2 * a.slope + b.slope) * width
    inside = second * second - third * a.slope * width
    denominator = second + math.sqrt(inside) if inside >= 0 else 0.0
    guess = a.step - a.slope * width**2 / denominator if denominator else math.inf
    farthest = b.step * EXTEND
    if not math.isfinite(guess) or guess < 0:
        return farthest
    return min(farthest, max(guess, b.step + INSIDE * width))


def _interpolate(low: Point, high: Point, start: Point) -> float:
    """The minimum of the parabola or cubic through two points, kept inside the bracket."""
    width = high.step - low.step
    guess = math.nan
    if high.value > start.value:  # so far out the loss may be far from a cubic
        denominator = high.value - low.value - low.slope * width
        if denominator:
            guess = low.step - 0.5 * low.slope * width**2 / denominator
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
