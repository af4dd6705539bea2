"""The VAE's pictures: what is drawn, how it is counted, and what is refused."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pydantic
import pytest
import torch
from scipy.stats import norm

from dgm import data, experiments
from dgm.data import files
from dgm.data.dataset import Dataset
from dgm.engine.load import load
from dgm.engine.plan import Options, plan
from dgm.errors import BadInput
from dgm.experiments.aevb_lower_bound import report as bound_report
from dgm.experiments.aevb_vs_wakesleep import report as likelihood_report
from dgm.experiments.aevb_vs_wakesleep.settings import Settings as LikelihoodSettings
from dgm.experiments.latent_manifold import report as manifold_report
from dgm.experiments.latent_manifold import trial as latent_manifold
from dgm.experiments.latent_manifold.settings import Settings as ManifoldSettings
from dgm.experiments.vae_samples import report as samples_report
from dgm.experiments.vae_samples import trial as vae_samples
from dgm.files import read_csv, write_csv
from dgm.report.summary import read_metrics
from dgm.report.tables import Results
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


# --- bad input -------------------------------------------------------------------------------


NAMES = ["aevb_lower_bound", "aevb_vs_wakesleep", "latent_manifold", "vae_samples"]
OF_DIGITS: dict[str, dict[str, Any]] = {  # what the paper's settings ask too much of them
    "aevb_vs_wakesleep": {"train_size": 500, "evaluated_images": 100},
    "vae_samples": {"evaluated_images": 3, "importance_samples": 5},
}


def run(name: str, trial: Trial, **more: Any) -> Any:
    """A trial's artifacts, by settings that suit digits."""
    settings = experiments.settings(name).Settings(**SMALL, **{**OF_DIGITS.get(name, {}), **more})
    return experiments.trial(name).run_trial(settings, trial)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("low_high", [(-1.0, 1.0), (0.0, 255.0)])
def test_pixels_that_are_no_probabilities_are_refused(
    tmp_path: Path, name: str, low_high: tuple[float, float]
) -> None:
    whole = data.load("digits")
    low, high = low_high
    scaled = {s: getattr(whole, s) * (high - low) + low for s in ("train", "validation", "test")}
    with pytest.raises(BadInput, match=r"digits/\w+: pixels from .* not in \[0, 1\]"):
        run(name, new_trial(tmp_path, replace(whole, **scaled)))


@pytest.mark.parametrize(
    ("name", "wanted", "said"),
    [
        ("vae_samples", 301, "evaluated_images 301: there are 300 test images"),
        ("aevb_vs_wakesleep", 301, "evaluated_images 301: there are 300 test images"),
        ("aevb_vs_wakesleep", 600, "evaluated_images 600: there are 500 training images"),
    ],
)
def test_no_more_images_are_evaluated_than_there_are(
    tmp_path: Path, name: str, wanted: int, said: str
) -> None:
    with pytest.raises(BadInput, match=said):
        run(name, new_trial(tmp_path), evaluated_images=wanted)


@pytest.mark.parametrize("latent_dim", [1, 3])
def test_a_manifold_is_of_two_dimensions(latent_dim: int) -> None:
    with pytest.raises(pydantic.ValidationError, match="a manifold is drawn of latent_dim 2"):
        ManifoldSettings.model_validate({"latent_dim": latent_dim})


def test_a_manifold_of_three_dimensions_is_refused_in_one_line(
    here: Callable[..., str], tmp_path: Path
) -> None:
    said = here("run", "latent_manifold", "latent_dim=3", "--out", tmp_path, code=2)
    assert "latent_dim 3: a manifold is drawn of latent_dim 2" in said


def test_too_few_samples_for_the_papers_estimator() -> None:
    with pytest.raises(pydantic.ValidationError, match="hmc_samples 50: a covariance of"):
        LikelihoodSettings.model_validate({"latent_dim": 26})


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
    small.append("side=4")
    command = ["run", "latent_manifold", *small, "--seeds", 0, "--jobs", 1]
    said = here(*command, "--out", tmp_path / "out")
    assert "NOTE: not run: frey_faces: no mirror answered" in said
    folder = tmp_path / "out" / "latent_manifold" / "paper"
    metrics = set(read_metrics(folder / "metrics.csv")["metric"])
    of_grid = {f"manifold_{x}" for x in ("smoothness", "spread", "digits")}
    assert metrics == {"test_elbo", "posterior_outside_grid"} | of_grid
    about = json.loads((folder / "run.json").read_text())
    assert list(about["not_run"]) == ["frey_faces"]
    assert {path.stem for path in folder.glob("*.png")} == {"figure4", "figure4_posterior"}

    whole = plan(load("latent_manifold", overrides=small, seeds=[0]), Options())
    (faces,) = (p for p in whole if p.spec.data == "frey_faces")
    entry = about["trials"][0] | {
        "trial": faces.key,
        "label": faces.label,
    }  # as if there were faces
    about["trials"].append(entry)
    (folder / "run.json").write_text(json.dumps(about))
    said = here(*command, "--out", tmp_path / "out", code=2)
    assert f"holds 1 trial ({faces.label}) that this run would drop" in said
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


