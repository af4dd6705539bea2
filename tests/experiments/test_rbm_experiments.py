"""The experiments that show an RBM at work."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pydantic
import pytest
import torch
from torch import Tensor

from dgm import data
from dgm.data.batches import Minibatches
from dgm.errors import BadInput, Diverged
from dgm.experiments.infinite_dbn import report as infinite_report
from dgm.experiments.infinite_dbn import trial as infinite_dbn
from dgm.experiments.infinite_dbn.settings import Exact, Fantasies
from dgm.experiments.rbm_contrastive_divergence import report as rbm_report
from dgm.experiments.rbm_contrastive_divergence import trial as rbm_contrastive_divergence
from dgm.experiments.rbm_contrastive_divergence.settings import Settings
from dgm.files import read_csv, write_csv
from dgm.inference.enumeration import Enumerated
from dgm.models.rbm import RBM
from dgm.recipe.schema import Expectation
from dgm.report.tables import Results
from dgm.trial.loop import Trial


def random_rbm(visible: int = 4, hidden: int = 3, std: float = 1.0, seed: int = 0) -> RBM:
    rbm = RBM(visible, hidden)
    rbm.flat.normal_(0.0, std, generator=torch.Generator().manual_seed(seed))
    return rbm


def all_states(n: int) -> Tensor:
    """In the order of `Enumerated`: the first unit varies fastest."""
    states = [bits[::-1] for bits in itertools.product([0.0, 1.0], repeat=n)]
    return torch.tensor(states, dtype=torch.float64)


def a_trial(tmp_path: Path, name: str = "digits", **more: object) -> Trial:
    return Trial("t", data.load(name), 0, tmp_path, **more)  # type: ignore[arg-type]


# --- the infinite net --------------------------------------------------------------------------


def test_a_deep_tied_net_is_the_rbm() -> None:
    """Oracle: the directed net's sum over every layer's states, at three layers."""
    rbm = random_rbm(std=0.8)
    exact = Enumerated(rbm)
    first, second, *_, last = infinite_dbn.truncated(rbm, exact, 201)
    b = rbm.parameters["b"].double()
    p_h = torch.where(exact.h > 0, b.sigmoid(), (-b).sigmoid()).prod(1)
    torch.testing.assert_close(first, p_h @ exact.down)
    torch.testing.assert_close(second, p_h @ exact.down @ exact.up @ exact.down)
    torch.testing.assert_close(last, exact.log_p_v.exp())
    assert sum(1 for _ in infinite_dbn.truncated(rbm, exact, 7)) == 4  # 1, 3, 5 and 7 layers


def test_turning_an_rbm_over_changes_nothing() -> None:
    rbm = random_rbm()
    turned = Enumerated(infinite_dbn.transposed(rbm))
    exact = Enumerated(rbm)
    torch.testing.assert_close(turned.log_p_v, exact.log_p_h)
    torch.testing.assert_close(
        torch.tensor(infinite_dbn.log_likelihood(exact.log_p_v.exp(), [exact, turned])),
        (exact.log_p_v.exp() @ exact.log_p_v).float(),
        check_dtype=False,
    )


def test_the_bound_is_the_bound(tmp_path: Path) -> None:
    """Oracle: E_q[log p(v, h_1, h_2) - log q(h_1, h_2|v)] of the trained net, summed outright."""
    settings = Exact.model_validate({"hidden": 4, "iterations": 6})
    trial = a_trial(tmp_path, "bars_and_stripes")
    kept: list[RBM] = []
    turn = infinite_dbn.transposed

    def keep(rbm: RBM) -> RBM:
        kept.append(turn(rbm))
        return kept[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(infinite_dbn, "transposed", keep)
        artifacts = infinite_dbn.run_trial(settings, trial)
    rbm, (second, third) = artifacts.models["rbm"], kept
    one, two, three = Enumerated(rbm), Enumerated(second), Enumerated(third)
    p = one.empirical(trial.data.train)
    terms = (
        one.log_down.t()[:, :, None]  # log p(v|h_1)
        + two.log_down.t()[None]  # log p(h_1|h_2)
        + three.log_p_v[None, None]  # log p(h_2)
        - one.log_up[:, :, None]
        - two.log_up[None]
    )
    q = p[:, None, None] * one.up[:, :, None] * two.up[None]
    bounds = artifacts.tables["bounds"]
    assert bounds["bound"].iloc[-1] == pytest.approx((q * terms).sum().item(), abs=1e-6)
    deep = (p @ (three.log_p_v.exp() @ two.down @ one.down).log()).item()
    assert bounds["log_likelihood"].iloc[-1] == pytest.approx(deep, abs=1e-6)
    assert bounds["bound"].is_monotonic_increasing
    assert bounds["bound"].iloc[-1] > bounds["bound"].iloc[0] + 0.01
    assert (bounds["log_likelihood"] >= bounds["bound"] - 1e-9).all()


# --- contrastive divergence --------------------------------------------------------------------


def test_the_mean_of_the_last_epochs_and_what_is_learned_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {"hidden": 5, "epochs": 4, "batch": 20, "evaluations": 4, "method": "pcd"}
    values |= {"ais_chains": 5, "ais_schedule": [[20, 0, 1]], "lasso": 1e-3, "smoothness": 1e-3}
    experiment = rbm_contrastive_divergence
    kept = {}
    for averaged in (0.0, 0.5):
        settings = Settings.model_validate(values | {"averaged": averaged})
        trial = a_trial(tmp_path / str(averaged))
        train = trial.data.train.round()
        kept[averaged] = experiment.learn(settings, trial, RBM(64, 5), train, 4).vectors
    assert torch.equal(kept[0.5][:3], kept[0.0][:3])
    torch.testing.assert_close(kept[0.5][3], kept[0.0][2:].mean(0))

    learned = []

    class Seen(Minibatches):
        def __init__(self, x: Tensor, *more: Any) -> None:
            learned.append(x)
            super().__init__(x, *more)

    monkeypatch.setattr(experiment, "Minibatches", Seen)
    settings = Settings.model_validate(values | {"refit": True, "averaged": 0.5})
    trial = a_trial(tmp_path / "refit")
    left = experiment.run_trial(settings, trial)
    tables = left.tables
    first, both = learned
    assert len(first) == len(trial.data.train)
    assert len(both) == len(trial.data.train) + len(trial.data.validation)
    assert torch.equal(both[: len(first)], first)
    assert list(tables["refit"]["epoch"]) == [trial.chosen["chosen_epoch"]]
    row = tables["refit"].iloc[0]
    assert row["low"] <= row["log_likelihood"] <= row["high"] < 0
    values = left.arrays["test_values"]  # of the machine that learned validation images too
    assert values.dtype == np.float32
    assert values.mean() == pytest.approx(row["log_likelihood"], rel=1e-5)
    assert row["test_std"] == pytest.approx(values.std(ddof=1), rel=1e-4)
    assert row["images"] == len(values) == len(trial.data.test)
    # The film is of the machines that were judged.
    monkeypatch.undo()
    machine, again = RBM(64, 5), a_trial(tmp_path / "again")
    vectors = experiment.learn(settings, again, machine, experiment.images(again)["train"], 4)
    for vector, filmed in zip(vectors.vectors, left.arrays["forming"], strict=True):
        machine.flat.copy_(vector)
        assert np.array_equal(filmed, experiment.filters(machine, 25, (8, 8)))


def test_the_film_shows_machines_of_one_size_side_by_side() -> None:
    first, second = (np.full((3, 4, 2, 5), of, np.uint8) for of in (10, 20))
    frames = rbm_report.forming_film([first, np.zeros((3, 9, 2, 5), np.uint8), second]).frames
    assert frames.shape == (3, 4, 10 + rbm_report.GAP + 10)
    assert (frames[:, :, :10] == 10).all() and (frames[:, :, -10:] == 20).all()
    assert (frames[:, :, 10:-10] == 255).all()


def test_the_share_of_the_test_images_is_that_of_the_machine_that_is_judged() -> None:
    """The small machine's 14 images are all there are."""
    likelihood = pd.DataFrame(
        [
            {"data": "mnist", "variant": variant, "method": "cd", "k": 1, "seed": 0}
            | {"epoch": epoch, "split": split, "log_likelihood": value}
            | {"low": value, "high": value, "test_std": std, "images": 100}
            for variant in ("paper", "small")
            for epoch, value, std in ((1, -2.0, 20.0), (2, -3.0, 30.0))
            for split in ("train", "validation", "test")
        ]
    )
    at = likelihood[likelihood["split"] == "test"]
    refit = at[(at["variant"] == "paper") & (at["epoch"] == 1)].assign(test_std=40.0)
    partition = at.assign(effective_chains=1.0)
    tables = {"likelihood": likelihood, "partition": partition}
    tables["reconstruction"] = likelihood[:0].assign(error=1.0)

    def stderrs(tables: dict[str, pd.DataFrame]) -> dict[str, float]:
        return {m.metric: m.test_stderr for m in rbm_report.summarise(Results(tables))}

    found = stderrs(tables)
    assert found["test_log_likelihood/cd1"] == found["test_log_likelihood/best"] == 2.0
    assert np.isnan(found["train_log_likelihood/cd1"])
    assert np.isnan(found["test_log_likelihood/cd1/small"])
    found = stderrs({**tables, "refit": refit})
    assert found["test_log_likelihood/cd1"] == 2.0
    assert found["test_log_likelihood/cd1/refit"] == found["test_log_likelihood/best"] == 4.0


