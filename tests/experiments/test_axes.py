"""What may be an axis of an experiment's grid: a setting that is not a column of a table."""

import csv
from pathlib import Path

import pytest

from dgm import experiments
from dgm.recipe.load import header
from dgm.recipe.union import fields, members

ROOT = Path(__file__).parents[2]
TABLES = sorted((ROOT / "results").glob("*/embedded/*.csv"))


@pytest.mark.parametrize("name", sorted({path.parts[-3] for path in TABLES}))
def test_settings_that_tables_have_as_columns_are_no_axes(name: str) -> None:
    settings = experiments.settings(header(ROOT / "recipes" / f"{name}.yaml").experiment).Settings
    refused = {axis for each in members(settings) for axis in each.not_axes}
    columns = set()
    for path in (path for path in TABLES if path.parts[-3] == name):
        with path.open(encoding="utf-8", newline="") as file:
            head = next(csv.reader(file))
        if "trial" in head:  # after the seed stand the table's own columns
            columns |= set(head[head.index("seed") + 1 :])
    assert columns
    assert fields(settings).keys() & columns == refused
