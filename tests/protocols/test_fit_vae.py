"""Training a VAE: what is chosen on which data, and that it goes on where it was."""

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pydantic
import pytest
import torch
from torch import Tensor

from dgm import data
from dgm.data.batches import Minibatches
from dgm.errors import BadInput, Diverged
from dgm.learning.aevb import AEVB, mean_elbo
from dgm.models.vae import VAE
from dgm.protocols.fit_vae import fit, images
from dgm.protocols.pilot import Learning, choose_rate
from dgm.protocols.settings.vae import VAESettings
from dgm.trial.loop import Trial

SMALL: dict[str, Any] = {
    "hidden": 10,
    "latent_dim": 2,
    "samples": 4000,
    "pilot_samples": 500,
    "first_evaluation": 500,
    "evaluations": 5,
}


def new_trial(folder: Path) -> Trial:
    return Trial("seed=0", data.load("digits"), 0, folder)


# --- choosing --------------------------------------------------------------------------------


def pilot(
    folder: Path, scores: dict[float, float], diverging: set[float], every: float = 0.0
) -> tuple[float, Trial]:
    """`choose_rate` on rates whose scores are given, some of which diverge."""
    trial = new_trial(folder)
    trial.checkpoint_every = every

    class Learner:
        def __init__(self, rate: float) -> None:
            self.state = torch.zeros(1) if rate not in diverging else torch.tensor([math.nan])

        def update(self, x: Tensor, indices: Tensor) -> None: ...

        def state_dict(self) -> dict[str, Tensor]:
            return {"state": self.state}

    def start(rate: float) -> Learning:
        model = VAE(64, 3, 2)
        batches = Minibatches(trial.data.train, 100, trial.generator)
        return Learning(model, batches, Learner(rate))

    def score(rate: float, model: VAE) -> float:
        return scores[rate]

    return choose_rate(trial, list(scores), 30, start, score), trial


def test_the_rate_with_the_best_early_score_is_chosen(tmp_path: Path) -> None:
    rate, trial = pilot(tmp_path / "a", {0.01: -3.0, 0.02: -1.0, 0.1: -2.0}, set())
    assert (rate, trial.chosen) == (0.02, {"rate": 0.02})
    assert len(list((tmp_path / "a").iterdir())) == 3
    assert pilot(tmp_path / "b", {0.01: -3.0, 0.02: -1.0, 0.1: -2.0}, {0.02})[0] == 0.1
    assert pilot(tmp_path / "c", {0.01: -3.0, 0.02: -1.0, 0.1: -2.0}, {0.02, 0.1})[0] == 0.01
    assert pilot(tmp_path / "d", {0.01: math.nan, 0.02: -1.0}, set())[0] == 0.02
    with pytest.raises(Diverged, match="pilot_rate_0.02"):
        pilot(tmp_path / "e", {0.01: 0.0, 0.02: 0.0}, {0.01, 0.02})
    with pytest.raises(Diverged, match="no step size has a finite score"):
        pilot(tmp_path / "f", {0.01: math.nan, 0.02: math.nan}, set())


def test_a_rate_that_diverges_leaves_no_trace_in_what_follows(tmp_path: Path) -> None:
    """It is noticed at the next checkpoint, and so after more or fewer draws."""
    draws = []
    for every in (0.0, 1e9):
        trial = pilot(tmp_path / str(every), {0.01: 0.0, 0.02: 0.0}, {0.01}, every)[1]
        draws.append(torch.rand(3, generator=trial.generator))
    assert torch.equal(*draws)


def test_a_single_rate_is_not_tried(tmp_path: Path) -> None:
    rate, trial = pilot(tmp_path / "a", {0.02: math.nan}, set())
    assert (rate, trial.chosen) == (0.02, {"rate": 0.02})
    assert not (tmp_path / "a").exists()