def test_the_best_of_all_is_chosen_on_validation_images() -> None:
    def rows(k: int, method: str, validation: list[float], test: list[float]) -> list[Any]:
        return [
            {"data": "mnist", "variant": "paper", "method": method, "k": k, "seed": 0}
            | {"epoch": epoch, "split": split, "log_likelihood": value}
            | {"low": value - 0.1, "high": value + 0.2}
            for split, values in (("validation", validation), ("test", test), ("train", test))
            for epoch, value in enumerate(values, start=1)
        ]

    likelihood = [
        *rows(1, "cd", [-5.0, -4.0, -6.0], [-1.0, -4.5, -2.0]),
        *rows(3, "cd", [-5.0, -3.5, -6.0], [-1.0, -3.0, -2.0]),
        *rows(1, "pcd", [-3.0], [-3.2]),
    ]
    reconstruction = pd.DataFrame(likelihood[:1]).assign(error=7.0)
    partition = pd.DataFrame(
        [
            {**row, "effective_chains": 10.0 * row["epoch"]}
            for row in likelihood
            if row["split"] == "test"
        ]
    )
    tables = {
        "likelihood": pd.DataFrame(likelihood),
        "reconstruction": reconstruction,
        "partition": partition,
    }
    found = {m: v for m, _, v, *_ in rbm_report.summarise(Results(tables))}
    assert found["test_log_likelihood/cd1"] == -4.5
    assert found["test_log_likelihood/pcd"] == -3.2
    assert found["test_log_likelihood/best"] == -3.2  # though cd3 has -3.0
    assert found["rising_in_k"] == 1
    assert found["ais_interval/cd3"] == pytest.approx(0.3)
    assert found["ais_effective_chains/cd3"] == 20  # of the second epoch
    assert found["reconstruction_error/cd1"] == 7

    again = [{**row, "log_likelihood": -3.1} for row in rows(1, "pcd", [-3.0], [-3.2])[:1]]
    tables["refit"] = pd.DataFrame(again)  # by the machine that is the best on validation images
    found = {m: v for m, _, v, *_ in rbm_report.summarise(Results(tables))}
    assert found["test_log_likelihood/pcd"] == -3.2
    assert found["test_log_likelihood/pcd/refit"] == -3.1
    assert found["test_log_likelihood/best"] == -3.1
    tables["refit"] = pd.DataFrame([{**row, "method": "cd", "k": 3} for row in again])
    found = {m: v for m, _, v, *_ in rbm_report.summarise(Results(tables))}
    assert found["test_log_likelihood/best"] == -3.2  # refit or not, cd3 is not the best
    del tables["refit"]

    likelihood = [*rows(1, "cd", [-3.4], [-2.9]), *rows(3, "cd", [-3.5], [-3.0])]
    tables["likelihood"] = pd.DataFrame(likelihood)
    found = {m: v for m, _, v, *_ in rbm_report.summarise(Results(tables))}
    assert found["rising_in_k"] == 0


