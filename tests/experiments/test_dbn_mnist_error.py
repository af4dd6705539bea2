"""The table of test errors: how errors are counted and compared, and that a killed row goes on."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter
from scipy import stats

from dgm import data
from dgm.experiments.dbn_mnist_error import report
from dgm.experiments.dbn_mnist_error.report import mcnemar
from dgm.experiments.dbn_mnist_error.settings import Settings
from dgm.experiments.dbn_mnist_error.trial import count, run_trial
from dgm.recipe.schema import Expectation
from dgm.report.tables import Artifacts, Results
from dgm.trial.loop import Trial


def test_counting() -> None:
    """Oracle: the quantiles of the beta distribution; and the binomial test by hand."""
    found = count(125, 10_000)
    assert found["error"] == 1.25
    assert found["low"] == pytest.approx(100 * stats.beta.ppf(0.025, 125, 9876))
    assert found["high"] == pytest.approx(100 * stats.beta.ppf(0.975, 126, 9875))
    a = np.array([True] * 6 + [False] * 94)
    b = np.array([False] * 5 + [True] * 2 + [False] * 93)
    # 5 images only a gets wrong, 1 only b: 2 (1 + 6) / 2^6
    assert mcnemar(a, b) == pytest.approx(14 / 64)
    assert mcnemar(a, a) == 1.0


def test_every_two_rows_are_compared_on_the_same_images() -> None:
    """Rows without chance have one seed and stand beside every seed of the others."""
    guesses = {
        ("svm", 0): [1, 0, 0, 0, 0, 0, 0, 0],
        ("backprop_1000", 0): [0, 1, 1, 1, 1, 1, 1, 0],
        ("backprop_1000", 1): [0, 1, 1, 1, 1, 1, 0, 0],
        ("knn", 0): [1, 0, 0, 0, 0, 0, 0, 0],
        ("dbn_backprop", 0): [0, 1, 0, 0, 0, 0, 0, 1],
        ("dbn_backprop", 1): [0, 1, 1, 0, 0, 0, 0, 0],
    }
    cells = {f"{row}{seed}": {"data": "mnist", "row": row, "seed": seed} for row, seed in guesses}
    predicted = dict(zip(cells, (np.array(guess) for guess in guesses.values()), strict=True))
    columns = {"data": "mnist", "row": "svm", "seed": 0, "stage": "final", "error": 12.5}
    columns |= {"wrong": 1, "images": 8}
    found = list(
        report.summarise(
            Results(
                {"errors": pd.DataFrame([columns])},
                {"predicted_final": predicted, "truth": dict.fromkeys(cells, np.zeros(8))},
                cells,
            )
        )
    )
    assert found[0].test_stderr == pytest.approx(100 * (1 / 8 * 7 / 8 / 8) ** 0.5)
    values = {(metric, seed): value for metric, seed, value, *_ in found}
    assert values["test_error/svm", 0] == 12.5
    # The least sure of the seeds: svm errs on 1 image more and 6 fewer than one, 5 than the other.
    name = "mcnemar_p/svm/backprop_1000"
    assert values[name, 0] == pytest.approx(2 * (1 + 6) / 2**6)
    assert (name, 1) not in values
    # Two rows of two seeds, seed by seed: on 1 image more and 5 fewer, on none more and 3 fewer.
    # The first seed of one and the second of the other, 1 and 4, would be less sure.
    name = "mcnemar_p/dbn_backprop/backprop_1000"
    assert values[name, 0] == pytest.approx(2 / 2**3)


LITTLE: dict[str, dict[str, object]] = {
    "generative": {
        "hidden": [12, 12, 20],
        "train_size": 300,
        "greedy_epochs": 2,
        "gibbs_steps": [1, 2],
        "up_down_epochs": 2,
        "up_down_persistent": True,
        "last_epochs": 3,
    },
    "backprop": {
        "layers": [12, 9],
        "pretrained": True,
        "greedy_epochs": 1,
        "rates": [0.05, 0.2],
        "backprop_epochs": 2,
    },
}


@pytest.mark.parametrize("learner", list(LITTLE))
def test_a_killed_protocol_goes_on_to_the_same_end(learner: str, tmp_path: Path) -> None:
    """Killed at every so many updates, in every phase in turn; to the last prediction and row."""
    values = LITTLE[learner] | {"learner": learner, "batch": 50}
    settings: Any = TypeAdapter(Settings).validate_python(values)

    class Killed(Exception):
        pass

    def run(folder: str, patience: float) -> Artifacts:
        steps = 0

        def alive(phase: str, step: int, n: int) -> None:
            nonlocal steps
            steps += 1
            if steps > patience:
                raise Killed

        trial = Trial(
            "t",
            data.load("digits"),
            3,
            tmp_path / folder,
            checkpoint_every=0.0,
            progress=alive,
        )
        return run_trial(settings, trial)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dgm.trial.loop.PROGRESS_EVERY", 0.0)
        whole, killed, again = run("whole", np.inf), 0, None
        while again is None:
            try:
                again = run("killed", 11)
            except Killed:
                killed += 1
    assert killed > 5
    assert set(again.tables) == set(whole.tables)
    for name, table in whole.tables.items():
        pd.testing.assert_frame_equal(again.tables[name], table)
    for name, array in whole.arrays.items():
        assert np.array_equal(again.arrays[name], array)


def test_the_figure_shows_the_numbers_that_the_recipe_reports() -> None:
    errors = pd.DataFrame(
        [
            {"data": "mnist", "row": row, "seed": 0, "stage": "final", "name": row}
            | {"error": 1.5, "low": 1.2, "high": 1.8}
            for row in ("svm", "knn", "own")
        ]
    )
    expect = {
        name: Expectation.model_validate({"metric": name, "measures": "errors", **reported})
        for name, reported in (
            ("test_error/svm", {"reported": 1.4, "better": "lower"}),
            ("test_error/knn", {}),
        )
    }
    (axes,) = report.table_figure(errors, ["svm", "knn", "own"], expect).axes
    diamonds = [
        np.asarray(line.get_xydata()).tolist() for line in axes.lines if line.get_marker() == "D"
    ]
    assert diamonds == [[[1.4, 0]]]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["support vector machine", "nearest neighbours", "own"]


def test_curves_stand_out_that_belong_to_the_chosen_settings() -> None:
    head = {"data": "mnist", "seed": 0}
    tried = [
        {**head, "row": "backprop_1000", "epoch": epoch, "split": split, "error": error}
        | {"rate": rate, "decay": 0.0}
        for rate, split, errors in (
            (0.1, "validation", [3.0, 2.0]),
            (0.3, "validation", [2.0, 1.5]),
            (0.3, "all", [1.0, 0.5]),
        )
        for epoch, error in enumerate(errors)
    ]
    untried = {**head, "row": "dbn", "epoch": 0, "split": "validation", "error": 1.8}
    columns = ["data", "row", "seed", "epoch", "split", "error", "rate", "decay"]
    figure = report.curves_figure(pd.DataFrame([*tried, untried], columns=columns))
    backprop, dbn = figure.axes
    drawn = {str(of.get_label()): np.asarray(of.get_ydata()).tolist() for of in backprop.lines}
    assert drawn == {
        "validation images, settings not chosen": [3.0, 2.0],
        "validation images, a line a seed": [2.0, 1.5],
        "training and validation images, learned from": [1.0, 0.5],
    }
    assert [line.get_label() for line in dbn.lines] == ["validation images, a line a seed"]
    assert backprop.get_ylim() == dbn.get_ylim() == (0, 3 * 1.8)
    assert dbn.get_title() == "DBN, persistent chains"


def test_every_row_is_named_in_full() -> None:
    assert len(set(report.TITLES.values())) == len(report.TITLES)
    assert not any(title.startswith(("the same", "that")) for title in report.TITLES.values())