def test_the_checkpoint_is_chosen_on_validation_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Oracle: bounds given for the validation images, of which the second is the highest."""
    settings = VAESettings(**SMALL, binarization="dynamic", rates=[0.1])
    trial = new_trial(tmp_path)
    train, evaluated = images(settings, trial)
    bounds: list[tuple[float, Tensor]] = []
    falls = iter([-30.0, -20.0, -25.0, -22.0, -21.0])

    def judge(
        model: VAE, x: Tensor, generator: torch.Generator, samples: int
    ) -> tuple[float, float]:
        bound, stderr = mean_elbo(model, x, generator, samples)
        if x is evaluated["validation"] and samples == round(10_000 / 97):
            bound = next(falls)
            bounds.append((bound, model.flat.clone()))
        return bound, stderr

    monkeypatch.setattr("dgm.protocols.fit_vae.mean_elbo", judge)
    model = fit(settings, trial, train, evaluated)
    assert len(bounds) == 5
    assert torch.equal(model.flat, bounds[1][1])
    assert not torch.equal(model.flat, bounds[4][1])
    curves = trial.tables()["curves"]
    assert set(curves["split"]) == {"train", "validation", "test"}
    assert trial.chosen == {"rate": 0.1, "chosen_samples": sorted(set(curves["samples"]))[1]}


def test_training_improves_the_bound(tmp_path: Path) -> None:
    settings = VAESettings(**SMALL | {"samples": 20_000}, binarization="dynamic")
    trial = new_trial(tmp_path)
    model = fit(settings, trial, *images(settings, trial))
    tables = trial.tables()
    test = tables["curves"].query("split == 'test'")["elbo"].to_numpy()
    assert test[-1] > test[0] + 1
    assert list(tables["pilot"]["rate"]) == [0.01, 0.02, 0.1]
    best = tables["pilot"].set_index("rate")["elbo"].idxmax()
    assert trial.chosen["rate"] == best
    assert model.config["hidden"] == [10]


def test_an_interrupted_fit_gives_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = VAESettings(**SMALL, binarization="static")

    def run(folder: Path) -> tuple[Tensor, dict[str, pd.DataFrame], dict[str, Any]]:
        trial = new_trial(folder)
        trial.checkpoint_every = 0
        model = fit(settings, trial, *images(settings, trial))
        return model.flat, trial.tables(), trial.chosen

    whole = run(tmp_path / "whole")
    update, calls = AEVB.update, iter(range(10**6))

    def stop(self: AEVB, x: Tensor, indices: Tensor) -> None:
        if next(calls) == 37:
            raise RuntimeError("stopped")
        update(self, x, indices)

    monkeypatch.setattr(AEVB, "update", stop)
    with pytest.raises(RuntimeError):
        run(tmp_path / "parts")
    monkeypatch.undo()
    for _ in range(2):  # goes on; then finds all loops finished, and the best with them
        flat, tables, chosen = run(tmp_path / "parts")
        assert torch.equal(flat, whole[0])
        assert chosen == whole[2]
        for name, table in whole[1].items():
            pd.testing.assert_frame_equal(tables[name], table)


def test_dynamic_training_images_are_grey_and_judged_ones_binary(tmp_path: Path) -> None:
    train, evaluated = images(VAESettings(**SMALL, binarization="dynamic"), new_trial(tmp_path))
    assert torch.equal(train, data.load("digits").train)
    for x in evaluated.values():
        assert set(x.unique().tolist()) == {0.0, 1.0}
    train, evaluated = images(VAESettings(**SMALL, binarization="static"), new_trial(tmp_path))
    assert torch.equal(train, evaluated["train"])
    grey, evaluated = images(VAESettings(**SMALL, decoder="gaussian"), new_trial(tmp_path))
    assert torch.equal(grey, evaluated["train"])
    assert torch.equal(evaluated["test"], data.load("digits").test)


# --- bad input -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"decoder": "gaussian", "binarization": "static"}, "not for binary pixels"),
        ({"method": "wake_sleep", "optimiser": "adam"}, "adagrad alone"),
        ({"samples": 50}, "samples 50 is less than batch 100"),
        ({"rates": [0.1, 0.1]}, "one is given twice"),
    ],
)
def test_settings_that_do_not_go_together(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(pydantic.ValidationError, match=said):
        VAESettings(**settings)


def test_a_batch_larger_than_the_data(tmp_path: Path) -> None:
    settings = VAESettings(**SMALL | {"batch": 1500, "pilot_samples": 1500})
    with pytest.raises(BadInput, match="batch 1500: there are 1400 images"):
        trial = new_trial(tmp_path)
        fit(settings, trial, *images(settings, trial))
