"""The VAE's pictures: what is chosen on which data, what is drawn, and how it is counted."""

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pydantic
import pytest
import torch
from scipy.stats import norm
from torch import Tensor

from dgm import data
from dgm.data import files
from dgm.data.batches import Minibatches
from dgm.data.dataset import Dataset
from dgm.engine.load import load
from dgm.errors import BadInput, Diverged
from dgm.experiments.aevb_lower_bound import trial as aevb_lower_bound
from dgm.experiments.aevb_vs_wakesleep import trial as aevb_vs_wakesleep
from dgm.experiments.latent_manifold import trial as latent_manifold
from dgm.experiments.vae_samples import trial as vae_samples
from dgm.learning.aevb import AEVB, mean_elbo
from dgm.models.neighbours import classify
from dgm.models.vae import VAE
from dgm.protocols.fit_vae import VAESettings, fit, images
from dgm.protocols.pilot import Learning, choose_rate
from dgm.report import plotting
from dgm.report.summary import read_metrics
from dgm.report.tables import Artifacts
from dgm.trial.loop import Trial

SMALL: dict[str, Any] = {
    "hidden": 10,
    "latent_dim": 2,
    "samples": 4000,
    "pilot_samples": 500,
    "first_evaluation": 500,
    "evaluations": 5,
}


def new_trial(folder: Path, dataset: Dataset | None = None) -> Trial:
    return Trial("seed=0", dataset or data.load("digits"), 0, folder)


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
    "module", [aevb_lower_bound, aevb_vs_wakesleep, latent_manifold, vae_samples]
)
@pytest.mark.parametrize("low_high", [(-1.0, 1.0), (0.0, 255.0)])
def test_pixels_that_are_no_probabilities_are_refused(
    tmp_path: Path, module: ModuleType, low_high: tuple[float, float]
) -> None:
    whole = data.load("digits")
    low, high = low_high
    scaled = {s: getattr(whole, s) * (high - low) + low for s in ("train", "validation", "test")}
    small = {**SMALL, "train_size": 500} if module is aevb_vs_wakesleep else SMALL
    with pytest.raises(BadInput, match=r"digits/\w+: pixels from .* needs them in \[0, 1\]"):
        module.run_trial(module.Settings(**small), new_trial(tmp_path, replace(whole, **scaled)))


@pytest.mark.parametrize("latent_dim", [1, 3])
def test_a_manifold_is_of_two_dimensions(latent_dim: int) -> None:
    with pytest.raises(pydantic.ValidationError, match="a manifold is drawn of latent_dim 2"):
        latent_manifold.Settings.model_validate({"latent_dim": latent_dim})


