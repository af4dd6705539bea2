"""Rows that are measured again: they take the old ones' place, and are compared with them."""

import math

import numpy as np
import pandas as pd
import pytest

from dgm.report.tables import Artifacts
from dgm.trial.measured import Rows, compare, merge

MEASURED = {
    "errors": Rows(("stage",), ("wrong",), within=3),
    "likelihood": Rows(("epoch", "split"), ("value",)),
    "smooth": Rows(values=("ratio",)),
    "counts": Rows(("label",)),
}


def earlier() -> Artifacts:
    """As read back from files: a blank stage is a missing value."""
    tables = {
        "curves": pd.DataFrame({"step": [1, 2]}),
        "errors": pd.DataFrame({"stage": [math.nan, "last"], "wrong": [200, 120]}),
        "likelihood": pd.DataFrame(
            {"epoch": [1, 1, 2, 2], "split": ["a", "b"] * 2, "value": [-9.0, -8.0, -7.0, -6.0]}
        ).assign(stderr=0.3),
        "smooth": pd.DataFrame({"ratio": [2.0]}),
        "counts": pd.DataFrame({"label": [0, 1], "images": [3, 4]}),
    }
    return Artifacts(tables, {"predicted_last": np.arange(10, dtype=np.uint8), "kept": np.ones(2)})


def again(**columns: float) -> Artifacts:
    tables = {
        "errors": pd.DataFrame({"stage": ["", "last"], "wrong": [200, columns["wrong"]]}),
        "likelihood": pd.DataFrame(
            {"epoch": [2, 2], "split": ["a", "b"], "value": [columns["value"], -6.0], "stderr": 0.4}
        ),
        "smooth": pd.DataFrame({"ratio": [columns["ratio"]]}),
        "counts": pd.DataFrame({"label": [1, 0], "images": [5, 6]}),
    }
    predicted = np.arange(6, dtype=np.uint8)
    predicted[: int(columns["changed"])] += 50
    return Artifacts(tables, {"predicted_last": predicted})


def test_new_rows_take_the_place_of_old_ones_with_the_same_keys() -> None:
    merged = merge(earlier(), again(wrong=121, value=-7.5, ratio=2.5, changed=0), MEASURED)
    assert merged.tables["curves"].equals(earlier().tables["curves"])
    assert merged.tables["errors"]["wrong"].tolist() == [200, 121]
    assert merged.tables["likelihood"]["value"].tolist() == [-9.0, -8.0, -7.5, -6.0]
    assert merged.tables["smooth"]["ratio"].tolist() == [2.5]
    assert merged.tables["counts"]["images"].tolist() == [5, 6]
    assert set(merged.arrays) == {"predicted_last", "kept"}
    changed = merge(earlier(), again(wrong=120, value=-7.0, ratio=2.0, changed=2), MEASURED)
    assert changed.arrays["predicted_last"].tolist() == [50, 51, *range(2, 10)]


@pytest.mark.parametrize(
    ("columns", "differing"),
    [
        ({}, []),
        ({"wrong": 123, "value": -8.99, "ratio": 2.00019, "changed": 3}, []),
        ({"wrong": 124}, ["errors wrong (stage=last)"]),
        ({"value": -9.01}, ["likelihood value (epoch=2, split=a)"]),  # 4 sqrt(.3^2 + .4^2) = 2
        ({"ratio": 2.00021}, ["smooth ratio"]),
        ({"changed": 4}, ["predicted_last: of 6 images, how many differ"]),
    ],
)
def test_how_much_a_number_may_differ(columns: dict[str, float], differing: list[str]) -> None:
    now = again(**{"wrong": 120, "value": -7.0, "ratio": 2.0, "changed": 0, **columns})
    found = list(compare(earlier(), now, MEASURED))
    assert len(found) == 2 + 2 + 1 + 1
    assert [one.name for one in found if not one.agrees] == differing


def test_a_number_that_was_not_measured_before_agrees_with_nothing() -> None:
    lacking = earlier()
    del lacking.tables["smooth"]
    now = again(wrong=120, value=-7.0, ratio=2.0, changed=0)
    (found,) = (one for one in compare(lacking, now, MEASURED) if one.name == "smooth ratio")
    assert math.isnan(found.before) and not found.agrees
