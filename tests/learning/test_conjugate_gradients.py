"""Conjugate gradients against closed forms and SciPy's minima."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from dgm.learning.conjugate_gradients import (
    DECREASE,
    EVALUATIONS,
    FLATNESS,
    Loss,
    Point,
    descend,
    search,
)


def loss_of(theta: Tensor, value: Callable[[Tensor], Tensor], looks: list[float]) -> Loss:
    """A loss by autograd, in one buffer as the models' own; each value seen goes into `looks`."""
    buffer = torch.empty_like(theta)

    def loss() -> tuple[float, Tensor]:
        leaf = theta.clone().requires_grad_()
        with torch.enable_grad():
            found = value(leaf)
            found.backward()
        assert leaf.grad is not None
        looks.append(found.item())
        return found.item(), buffer.copy_(leaf.grad)

    return loss


def test_a_quadratic_is_solved_in_its_dimensions() -> None:
    """Oracle: the linear system. Line searches are not exact, hence some more than 6 of them."""
    generator = torch.Generator().manual_seed(3)
    root = torch.randn(6, 6, generator=generator, dtype=torch.float64)
    A, b = root @ root.t() + torch.eye(6), torch.randn(6, generator=generator, dtype=torch.float64)
    theta = torch.zeros(6, dtype=torch.float64)
    looks: list[float] = []
    descend(theta, loss_of(theta, lambda t: 0.5 * t @ A @ t - b @ t, looks), 20)
    torch.testing.assert_close(theta, torch.linalg.solve(A, b), atol=1e-6, rtol=0)
    assert len(looks) <= 50


def test_rosenbrocks_valley_is_gone_through_no_slower_than_scipy() -> None:
    from scipy.optimize import minimize, rosen, rosen_der

    def rosenbrock(t: Tensor) -> Tensor:
        return (100 * (t[1:] - t[:-1] ** 2) ** 2 + (1 - t[:-1]) ** 2).sum()

    theta = torch.tensor([-1.2, 1.0, 0.5], dtype=torch.float64)
    peer = minimize(rosen, theta.numpy(), jac=rosen_der, method="CG")
    looks: list[float] = []
    value = descend(theta, loss_of(theta, rosenbrock, looks), 80)
    torch.testing.assert_close(theta, torch.ones(3, dtype=torch.float64), atol=1e-4, rtol=0)
    assert value == rosenbrock(theta).item() == min(looks)
    assert len(looks) < 1.5 * peer.nfev


@pytest.mark.parametrize("step", [1e-4, 0.1, 1.0, 30.0])
@pytest.mark.parametrize(
    ("value", "slope"),
    [
        (lambda a: (a - 1) ** 2, lambda a: 2 * (a - 1)),
        (lambda a: math.cosh(a - 2), lambda a: math.sinh(a - 2)),
        (lambda a: -a / (a * a + 2), lambda a: (a * a - 2) / (a * a + 2) ** 2),
        # Nothing beyond 3.
        (
            lambda a: -a - math.log(3 - a) if a < 3 else math.nan,
            lambda a: -1 + 1 / (3 - a) if a < 3 else math.nan,
        ),
        (
            lambda a: abs(a - 1) ** 1.5 - 0.1 * math.sin(20 * a),
            lambda a: 1.5 * abs(a - 1) ** 0.5 * math.copysign(1, a - 1) - 2 * math.cos(20 * a),
        ),
    ],
)
def test_a_search_ends_where_wolfe_says(
    value: Callable[[float], float], slope: Callable[[float], float], step: float
) -> None:
    looks = []

    def along(step: float) -> Point:
        looks.append(step)
        return Point(step, value(step), slope(step))

    start = Point(0.0, value(0.0), slope(0.0))
    found, satisfied = search(along, start, step)
    assert satisfied
    assert looks[-1] == found.step > 0
    assert len(looks) <= EVALUATIONS
    assert found.value <= start.value + DECREASE * found.step * start.slope
    assert abs(found.slope) <= FLATNESS * abs(start.slope)


def test_the_loss_never_rises_and_a_minimum_is_not_left() -> None:
    theta = torch.tensor([3.0, -2.0])
    scales = torch.tensor([1.0, 1e4])

    def bowl(t: Tensor) -> Tensor:
        return (scales * t**2).sum()

    values = [bowl(theta).item()]
    for _ in range(12):
        values.append(descend(theta, loss_of(theta, bowl, []), 1))
    assert values == sorted(values, reverse=True)
    assert values[-1] < 1e-3 * values[0]
    theta.zero_()
    assert descend(theta, loss_of(theta, bowl, []), 5) == 0
    assert theta.tolist() == [0, 0]


def test_a_search_without_success_goes_back_to_the_lowest() -> None:
    """A gradient that lies: uphill everywhere."""
    theta = torch.tensor([1.0, 2.0])
    seen: list[float] = []

    def loss() -> tuple[float, Tensor]:
        seen.append(theta.square().sum().item())
        return seen[-1], -theta.clone()

    assert descend(theta, loss, 5) == pytest.approx(5.0)
    torch.testing.assert_close(theta, torch.tensor([1.0, 2.0]))
    assert len(seen) <= 2 * (EVALUATIONS + 1) + 1
