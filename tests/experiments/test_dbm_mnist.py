"""The experiment on deep Boltzmann machines: resumed runs, what is measured, metrics, bad input."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pydantic
import pytest
import torch

from dgm import data
from dgm.data.binarise import static_binarise
from dgm.experiments.dbm_mnist import report
from dgm.experiments.dbm_mnist import trial as dbm_mnist
from dgm.experiments.dbm_mnist.settings import ACROSS, FRAMES, Settings
from dgm.inference.deep_boltzmann import classify, expected
from dgm.models.dbm import DBM, DBMClassifier
from dgm.report.plotting import Film
from dgm.report.tables import Artifacts, Results
from dgm.trial.loop import Trial

LITTLE: dict[str, Any] = {
    "hidden": [12, 10],
    "batch": 50,
    "greedy_epochs": 1,
    "joint_epochs": 2,
    "joint_rate": 0.01,
    "particles": 20,
    "gibbs_steps": 1,
    "mean_field_updates": 3,
    "averaged": 0.5,
    "tuning_epochs": 1,
    "evaluations": 2,
    "mixing_steps": 5,
    "film_steps": 1,
    "ais_chains": 5,
    "ais_schedule": [[20, 0, 1]],
}


def run(folder: Path, name: str = "digits", patience: float = np.inf, **more: Any) -> Artifacts:
    """A trial that is killed after so many steps."""
    steps = 0

    def alive(phase: str, step: int, n: int) -> None:
        nonlocal steps
        steps += 1
        if steps > patience:
            raise Killed

    trial = Trial("t", data.load(name), 3, folder, checkpoint_every=0.0, progress=alive)
    return dbm_mnist.run_trial(Settings.model_validate(LITTLE | more), trial)


class Killed(Exception):
    pass


def test_a_killed_trial_goes_on_to_the_same_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dgm.trial.loop.PROGRESS_EVERY", 0.0)
    whole, killed, again = run(tmp_path / "whole"), 0, None
    while again is None:
        try:
            again = run(tmp_path / "killed", patience=23)
        except Killed:
            killed += 1
    assert killed > 5
    assert set(again.tables) == set(whole.tables)
    for name, table in whole.tables.items():
        pd.testing.assert_frame_equal(again.tables[name], table)
    for name, array in whole.arrays.items():
        assert np.array_equal(again.arrays[name], array), name
    assert torch.equal(again.models["dbm"].flat, whole.models["dbm"].flat)


@pytest.mark.parametrize("pixels", ["binary", "real"])
def test_what_is_measured_is_of_the_model_that_is_left(pixels: str, tmp_path: Path) -> None:
    """The bound is E_q[-E] + H(q) of the test images less log Z; the errors are the net's."""
    left = run(tmp_path, pixels=pixels)
    model = left.models["dbm"]
    assert isinstance(model, DBMClassifier)
    digits = data.load("digits")
    x = static_binarise(digits.test, "digits/test") if pixels == "binary" else digits.test
    values = expected(model.dbm, x, 25)[0]
    partition = left.tables["partition"].set_index("direction")
    row = left.tables["bound"].set_index("split").loc["test"]
    log_z, high = partition.loc["below", ["log_partition", "high"]]
    assert row["bound"] == pytest.approx(values.mean().item() - log_z, abs=1e-4)
    assert row["low"] == pytest.approx(values.mean().item() - high, abs=1e-4)
    assert row["low"] < row["bound"] and row["gain"] > 0
    assert row["test_std"] == pytest.approx(values.std().item(), rel=1e-4)
    assert row["images"] == 300
    wrong = (classify(model, digits.test) != digits.labels["test"]).sum().item()
    assert left.tables["errors"]["wrong"].item() == wrong
    assert abs(partition.loc["above", "log_partition"] - log_z) < 5
    assert set(left.tables["learning"]["split"]) == {"train", "test"}
    assert list(left.tables["units"]["units"]) == [12, 10]


def test_settings_are_chosen_without_test_images(tmp_path: Path) -> None:
    left = run(tmp_path, learned="train")
    assert "errors" not in left.tables
    for name in ("learning", "bound"):
        assert set(left.tables[name]["split"]) == {"train", "validation"}


def test_a_quick_measurement_is_a_part_of_the_whole(tmp_path: Path) -> None:
    left = run(tmp_path / "trained")
    settings = Settings.model_validate(LITTLE)
    trial = Trial("t", data.load("digits"), 3, tmp_path / "measured")
    part = dbm_mnist.measure(settings, trial, left.models["dbm"], full=False)
    assert not part.arrays and set(part.tables) == {"partition", "bound", "units", "errors"}
    assert list(part.tables["partition"]["direction"]) == ["below"]
    pd.testing.assert_frame_equal(part.tables["errors"], left.tables["errors"])
    pd.testing.assert_frame_equal(part.tables["units"], left.tables["units"])