def test_a_variant_called_none_keeps_its_name(tmp_path: Path) -> None:
    """Beside another variant, after the tables were written and read back."""
    rows = [
        {"data": "bars_and_stripes", "variant": variant, "method": "cd", "k": 1, "seed": 0}
        | {"epoch": 1, "split": split, "log_likelihood": value, "low": value, "high": value}
        for variant, value in (("None", -3.0), ("NA", -4.0), ("small", -2.0))
        for split in ("train", "validation", "test")
    ]
    tables = {
        "likelihood": pd.DataFrame(rows),
        "reconstruction": pd.DataFrame(rows[::3]).assign(error=7.0),
        "partition": pd.DataFrame(rows[::3]).assign(effective_chains=10.0),
    }
    for name, table in tables.items():
        write_csv(table, tmp_path / f"{name}.csv")
    read = {name: read_csv(tmp_path / f"{name}.csv") for name in tables}
    found, again = (list(rbm_report.summarise(Results(each))) for each in (tables, read))
    assert again == found
    values = {metric: value for metric, _, value, *_ in found}
    assert values["test_log_likelihood/cd1/None"] == values["test_log_likelihood/best"] == -3.0
    assert values["test_log_likelihood/cd1/NA"] == -4.0
    assert values["test_log_likelihood/cd1/small"] == -2.0


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        ([[1_000_000_000, 0, 1]], "should sum to at most 1,000,000"),
        ([[900_000, 0, 0.5], [900_000, 0.5, 1]], "should sum to at most 1,000,000"),
        ([[10, 0.1, 1]], "must rise from 0 to 1"),
        ([[10, 0, 0.5], [10, 0.3, 1]], "must rise from 0 to 1"),
        ([[10, 0, 2]], "must rise from 0 to 1"),
        ([[0, 0, 1]], "greater than or equal to 1"),
    ],
)
def test_temperatures_that_do_not_rise_or_are_too_many(schedule: Any, said: str) -> None:
    with pytest.raises(pydantic.ValidationError, match=said):
        Settings.model_validate({"ais_schedule": schedule})