def test_the_summary_of_a_manifold() -> None:
    head = {"data": "mnist", "decoder": "bernoulli", "seed": 0}
    images = [197, 3, 4] + [28] * 7
    tables = {
        "bounds": pd.DataFrame([{**head, "split": "test", "elbo": -140.0}]),
        "smoothness": pd.DataFrame([{**head, "neighbours": 1.5, "pairs": 6, "test_pairs": 10}]),
        "digits": pd.DataFrame([{**head, "label": i, "images": n} for i, n in enumerate(images)]),
    }
    far = norm.ppf(0.75)  # of two images a side
    posterior = np.array([[0.9 * far, -0.9 * far], [-1.1 * far, 0], [0, 1.1 * far], [3, 3]])
    arrays = {"posterior": {"t": posterior}, "manifold": {"t": np.zeros((4, 2, 2))}}
    found = manifold_report.summarise(Results(tables, arrays, {"t": head}))
    values = {metric: value for metric, _, value, *_ in found}
    assert values == pytest.approx(
        {
            "test_elbo": -140.0,
            "manifold_smoothness": 0.25,
            "manifold_spread": 0.6,
            "posterior_outside_grid": 0.75,
            "manifold_digits": 9,  # three images of 400 are not one in a hundred
        }
    )


@pytest.mark.parametrize("side", [2, 3, 8, 20, 51])
def test_the_grids_reach_is_that_of_its_points(side: int) -> None:
    reach = manifold_report.reach(np.zeros((side**2, 2, 2)))
    assert reach == latent_manifold.grid(side).max().item()


def test_labels_move_apart() -> None:
    points = np.array([[0.0, 0.0], [0.1, 0.0], [5.0, 5.0]])
    found = manifold_report.apart(points, 0.4)
    expected = np.array([[-0.15, 0.0], [0.25, 0.0], [5.0, 5.0]])
    np.testing.assert_allclose(found, expected, atol=0.01)