def test_a_small_machine_is_enumerated(tmp_path: Path) -> None:
    more: dict[str, Any] = {"hidden": [6, 4], "batch": 14, "particles": 14, "variant": "small"}
    more |= {"tuning_epochs": 0, "ais_schedule": [[500, 0, 1]], "joint_epochs": 50}
    left = run(tmp_path, "bars_and_stripes", **more)
    dbm, (row,) = left.models["dbm"], left.tables["exact"].to_dict("records")
    assert isinstance(dbm, DBM)
    assert row["log_partition"] == pytest.approx(dbm.log_partition())
    assert abs(row["by_ais"] - row["log_partition"]) < 0.3
    assert row["log_likelihood"] < -2.6  # the best that 14 images can have is -log 14
    assert -1e-4 <= row["least_gap"] <= row["log_likelihood"] - row["bound"]


# --- metrics and figures -----------------------------------------------------------------------


def made_up() -> Results:
    cell = {"data": "mnist", "variant": "paper", "pixels": "binary", "seed": 0}
    bound = pd.DataFrame(
        [
            {**cell, "pixels": pixels, "split": split, "bound": value, "low": value - 0.25}
            | {"high": value + 0.5, "gain": 3.0, "test_std": 20.0, "images": 10_000}
            for pixels, value in (("binary", -85.0), ("real", -80.0))
            for split in ("train", "test")
        ]
    )
    partition = pd.DataFrame(
        [
            {**cell, "direction": direction, "log_partition": value, "low": value - 0.5}
            | {"high": value + 0.25, "effective_chains": 70.0}
            for direction, value in (("below", 350.0), ("above", 350.5))
        ]
    )
    exact = pd.DataFrame(
        [
            {**cell, "variant": "small", "log_partition": 9.0, "by_ais": 8.9}
            | {"log_likelihood": -3.0, "bound": -3.5, "least_gap": gap}
            for gap in (-1e-5,)
        ]
    )
    errors = pd.DataFrame([{**cell, "wrong": 95, "images": 10_000}])
    units = pd.DataFrame([{**cell, "layer": n, "units": 9, "dead": n} for n in (1, 2)])
    tables = {"bound": bound, "partition": partition, "exact": exact, "errors": errors}
    return Results({**tables, "units": units})


def test_bounds_are_judged_at_the_upper_end_of_log_z() -> None:
    results = made_up()
    found = {m.metric: m.value for m in report.summarise(results)}
    assert found["test_bound/dbm"] == -85.25
    assert found["test_bound/dbm/real_pixels"] == -80.25
    assert found["test_error/dbm"] == 0.95
    assert found["mean_field_gain/dbm"] == 3
    assert found["dead_units/dbm/layer2"] == 2
    assert found["log_partition/dbm/from_above"] == 350.5
    assert found["ais_interval/dbm"] == 0.75
    assert found["bound_below_log_likelihood/small"] == 1
    assert found["bound_gap/small"] == 0.5
    assert found["ais_error/small"] == pytest.approx(0.1)
    shares = {m.metric: m.test_stderr for m in report.summarise(results)}
    assert shares["test_bound/dbm"] == 0.2
    assert shares["test_error/dbm"] == pytest.approx(100 * (0.0095 * 0.9905 / 10_000) ** 0.5)
    results.tables["exact"]["least_gap"] = -0.01
    found = {m.metric: m.value for m in report.summarise(results)}
    assert found["bound_below_log_likelihood/small"] == 0


def test_the_film_is_of_many_chains_at_once(tmp_path: Path) -> None:
    left = run(tmp_path)
    cell = {"data": "digits", "variant": "paper", "pixels": "binary", "seed": 0}
    tables = {name: table.assign(**cell)[[*cell, *table]] for name, table in left.tables.items()}
    arrays = {name: {"key": array} for name, array in left.arrays.items()}
    figures = report.draw(Results(tables, arrays, {"key": cell}), {})
    assert set(figures) == {"learning", "tuning", "samples", "film", "film_strip", "filters"}
    film = figures["film"]
    assert isinstance(film, Film)
    assert film.frames.shape == (FRAMES, 8 * ACROSS, 8 * ACROSS)
    second = left.arrays["film"][ACROSS**2 : 2 * ACROSS**2]
    shown = film.frames[1][8:16, :8].astype(int)  # the second line's first
    assert np.abs(shown - second[ACROSS]).max() <= 9 and len(np.unique(film.frames)) <= 16


# --- bad input ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"hidden": []}, "hidden"),
        ({"hidden": [500]}, "hidden"),
        ({"hidden": [500, 0]}, "hidden"),
        ({"particles": 0}, "particles"),
        ({"gibbs_steps": 0}, "gibbs_steps"),
        ({"mean_field_updates": 0}, "mean_field_updates"),
        ({"joint_rate": 0}, "joint_rate"),
        ({"ais_schedule": [[10, 0.1, 1]]}, "ais_schedule: betas must rise from 0 to 1"),
        ({"ais_schedule": [[10, 0, 0.8], [10, 0.5, 1]]}, "ais_schedule: betas must rise"),
        ({"precision": "float16"}, "precision"),
    ],
)
def test_settings_that_make_no_sense(values: dict[str, Any], said: str) -> None:
    with pytest.raises(pydantic.ValidationError, match=said):
        Settings.model_validate(values)