def test_chains_need_as_many_images_to_begin_at(tmp_path: Path) -> None:
    settings = Fantasies.model_validate({"part": "fantasies", "samples": 15, "batch": 14})
    with pytest.raises(BadInput, match="samples 15: the RBM's chains begin at 14 training images"):
        infinite_dbn.run_trial(settings, a_trial(tmp_path, "bars_and_stripes"))


@pytest.mark.parametrize("std", [1e20, 3e38])
def test_a_machine_without_a_distribution_has_diverged(tmp_path: Path, std: float) -> None:
    settings = Exact.model_validate({"initial_std": std})
    with pytest.raises(Diverged, match="the machine's distribution gives -?(nan|inf): its weights"):
        infinite_dbn.run_trial(settings, a_trial(tmp_path, "bars_and_stripes"))


# --- figures -----------------------------------------------------------------------------------


def test_seeds_are_told_apart_in_the_figure_of_the_infinite_net() -> None:
    depths = pd.DataFrame(
        {"seed": [0, 0, 1, 1], "depth": [1, 3, 1, 3], "total_variation": [0.9, 0.5, 0.8, 0.4]}
    )
    bounds = pd.DataFrame(
        {
            "seed": [0, 0, 0, 1, 1, 1],
            "layer": [1, 2, 3, 1, 2, 3],
            "bound": [-5.0, -4.5, -4.25, -6.0, -5.5, -5.0],
            "log_likelihood": [-5.0, -4.0, -3.0, -6.0, -5.0, -4.0],
        }
    )
    figure = infinite_report.exact_figure(depths, bounds)
    left, right = figure.axes
    assert [line.get_label() for line in left.lines] == ["seed 0", "seed 1", "0.001 (left)"]
    assert len({(line.get_color(), line.get_marker()) for line in left.lines[:2]}) == 2
    gains = [
        (line.get_linestyle(), np.asarray(line.get_ydata()).tolist()) for line in right.lines[:4]
    ]
    assert gains == [
        ("-", [0, 0.5, 0.75]),
        ("--", [0, 1, 2]),
        ("-", [0, 0.5, 1]),
        ("--", [0, 1, 2]),
    ]
    (legend,) = figure.legends  # below both panels, not over a curve
    assert right.get_legend() is None
    assert "log-likelihood (right)" in [text.get_text() for text in legend.get_texts()]