@pytest.mark.parametrize(
    ("name", "table"), [("latent_manifold", "digits"), ("vae_samples", "labels")]
)
@pytest.mark.parametrize("labels", [True, False])
def test_a_trial_without_classes_has_no_digits(
    tmp_path: Path, name: str, table: str, labels: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Real runs on images whose labels name no classes, and on images without labels."""
    monkeypatch.setattr(vae_samples, "CHECKED", 3)
    film = replace(data.load("digits"), classes=0)
    film = film if labels else replace(film, labels={})
    found = run(name, new_trial(tmp_path, film), decoder="gaussian")
    assert table not in found.tables
    assert ("labels" in found.arrays) == (labels and name == "latent_manifold")
    axes = {"data": "digits", "decoder": "gaussian", "variant": "paper", "latent_dim": 2, "seed": 0}
    arrays = {name: {"t": array} for name, array in found.arrays.items()}
    figures = experiments.report(name).draw(Results({}, arrays, {"t": axes}), {})
    posterior = any(figure.endswith("_posterior") for figure in figures)
    assert posterior == ("labels" in found.arrays)


def test_entropy() -> None:
    assert samples_report.entropy(np.array([5, 5, 5, 5])) == pytest.approx(2.0)
    assert samples_report.entropy(np.array([7, 0, 0])) == 0
    assert samples_report.entropy(np.array([1, 3])) == pytest.approx(0.811278, abs=1e-6)


# --- summaries -------------------------------------------------------------------------------


def bounds(
    rows: list[tuple[str, str, str, str, int, int, float]], variant: str | None = None
) -> Results:
    axes = ["data", "decoder", "binarization", "method", "latent_dim", "seed"]
    table = pd.DataFrame(rows, columns=[*axes, "elbo"])
    table.insert(5, "variant", variant)
    parts = [
        table.assign(split=split, elbo=table["elbo"] - less, samples=1, stderr=0.0)
        for split, less in (("train", 0), ("validation", 50), ("test", 2))
    ]
    return Results({"bounds": pd.concat(parts, ignore_index=True)})


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
    results = bounds(rows)
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
    results.tables["curves"] = pd.DataFrame(curves, columns=columns)
    results.tables["curves"].insert(5, "variant", None)
    latents = [(*mnist, "aevb", 200, 0, 25)]
    results.tables["latents"] = pd.DataFrame(latents, columns=[*axes, "active"])
    results.tables["latents"].insert(5, "variant", None)
    found = list(bound_report.summarise(results))
    values = {(metric, seed): value for metric, seed, value, *_ in found}
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
    results = bounds(rows)
    results.tables["curves"] = results.tables["bounds"]
    names = {metric for metric, *_ in bound_report.summarise(results)}
    assert names == {
        f"{split}_elbo/{method}/latent{d}" for split in ("test", "train") for method, d in measured
    }


def test_variants_are_told_from_the_others_and_from_a_blank(tmp_path: Path) -> None:
    """A variant has names of its own, also one called None, and is compared with itself alone;
    after its table was written and read back too."""
    cell = ("mnist", "bernoulli", "static", "aevb")
    values = {None: (-99.0, -98.0), "None": (-90.0, -89.5), "initial_std=0.1": (-99.5, -101.0)}
    parts = [
        bounds([(*cell, d, 0, elbo) for d, elbo in zip((20, 200), elbos, strict=True)], variant)
        for variant, elbos in values.items()
    ]
    write_csv(pd.concat([part.tables["bounds"] for part in parts]), tmp_path / "bounds.csv")
    table = read_csv(tmp_path / "bounds.csv")
    found = {
        m: v for m, _, v, *_ in bound_report.summarise(Results({"bounds": table, "curves": table}))
    }
    for variant, (few, many) in values.items():
        ending = f"/{variant}" if variant else ""
        assert found[f"superfluous_latents_cost{ending}"] == pytest.approx(many - few)
        assert found[f"train_elbo/aevb/latent200{ending}"] == many
    assert len(found) == 3 * (2 * 2 + 2 * 2)


def test_superfluous_latents_are_compared_as_in_figure_2_but_for_the_first_weights() -> None:
    wanted = {"binarization": "static", "method": "aevb", "decoder": "bernoulli"}
    chosen = {"initial_std", "rates", "variant"}
    by_variant: dict[str | None, dict[int, Any]] = {}
    for trial in load("aevb_lower_bound", seeds=[0]).trials:
        settings = trial.settings.model_dump()
        if wanted.items() <= settings.items() and settings["latent_dim"] in (20, 200):
            same = {key: value for key, value in settings.items() if key not in chosen}
            by_variant.setdefault(settings["variant"], {})[settings["latent_dim"]] = same
            if settings["variant"]:
                assert settings["variant"] == f"initial_std={settings['initial_std']}"
    assert list(by_variant) == [None, "initial_std=0.1", "initial_std=0.01"]
    assert all(each == by_variant[None] for each in by_variant.values())


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
    found = {metric: value for metric, _, value, *_ in samples_report.summarise(Results(tables))}
    for name in ("latent5", "modern"):
        assert found[f"test_log_likelihood/{name}"] == pytest.approx(-92.0)
        assert found[f"mean_effective_samples/{name}"] == pytest.approx(20.0)
        assert found[f"least_effective_samples/{name}"] == 1.5
        assert found[f"test_elbo/{name}"] == -95.0
        assert found[f"sample_entropy/{name}"] == pytest.approx(1.0)
        assert found[f"estimator_gap/{name}"] == 0.5
    assert len(found) == 12


def test_seconds_are_those_of_the_trial() -> None:
    curves = pd.DataFrame(
        [
            {"trial": trial, "method": "aevb", "train_size": n, "binarization": "none", "seed": 0}
            | {"samples": samples, "split": split, "log_likelihood": -1.0}
            for trial, n in (("a", 1000), ("b", 50_000))
            for samples in (100, 200)
            for split in ("train", "test")
        ]
    )
    seconds = {"a": np.array([1.0, 2.0]), "b": np.array([30.0, 40.0])}
    found = likelihood_report.with_seconds(Results({"curves": curves}, {"seconds": seconds}))
    assert found["seconds"].tolist() == [1, 1, 2, 2, 30, 30, 40, 40]
