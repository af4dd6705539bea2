"""InfoGAN's game: what its bound is, who learns what, and what is saved."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from dgm import data
from dgm.learning.adversarial import log_d, minus_value
from dgm.learning.info_gan import InfoGame, information
from dgm.models.info_gan import InfoGAN, Latent, Read
from dgm.trial.checkpoint import flatten
from dgm.trial.loop import Trial

STEPS = 5


@pytest.fixture(autouse=True)
def no_grad() -> Iterator[None]:
    """As trials are run."""
    with torch.no_grad():
        yield


def small(continuous: int = 2) -> InfoGAN:
    torch.manual_seed(0)
    return InfoGAN((8, 8), noise=4, codes=3, continuous=continuous, filters=4, hidden=6)


def images(n: int = 12) -> Tensor:
    return torch.rand(n, 64, generator=torch.Generator().manual_seed(5))


def test_the_bound_of_a_sure_and_of_a_blind_q() -> None:
    """Oracle: H(c) = log 3 where Q knows the code, 0 where it guesses; of u the expected log of a
    normal density, whose integral over U(-1, 1) at mean 0 is -log(2 pi) / 2 - 1/6."""
    code, u = torch.arange(3).repeat(1000), torch.linspace(-1, 1, 3000)[:, None]
    z = Latent(torch.zeros(3000, 1), code, u)
    sure = torch.eye(3).clamp(min=1e-30).log()[code]
    known = information(Read(sure, u), z).mean(0)
    assert known.tolist() == pytest.approx(
        [math.log(3), math.log(2) - 0.5 * math.log(2 * math.pi)], abs=1e-5
    )
    blind = information(Read(torch.full((3000, 3), -math.log(3)), torch.zeros_like(u)), z).mean(0)
    guess = math.log(2) - 0.5 * math.log(2 * math.pi) - 1 / 6
    assert blind.tolist() == pytest.approx([0, guess], abs=1e-3)


def test_a_step_descends_both_losses() -> None:
    """Oracle: Adam's first step has the rate's length against the sign of the gradient; D's loss is
    that before the step, the generator's that after D's."""
    net, real = small(), images()
    z = net.draw(12, torch.Generator().manual_seed(1))
    game = InfoGame(net, coefficient=0.7, generator_rate=1e-3, critic_rate=2e-4)

    def losses() -> tuple[Tensor, Tensor]:
        fake = net.generate(z)
        of_real, _ = net.judge(real)
        of_fake, read = net.judge(fake)
        told = 0.7 * information(read, z).mean(0).sum()
        return minus_value(of_real, of_fake) - told, log_d(of_fake) - told

    with torch.enable_grad():
        of_d = torch.autograd.grad(losses()[0], net.of_critic())
    before = [p.clone() for p in net.of_critic()]
    first = [p.clone() for p in net.generator.parameters()]
    game.update(real, z)
    for p, old, gradient in zip(net.of_critic(), before, of_d, strict=True):
        clear = gradient.abs() > 1e-5
        step = (p - old)[clear]
        torch.testing.assert_close(step, -2e-4 * gradient[clear].sign(), rtol=0, atol=1e-6)
    after = [p.clone() for p in net.generator.parameters()]
    for p, old in zip(net.generator.parameters(), first, strict=True):
        p.copy_(old)
    with torch.enable_grad():
        of_g = torch.autograd.grad(losses()[1], list(net.generator.parameters()))
    for new, old, gradient in zip(after, first, of_g, strict=True):
        clear = gradient.abs() > 1e-5
        step = (new - old)[clear]
        torch.testing.assert_close(step, -1e-3 * gradient[clear].sign(), rtol=0, atol=1e-6)


def test_a_batch_of_one_is_refused() -> None:
    net = small()
    game = InfoGame(net, 1.0, 1e-3, 2e-4)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        game.update(images(1), net.draw(1, torch.Generator().manual_seed(0)))


def trained(path: Path, stop: int = STEPS) -> dict[str, Tensor]:
    """All state after training that was stopped once and went on in a new trial."""
    for last in (stop, STEPS):
        trial = Trial("t", data.load("digits"), 3, path, checkpoint_every=0.0)
        net = small()
        game = InfoGame(net, 1.0, 1e-3, 2e-4)
        for step in trial.steps(STEPS, game=game):
            game.update(images(), net.draw(12, trial.generator))
            if step == last - 1 and last < STEPS:
                break
    state: dict[str, Tensor] = {}
    flatten(game.state_dict(), state)
    state["next"] = torch.rand(3, generator=trial.generator)
    return state


def test_killed_and_resumed_it_is_the_same_byte_for_byte(tmp_path: Path) -> None:
    """Nets, batch statistics and both optimisers."""
    whole, resumed = trained(tmp_path / "whole"), trained(tmp_path / "resumed", stop=2)
    assert any("running_mean" in place for place in whole)
    assert any("exp_avg_sq" in place for place in whole)
    assert whole.keys() == resumed.keys()
    for place, tensor in whole.items():
        assert torch.equal(tensor, resumed[place]), place