def test_reported_likelihoods_are_lines_that_the_figure_has_room_for() -> None:
    cell = {"data": "mnist", "variant": "paper", "method": "cd", "k": 1, "seed": 0}
    likelihood = pd.DataFrame(
        [
            {**cell, "epoch": epoch, "split": "test", "log_likelihood": value}
            | {"low": value - 1, "high": high}
            for epoch, value, high in ((1, -100.0, float("inf")), (10, -90.0, -89.0))
        ]
    )
    reconstruction = pd.DataFrame([{**cell, "epoch": 1, "error": 9.0}])
    about = {"metric": "test_log_likelihood/cd1", "measures": "nats", "reported": -125.0}
    about |= {"better": "higher"}
    entry = Expectation.model_validate(about)
    figure = rbm_report.learning_figure(likelihood, reconstruction, {entry.metric: entry})
    left, right = figure.axes
    dotted = [line for line in left.lines if line.get_linestyle() == ":"]
    assert [np.asarray(line.get_ydata()).tolist() for line in dotted] == [
        [-125, -125],
        [],
    ]  # and in the legend
    assert [text.get_text() for text in left.texts] == ["CD-1"]
    assert left.get_ylim()[0] < -125
    (hollow,) = (line for line in left.lines if np.asarray(line.get_ydata()).tolist() == [-100.0])
    assert (hollow.get_markerfacecolor(), hollow.get_marker()) == ("white", "o")
    assert (left.get_title(), right.get_ylabel()) == (
        "Test log-likelihood",
        "squared error per image",
    )
    plain = rbm_report.learning_figure(likelihood, reconstruction, {}).axes[0]
    assert not [line for line in plain.lines if line.get_linestyle() == ":"]


def test_both_panels_of_the_gradients_figure_have_a_title() -> None:
    gradient = pd.DataFrame(
        [
            {"data": "d", "variant": "small", "method": "cd", "k": 1, "seed": 0, "epoch": epoch}
            | {"cd_steps": k, "angle": 10.0 * epoch / k, "bias": 0.1 / k, "exact_norm": 0.5}
            for epoch in (1, 2, 4000)
            for k in (1, 3)
        ]
    )
    left, right = rbm_report.gradient_figure(gradient).axes
    assert left.get_title() and right.get_title()
    assert [line.get_label() for line in left.lines] == ["epoch 1", "epoch 2", "epoch 4,000"]
    assert len({line.get_marker() for line in left.lines}) == 3
    assert np.asarray(left.lines[2].get_ydata()).tolist() == [40_000.0, pytest.approx(40_000 / 3)]
