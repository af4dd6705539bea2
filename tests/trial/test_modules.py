"""Modules, optimisers, schedulers and averages of torch's: killed and resumed byte for byte."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

import dgm.trial.loop
from dgm.errors import DgmError, Diverged
from dgm.trial.checkpoint import flatten
from dgm.trial.loop import Trial
from tests.trial import test_loop
from tests.trial.test_loop import DATA, new_trial

STEPS = 7
WORDS, WIDTH = 7, 8
Hook = Callable[[int], None]  # called in the loop's body with the step


class End(NamedTuple):
    """All that a trial may continue with."""

    state: dict[str, Any]
    tables: dict[str, pd.DataFrame]


def end_of(trial: Trial, **state: Any) -> End:
    draws = {"trial": torch.rand(3, generator=trial.generator), "global": torch.rand(3)}
    saved = {name: thing.state_dict() for name, thing in state.items()}
    return End(saved | {"draws": draws}, trial.tables())


class LanguageModel(nn.Module):
    """Two layers of LSTM with dropout, and the same matrix for words in and words out."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(WORDS, WIDTH)
        self.lstm = nn.LSTM(WIDTH, WIDTH, num_layers=2, dropout=0.3, batch_first=True)
        self.dropout = nn.Dropout(0.3)
        self.output = nn.Linear(WIDTH, WORDS)
        self.output.weight = self.embedding.weight

    def forward(self, words: Tensor) -> Tensor:
        hidden: Tensor = self.lstm(self.embedding(words))[0]
        scores: Tensor = self.output(self.dropout(hidden))
        return scores


def language_model(trial: Trial, hook: Hook = lambda step: None) -> End:
    model = LanguageModel()
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=STEPS)
    state: dict[str, Any] = {"model": model, "average": average}
    state |= {"optimizer": optimizer, "scheduler": scheduler}
    for step in trial.steps(STEPS, **state):
        text = torch.randint(WORDS, (4, 6), generator=trial.generator)
        with torch.enable_grad():
            loss = cross_entropy(model(text[:, :-1]).flatten(0, 1), text[:, 1:].flatten())
            optimizer.zero_grad()
            loss.backward()
        optimizer.step()
        scheduler.step()
        average.update_parameters(model)
        trial.record("curves", step=step, loss=loss.item(), rate=scheduler.get_last_lr()[0])
        hook(step)
    return end_of(trial, **state)


def net(inputs: int, outputs: int) -> nn.Sequential:
    layers = [nn.Linear(inputs, 9), nn.BatchNorm1d(9), nn.LeakyReLU(), nn.Dropout(0.2)]
    return nn.Sequential(*layers, nn.Linear(9, outputs))


def adversarial(trial: Trial, hook: Hook = lambda step: None) -> End:
    """The generator learns in every third step: its optimiser has no state before."""
    generator, critic = net(2, 6), net(6, 1)
    of_generator = torch.optim.AdamW(generator.parameters(), lr=0.01, amsgrad=True)
    of_critic = torch.optim.SGD(critic.parameters(), lr=0.1, momentum=0.9)
    state: dict[str, Any] = {"generator": generator, "critic": critic}
    state |= {"of_generator": of_generator, "of_critic": of_critic}
    for step in trial.steps(STEPS, **state):
        learner = of_critic if step % 3 < 2 else of_generator
        real = DATA.train[torch.randint(22, (5,), generator=trial.generator)]
        with torch.enable_grad():
            fake = generator(torch.randn(5, 2))
            loss = binary_cross_entropy_with_logits(critic(fake), torch.ones(5, 1))
            if learner is of_critic:
                loss = binary_cross_entropy_with_logits(critic(real), torch.ones(5, 1)) - loss
            learner.zero_grad()
            loss.backward()
        learner.step()
        trial.record("curves", step=step, loss=loss.item())
        hook(step)
    return end_of(trial, **state)


LEARNERS = {"lstm": language_model, "gan": adversarial}
KILLED_IN = 4


@pytest.fixture(autouse=True)
def no_grad() -> Iterator[None]:
    """As trials are run."""
    with torch.no_grad():
        yield


def assert_same(a: End, b: End) -> None:
    """Bit for bit, tensors and all other values."""
    theirs: dict[str, Tensor] = {}
    ours: dict[str, Tensor] = {}
    assert flatten(a.state, ours) == flatten(b.state, theirs)
    assert ours.keys() == theirs.keys()
    for place, tensor in ours.items():
        assert torch.equal(tensor, theirs[place]), place
    for name, table in a.tables.items():
        pd.testing.assert_frame_equal(table, b.tables[name], check_exact=True)


def kill(*where: Any) -> None:
    if where[-1] == KILLED_IN:
        os.kill(os.getpid(), signal.SIGKILL)


# Beside those above one that differentiates by hand, each with what compares its ends.
KILLED: dict[str, tuple[Any, Any]] = {
    "vae": (test_loop.learn, test_loop.assert_same),
    **{name: (learn, assert_same) for name, learn in LEARNERS.items()},
}