def test_a_manifold_of_three_dimensions_is_refused_in_one_line(
    here: Callable[..., str], tmp_path: Path
) -> None:
    said = here("run", "latent_manifold", "latent_dim=3", "--out", tmp_path, code=2)
    assert "latent_dim 3: a manifold is drawn of latent_dim 2" in said


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"decoder": "gaussian", "binarization": "static"}, "not for binary pixels"),
        ({"method": "wake_sleep", "optimiser": "adam"}, "adagrad alone"),
        ({"samples": 50}, "samples 50 is less than batch 100"),
        ({"rates": [0.1, 0.1]}, "one stands there twice"),
    ],
)
def test_settings_that_do_not_go_together(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(pydantic.ValidationError, match=said):
        VAESettings(**settings)


def test_too_few_samples_for_the_papers_estimator() -> None:
    with pytest.raises(pydantic.ValidationError, match="hmc_samples 50: a covariance of"):
        aevb_vs_wakesleep.Settings.model_validate({"latent_dim": 26})


def test_a_batch_larger_than_the_data(tmp_path: Path) -> None:
    settings = VAESettings(**SMALL | {"batch": 1500, "pilot_samples": 1500})
    with pytest.raises(BadInput, match="batch 1500: there are 1400 images"):
        trial = new_trial(tmp_path)
        fit(settings, trial, *images(settings, trial))


def test_without_the_faces_the_digits_are_run(
    here: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only MNIST is at hand, and no mirror answers."""
    from dgm.data.images import frey_faces, mnist

    found = files.find("mnist", mnist.FILES[0])
    if found is None:
        pytest.skip("MNIST is not on this machine: set DGM_DATA or `dgm data fetch mnist`")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mnist").symlink_to(found.parent.resolve())
    monkeypatch.setenv("DGM_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(frey_faces, "MIRRORS", ("http://127.0.0.1:9/",))
    data.load.cache_clear()
    small = [f"{key}={value}" for key, value in SMALL.items() if key != "latent_dim"]
    run = ["run", "latent_manifold", "side=4", *small, "--seeds", 0, "--jobs", 1]
    said = here(*run, "--out", tmp_path / "out")
    assert "NOTE: not run: frey_faces: no mirror answered" in said
    folder = tmp_path / "out" / "latent_manifold" / "paper"
    metrics = set(read_metrics(folder / "metrics.csv")["metric"])
    of_grid = {f"manifold_{x}" for x in ("smoothness", "spread", "digits")}
    assert metrics == {"test_elbo", "posterior_outside_grid"} | of_grid
    about = json.loads((folder / "run.json").read_text())
    assert list(about["not_run"]) == ["frey_faces"]
    assert {path.stem for path in folder.glob("*.png")} == {"figure4", "figure4_posterior"}

    whole = load("latent_manifold", seeds=[0]).trials
    (label,) = (spec.label for spec in whole if spec.data == "frey_faces")
    about["trials"].append({"label": label, "seed": 0})  # as if there had been faces once
    (folder / "run.json").write_text(json.dumps(about))
    said = here(*run, "--out", tmp_path / "out", code=2)
    assert "holds results on frey_faces, which cannot be had; give another --out DIR" in said
    shutil.rmtree(tmp_path / "out")
    data.load.cache_clear()


# --- the manifold ----------------------------------------------------------------------------


def test_the_grid_is_even_under_the_prior() -> None:
    """Oracle: the normal CDF takes it back to the centres of equal cells."""
    z = latent_manifold.grid(4)
    u = torch.distributions.Normal(0.0, 1.0).cdf(z)
    centres = [0.125, 0.375, 0.625, 0.875]
    expected = [[x, y] for y in reversed(centres) for x in centres]
    torch.testing.assert_close(u, torch.tensor(expected))


def test_distances_are_those_of_neighbours_and_of_all_pairs() -> None:
    values = torch.tensor([[0.0, 1.0, 5.0], [2.0, 2.0, 2.0], [0.0, 4.0, 0.0]])
    neighbours, pairs = latent_manifold.distances(values.reshape(9, 1), 3)
    across, down = [1, 4, 0, 0, 4, 4], [2, 1, 3, 2, 2, 2]
    assert neighbours == pytest.approx(np.mean(across + down))
    flat = values.flatten().tolist()
    apart = [abs(a - b) for i, a in enumerate(flat) for b in flat[:i]]
    assert pairs == pytest.approx(np.mean(apart))


def test_tiles_stand_in_reading_order_without_gaps() -> None:
    pictures = np.arange(6)[:, None, None] * np.ones((1, 2, 3), int)
    expected = np.kron(np.arange(6).reshape(2, 3), np.ones((2, 3), int))
    np.testing.assert_array_equal(plotting.tile(pictures, 3), expected)


def test_grey_images_are_bytes() -> None:
    found = plotting.grey(torch.tensor([[0.0, 0.5, 1.0, 1.2], [-0.1, 1 / 255, 0.25, 0.75]]), (2, 2))
    assert found.dtype == np.uint8
    assert found.tolist() == [[[0, 128], [255, 255]], [[0, 1], [64, 191]]]


def test_the_summary_of_a_manifold() -> None:
    head = {"data": "mnist", "decoder": "bernoulli", "seed": 0}
    found = [197, 3, 4] + [28] * 7
    tables = {
        "bounds": pd.DataFrame([{**head, "split": "test", "elbo": -140.0}]),
        "smoothness": pd.DataFrame([{**head, "neighbours": 1.5, "pairs": 6, "test_pairs": 10}]),
        "digits": pd.DataFrame([{**head, "label": i, "images": n} for i, n in enumerate(found)]),
    }
    label = "data=mnist,decoder=bernoulli,seed=0"
    far = norm.ppf(0.75)  # of two images a side
    posterior = np.array([[0.9 * far, -0.9 * far], [-1.1 * far, 0], [0, 1.1 * far], [3, 3]])
    arrays = {"posterior": {label: posterior}, "manifold": {label: np.zeros((4, 2, 2))}}
    found_in = latent_manifold.summarise(Artifacts(tables, arrays))
    values = {metric: value for metric, _, value in found_in}
    assert values == pytest.approx(
        {
            "test_elbo": -140.0,
            "manifold_smoothness": 0.25,
            "manifold_spread": 0.6,
            "posterior_outside_grid": 0.75,
            "manifold_digits": 9,  # three images of 400 are not one in a hundred
        }
    )


def test_labels_are_pushed_apart() -> None:
    points = np.array([[0.0, 0.0], [0.1, 0.0], [5.0, 5.0]])
    found = latent_manifold.apart(points, 0.4)
    expected = np.array([[-0.15, 0.0], [0.25, 0.0], [5.0, 5.0]])
    np.testing.assert_allclose(found, expected, atol=0.01)


def test_a_trial_without_classes_has_no_digits(tmp_path: Path) -> None:
    """Real runs of both experiments on images whose labels name no classes."""
    film = replace(data.load("digits"), classes=0)
    for module, table in ((latent_manifold, "digits"), (vae_samples, "labels")):
        extra = {"evaluated_images": 100, "importance_samples": 5} if module is vae_samples else {}
        settings = module.Settings(**SMALL, decoder="gaussian", **extra)
        trial = new_trial(tmp_path / table, film)
        assert table not in module.run_trial(settings, trial).tables


# --- the judge -------------------------------------------------------------------------------


def test_the_judge_is_the_majority_of_the_three_nearest() -> None:
    """Oracle: all distances, sorted."""
    digits = data.load("digits")
    labels, x = digits.labels["train"], digits.test
    nearest = torch.cdist(x, digits.train).argsort(1)[:, :3]
    votes = torch.nn.functional.one_hot(labels[nearest], 10).sum(1)
    found = classify(digits.train, labels, x)
    assert (found == votes.argmax(1)).float().mean() > 0.995  # equal distances may be told apart
    assert (found == digits.labels["test"]).float().mean() > 0.96


def test_entropy() -> None:
    assert vae_samples.entropy(np.array([5, 5, 5, 5])) == pytest.approx(2.0)
    assert vae_samples.entropy(np.array([7, 0, 0])) == 0
    assert vae_samples.entropy(np.array([1, 3])) == pytest.approx(0.811278, abs=1e-6)


# --- summaries -------------------------------------------------------------------------------


def bounds(rows: list[tuple[str, str, str, str, int, int, float]]) -> Artifacts:
    axes = ["data", "decoder", "binarization", "method", "latent_dim", "seed"]
    table = pd.DataFrame(rows, columns=[*axes, "elbo"])
    parts = [
        table.assign(split=split, elbo=table["elbo"] - less, samples=1, stderr=0.0)
        for split, less in (("train", 0), ("validation", 50), ("test", 2))
    ]
    return Artifacts({"bounds": pd.concat(parts, ignore_index=True)})


def test_the_summary_of_the_bounds() -> None:
    mnist = ("mnist", "bernoulli", "static")
    rows: list[Any] = [
        (*mnist, "aevb", 20, 0, -98.0),
        (*mnist, "aevb", 3, 0, -139.0),
        (*mnist, "aevb", 200, 0, -97.0),
        (*mnist, "wake_sleep", 3, 0, -138.0),
        (*mnist, "wake_sleep", 20, 0, -105.0),
        (*mnist, "wake_sleep", 200, 0, -107.0),
        ("mnist", "bernoulli", "none", "aevb", 3, 0, -130.0),
        ("frey_faces", "gaussian", "none", "aevb", 2, 1, 1300.0),
        ("frey_faces", "gaussian", "none", "wake_sleep", 2, 1, 1200.0),
    ]
    artifacts = bounds(rows)
    curves = [
        (*mnist, method, dimension, 0, samples, elbo, split)
        for method, dimension, samples, elbo, split in [
            ("aevb", 20, 500, -1.0, "test"),  # not the last one
            ("aevb", 20, 1000, -101.0, "test"),
            ("aevb", 20, 1000, -100.0, "train"),
            ("aevb", 200, 1000, -103.0, "test"),
            ("aevb", 200, 1000, -98.0, "train"),
            ("wake_sleep", 20, 1000, -100.0, "test"),
            ("wake_sleep", 200, 1000, -102.0, "test"),
        ]
    ]
    axes = ["data", "decoder", "binarization", "method", "latent_dim", "seed"]
    columns = [*axes, "samples", "elbo", "split"]
    artifacts.tables["curves"] = pd.DataFrame(curves, columns=columns)
    latents = [(*mnist, "aevb", 200, 0, 25)]
    artifacts.tables["latents"] = pd.DataFrame(latents, columns=[*axes, "active"])
    found = list(aevb_lower_bound.summarise(artifacts))
    values = {(metric, seed): value for metric, seed, value in found}
    assert len(values) == len(found)
    assert values == pytest.approx(
        {
            ("test_elbo/aevb/latent3", 0): -141.0,
            ("train_elbo/aevb/latent3", 0): -139.0,
            ("test_elbo/aevb/latent20", 0): -100.0,
            ("train_elbo/aevb/latent20", 0): -98.0,
            ("test_elbo/aevb/latent200", 0): -99.0,
            ("train_elbo/aevb/latent200", 0): -97.0,
            ("test_elbo/wake_sleep/latent3", 0): -140.0,
            ("train_elbo/wake_sleep/latent3", 0): -138.0,
            ("test_elbo/wake_sleep/latent20", 0): -107.0,
            ("train_elbo/wake_sleep/latent20", 0): -105.0,
            ("test_elbo/wake_sleep/latent200", 0): -109.0,
            ("train_elbo/wake_sleep/latent200", 0): -107.0,
            ("test_elbo/aevb/latent3/unnormalised", 0): -132.0,
            ("train_elbo/aevb/latent3/unnormalised", 0): -130.0,
            ("test_elbo/frey/latent2", 1): 1298.0,
            ("train_elbo/frey/latent2", 1): 1300.0,
            ("test_elbo/frey/wake_sleep/latent2", 1): 1198.0,
            ("train_elbo/frey/wake_sleep/latent2", 1): 1200.0,
            ("active_latents/aevb/latent200", 0): 25,
            ("aevb_above_wake_sleep", 0): 2 / 3,
            ("superfluous_latents_cost", 0): 1.0,
            ("superfluous_latents_overfitting", 0): 0.0,
            ("aevb_above_wake_sleep/frey", 1): 1.0,
            ("aevb_above_wake_sleep_at_end", 0): 0.0,
            ("superfluous_latents_cost_at_end", 0): -2.0,
            ("superfluous_latents_overfitting_at_end", 0): 4.0,
        }
    )


def test_no_claim_before_all_that_it_compares_is_measured() -> None:
    measured = [("aevb", 3), ("aevb", 20), ("wake_sleep", 3)]
    rows = [("mnist", "bernoulli", "static", *cell, 0, -100.0 - cell[1]) for cell in measured]
    artifacts = bounds(rows)
    artifacts.tables["curves"] = artifacts.tables["bounds"]
    names = {metric for metric, _, _ in aevb_lower_bound.summarise(artifacts)}
    assert names == {
        f"{split}_elbo/{method}/latent{d}" for split in ("test", "train") for method, d in measured
    }


def test_superfluous_latents_are_compared_as_in_figure_2_but_for_the_first_weights() -> None:
    def settings(name: str, latent_dim: int) -> list[dict[str, Any]]:
        ours = {"binarization": "static", "method": "aevb", "latent_dim": latent_dim}
        trials = [t for t in load(name, seeds=[0]).trials if ours.items() <= t.axes.items()]
        chosen = {"initial_std", "rates", "pilot_samples"}  # one step needs no pilot
        return [trial.settings.model_dump(exclude=chosen) for trial in trials]

    for latent_dim in (20, 200):
        (theirs,) = settings("aevb_lower_bound", latent_dim)
        assert settings("superfluous_latents", latent_dim) == [theirs, theirs]


def test_the_summary_of_the_samples() -> None:
    def table(**columns: list[Any]) -> pd.DataFrame:
        n = len(next(iter(columns.values())))
        head = {"variant": ["paper"] * n, "latent_dim": [5] * n, "seed": [3] * n}
        modern = {"variant": ["modern"] * n, "latent_dim": [50] * n, "seed": [3] * n}
        return pd.concat([pd.DataFrame(head | columns), pd.DataFrame(modern | columns)])

    likelihood: dict[str, list[Any]] = {"images": [100, 50], "log_likelihood": [-90.0, -96.0]}
    effective: dict[str, list[Any]] = {
        "mean_effective_samples": [10.0, 40.0],
        "least_effective_samples": [2.0, 1.5],
    }
    tables = {
        "likelihood": table(**likelihood, **effective),
        "bounds": table(split=["train", "test"], elbo=[-91.0, -95.0]),
        "labels": table(label=[0, 1], samples=[500, 500]),
        "estimators": table(estimator=["encoder", "fitted"], log_likelihood=[-91.0, -90.5]),
    }
    found = {metric: value for metric, _, value in vae_samples.summarise(Artifacts(tables))}
    for name in ("latent5", "modern"):
        assert found[f"test_log_likelihood/{name}"] == pytest.approx(-92.0)
        assert found[f"mean_effective_samples/{name}"] == pytest.approx(20.0)
        assert found[f"least_effective_samples/{name}"] == 1.5
        assert found[f"test_elbo/{name}"] == -95.0
        assert found[f"sample_entropy/{name}"] == pytest.approx(1.0)
        assert found[f"estimator_gap/{name}"] == 0.5
    assert len(found) == 12
