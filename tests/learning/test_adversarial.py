"""The game's losses, its penalty, and what its two players save."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dgm import data
from dgm.inference.quadrature import grid
from dgm.learning.adversarial import (
    OBJECTIVES,
    Game,
    gradient_norm,
    gradient_penalty,
    importance_weighted,
    log_d,
    minimax,
    minus_value,
)
from dgm.models.gan import Discriminator, Generator, MonotoneGenerator
from dgm.trial.checkpoint import flatten
from dgm.trial.loop import Trial


@pytest.fixture(autouse=True)
def no_grad() -> Iterator[None]:
    """As trials are run."""
    with torch.no_grad():
        yield


def test_losses_are_those_of_probabilities() -> None:
    """Oracle: the definitions, with D written out."""
    real, fake = torch.randn(2, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    of_real, of_fake = real.sigmoid(), fake.sigmoid()
    value = of_real.log().mean() + (1 - of_fake).log().mean()
    torch.testing.assert_close(minus_value(real, fake), -value)
    torch.testing.assert_close(minimax(fake), (1 - of_fake).log().mean())
    torch.testing.assert_close(log_d(fake), -of_fake.log().mean())


def test_importance_weights_are_the_ratio_of_probabilities() -> None:
    """Oracle: D / (1 - D) normalised over the minibatch, written out, which are no function of the
    generator."""
    fake = torch.randn(50, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    D = fake.sigmoid()
    weights = D / (1 - D)
    weights = weights / weights.sum()
    torch.testing.assert_close(importance_weighted(fake), -(weights * D.log()).sum())
    with torch.enable_grad():
        of = fake.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(importance_weighted(of), of)
    torch.testing.assert_close(gradient, -weights * (1 - D))


def test_losses_of_a_certain_discriminator_are_finite() -> None:
    """Where D rounds to 0 or 1 its logarithm does not."""
    sure = torch.tensor([-800.0, -800.0])
    assert minimax(sure).item() == 0.0
    assert log_d(sure).item() == 800.0
    assert minus_value(-sure, sure).item() == 0.0


def test_the_penalty_against_finite_differences() -> None:
    """Oracle: central differences of the logit, and of the penalty in a weight."""
    torch.manual_seed(0)
    first = nn.Linear(3, 6).double()
    d = nn.Sequential(first, nn.Tanh(), nn.Linear(6, 1).double())
    x, step = torch.randn(5, 3, dtype=torch.float64), 1e-5

    def penalty() -> Tensor:
        with torch.enable_grad():
            real = x.clone().requires_grad_()
            return gradient_penalty(d(real)[:, 0], real)

    slopes = [
        (d(x + step * e) - d(x - step * e))[:, 0] / (2 * step)
        for e in torch.eye(3, dtype=torch.float64)
    ]
    expected = torch.stack(slopes).square().sum(0).mean()
    torch.testing.assert_close(penalty().detach(), expected, rtol=1e-7, atol=0)

    weight = first.weight
    (gradient,) = torch.autograd.grad(penalty(), weight)
    before = weight[1, 2].item()
    values = []
    for shift in (step, -step):
        weight[1, 2] = before + shift
        values.append(penalty().item())
    weight[1, 2] = before
    assert gradient[1, 2].item() == pytest.approx((values[0] - values[1]) / (2 * step), rel=1e-6)


def test_the_norm_of_a_gradient() -> None:
    net = nn.Linear(2, 1, bias=False)
    with torch.enable_grad():
        loss = net(torch.tensor([[3.0, 4.0]])).sum()
    assert gradient_norm(loss, net) == pytest.approx(5.0)


def test_the_best_discriminator_of_known_densities() -> None:
    """Oracle: p / (p + q), to which a discriminator trained against a frozen generator comes."""
    torch.manual_seed(0)
    density, generator = data.load("two_bumps"), MonotoneGenerator(4, 1.0, 1.0)
    d = Discriminator(1, [16, 16]).double()
    game = Game(generator, d, OBJECTIVES["minimax"], rate=0.01)
    draws = torch.Generator().manual_seed(0)
    before = [parameter.clone() for parameter in generator.parameters()]
    for step in range(300):
        game.slow_down(1 - step / 300)
        z = torch.randn(300, 1, dtype=torch.float64, generator=draws)
        game.learn_discriminator(density.sample(300, draws), z)
    over = grid([-8.0], [8.0], 1601)
    log_p, log_q = density.log_density(over.points), generator.log_density(over.points)
    both = (log_p.exp() + log_q.exp()) / 2
    best = torch.sigmoid(log_p - log_q)
    gap = over.integral(both * (d(over.points).sigmoid() - best).abs()).item()
    assert gap < 0.04 < over.integral(both * (0.5 - best).abs()).item() / 4
    assert all(map(torch.equal, before, generator.parameters()))  # it stood still
    value = -minus_value(
        d(density.sample(50_000, draws)), d(generator(torch.randn(50_000, 1).double()))
    )
    assert value.item() > -math.log(4)


STEPS, STOPPED_IN = 30, 13


def play(folder: Path, stop: int | None = None) -> dict[str, Tensor]:
    """A game with a penalty, perhaps left in the middle; the bits of all that it saves."""
    trial = Trial("t", data.load("ring"), 0, folder, checkpoint_every=0.0)
    game = Game(Generator(2, [8], 2), Discriminator(2, [8]), OBJECTIVES["nonsaturating"], 1e-2, 0.1)
    for step in trial.steps(STEPS, game=game):
        if step == stop:
            raise ZeroDivisionError
        game.slow_down(1 - step / STEPS)
        for learn in (game.learn_discriminator, game.learn_generator):
            z = torch.randn(5, 2, generator=trial.generator)
            real = trial.data.sample(5, trial.generator).float()  # type: ignore[attr-defined]
            learn(*([real, z] if learn == game.learn_discriminator else [z]))
    found: dict[str, Tensor] = {}
    flatten(game.state_dict(), found)
    return {place: tensor.clone() for place, tensor in found.items()}


def test_two_optimisers_resume_to_the_byte(tmp_path: Path) -> None:
    """Oracle: the same game, uninterrupted."""
    with pytest.raises(ZeroDivisionError):
        play(tmp_path / "a", stop=STOPPED_IN)
    again, whole = play(tmp_path / "a"), play(tmp_path / "b")
    assert {"of_generator/state/0/exp_avg", "of_discriminator/state/0/exp_avg"} <= again.keys()
    assert again.keys() == whole.keys()
    for place, tensor in whole.items():
        assert np.array_equal(again[place].numpy(), tensor.numpy()), place