def kill_each(folder: str) -> None:
    """Each learner trains in a process of its own, and is killed."""
    torch.set_num_threads(1)
    torch.optim.SGD([torch.zeros(1)])  # the first optimiser imports much: once here, not in each
    for name, (learn, _) in KILLED.items():
        if os.fork() == 0:
            with torch.no_grad():
                learn(new_trial(Path(folder) / name, 0.0), kill)
    for _ in KILLED:
        assert os.WTERMSIG(os.wait()[1]) == signal.SIGKILL


def test_killed_processes_are_resumed(tmp_path: Path) -> None:
    """Oracle: the same training, uninterrupted."""
    code = f"from tests.trial.test_modules import kill_each; kill_each({str(tmp_path)!r})"
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=True)
    for name, (learn, compare) in KILLED.items():
        trial = new_trial(tmp_path / name)
        again = learn(trial)
        assert trial.restored == KILLED_IN
        compare(again, learn(new_trial(tmp_path / "whole" / name)))


@pytest.mark.parametrize("name", LEARNERS)
def test_a_stop_in_any_step_changes_nothing(tmp_path: Path, name: str) -> None:
    def interrupt(step: int) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    for done in range(STEPS):
        trial = new_trial(tmp_path / "a")
        with pytest.raises(KeyboardInterrupt):
            LEARNERS[name](trial, interrupt)
        assert trial.restored == done
    assert_same(LEARNERS[name](new_trial(tmp_path / "a")), LEARNERS[name](new_trial(tmp_path)))


# --- what may go wrong ------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["lstm.weight_hh_l1", "state.3.exp_avg"])
def test_what_is_not_finite_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Oracle: the only tensor that holds a NaN."""
    monkeypatch.setattr(dgm.trial.loop, "CHECK_EVERY", 2)
    model = LanguageModel()
    adam = torch.optim.Adam(model.parameters())
    name = "model" if where.startswith("lstm") else "optimizer"
    with pytest.raises(Diverged, match=f"^train, step 4: {name}.{where} is not finite"):
        for step in new_trial(tmp_path).steps(9, model=model, optimizer=adam):
            with torch.enable_grad():
                model(torch.tensor([[1, 2]])).sum().backward()
            adam.step()
            if step == 3:
                part = dict(model.named_parameters()).get(where)
                tensor = adam.state_dict()["state"][3]["exp_avg"] if part is None else part
                tensor[0] = torch.nan


def test_a_checkpoint_of_another_net(tmp_path: Path) -> None:
    """Other shapes, other layers, another optimiser, or another name."""

    def state(width: int, depth: int = 1, kind: Any = torch.optim.Adam) -> dict[str, Any]:
        model = nn.Sequential(*[nn.Linear(3, width) for _ in range(depth)])
        return {"model": model, "optimizer": kind(model.parameters(), lr=0.1)}

    list(new_trial(tmp_path).steps(2, **state(4)))
    others = [state(5), state(4, 2), {"net": state(4)["model"]}, {"model": state(4)["model"]}]
    for other in others:
        with pytest.raises(DgmError, match=f"{tmp_path} to start it anew") as caught:
            list(new_trial(tmp_path).steps(2, **other))
        assert "\n" not in str(caught.value)
    assert list(new_trial(tmp_path).steps(2, **state(4))) == []


# --- random numbers ---------------------------------------------------------------------------


def test_the_global_generator_follows_the_trials_seed(tmp_path: Path) -> None:
    def draws(seed: int) -> tuple[Tensor, Tensor]:
        torch.manual_seed(99)  # of no consequence
        trial = Trial("t", DATA, seed, tmp_path)
        return torch.rand(1000), torch.rand(1000, generator=trial.generator)

    (ours, its), (again, _), (other, _) = (draws(seed) for seed in (7, 7, 8))
    assert torch.equal(ours, again)
    assert not torch.equal(ours, other)
    # Not the numbers of the trial's generator either, for no pair of small seeds.
    assert abs(torch.corrcoef(torch.stack([ours, its]))[0, 1]) < 0.15
    for seed in range(20):
        assert not torch.equal(draws(seed)[0], its)


def test_each_phase_resumes_with_its_own_random_numbers(tmp_path: Path) -> None:
    """What lies between two loops is computed again, with the same numbers."""

    def run(stop: int | None = None) -> list[float]:
        trial, drawn, steps = new_trial(tmp_path / str(stop is None), 0.0), [], count()
        for phase in ("one", "two"):
            for _ in trial.steps(3, phase):
                if next(steps) == stop:
                    raise ZeroDivisionError
                trial.record("draws", draw=torch.rand(()).item())
            drawn.append(torch.rand(()).item())
        return [*trial.tables()["draws"]["draw"], *drawn]

    whole = run()
    assert len(set(whole)) == 8
    folder = tmp_path / "False"
    for stop in (1, 3, 0, 1, 0):  # of the steps that are left
        with pytest.raises(ZeroDivisionError):
            run(stop)
    assert folder.exists() and run(99) == whole
