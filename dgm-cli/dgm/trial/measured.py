"""What is measured of a trained model, apart from what its learning left.

An experiment whose models are published has, in its trial.py, `measure(settings, trial, model,
full)`, which records the tables that a trained model gives, and `MEASURED`, which tells for each of
them what its rows are known by and which number is compared. So a model that was stored in half
precision can be measured in the place of the one that was trained, and be measured again on another
day (`dgm verify`). Where `full` is False a part is enough: some of the rows, or the first images.
"""

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from dgm.report.tables import Artifacts

IMAGES = 3  # that may be classified otherwise on another machine
ERRORS = 4  # standard errors, for numbers with Monte Carlo noise
RELATIVE = 1e-4  # for others


class Rows(NamedTuple):
    """A measured table: the columns that tell its rows apart, and the numbers that are compared."""

    keys: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    within: float | None = None


class Compared(NamedTuple):
    """A number that was measured before and again, and by how much it may differ."""

    name: str
    before: float
    now: float
    tolerance: float

    @property
    def agrees(self) -> bool:
        return abs(self.now - self.before) <= self.tolerance

    @property
    def text(self) -> str:
        verdict = "agrees" if self.agrees else "DIFFERS"
        return (
            f"{self.name}: {self.before:.6g}, now {self.now:.6g}, within {self.tolerance:.2g}: "
            f"{verdict}"
        )


def merge(earlier: Artifacts, again: Artifacts, measured: Mapping[str, Rows]) -> Artifacts:
    """What a trial left, with what was measured again in the place of the old rows and arrays."""
    tables = dict(earlier.tables)
    for name, new in again.tables.items():
        keys = list(measured[name].keys) if name in measured else []
        old = tables.get(name, new.iloc[:0])
        stays = ~_index(old, keys).isin(_index(new, keys))
        tables[name] = pd.concat([old[stays], new], ignore_index=True) if stays.any() else new
    arrays = dict(earlier.arrays)
    for name, array in again.arrays.items():
        whole = np.array(arrays.get(name, array))
        if whole.ndim and len(array) < len(whole):  # of the first images alone
            whole[: len(array)] = array
            array = whole
        arrays[name] = array
    return Artifacts(tables, arrays)


def compare(
    earlier: Artifacts, again: Artifacts, measured: Mapping[str, Rows]
) -> Iterator[Compared]:
    """Each number measured again beside the earlier one.

    Unless its `Rows` says how much is allowed, four standard errors of the difference are where a
    table has a column `stderr`, and else a ten thousandth; predicted classes (arrays of this name)
    may differ in three images. A number that was not measured before is NaN, and agrees with none.
    """
    for name, rows in measured.items():
        if name in again.tables and rows.values:
            old = earlier.tables.get(name, again.tables[name].iloc[:0])
            yield from _rows(name, rows, old, again.tables[name])
    for name, found in again.arrays.items():
        if name.startswith("predicted") and name in earlier.arrays:
            differ = int((earlier.arrays[name][: len(found)] != found).sum())
            label = f"{name}: of {len(found):,} images, how many differ"
            yield Compared(label, 0, differ, IMAGES)


def _rows(name: str, rows: Rows, old: pd.DataFrame, new: pd.DataFrame) -> Iterator[Compared]:
    columns = list(rows.keys)
    index = _index(old, columns)
    records = zip(index, old.to_dict("records"), strict=True)
    by_key = {key: row for key, row in records if (index == key).sum() == 1}
    for key, row in zip(_index(new, columns), new.to_dict("records"), strict=True):
        before = by_key.get(key, {})
        where = ", ".join(f"{column}={row[column]}" for column in columns)
        for value in rows.values:
            was, now = float(before.get(value, math.nan)), float(row[value])
            label = f"{name} {value}" + (f" ({where})" if where else "")
            yield Compared(label, was, now, _allowed(rows, was, before, row))


def _allowed(
    rows: Rows, was: float, before: Mapping[str, float], row: Mapping[str, float]
) -> float:
    if rows.within is not None:
        return rows.within
    if "stderr" not in row:
        return RELATIVE * abs(was)
    # What was committed may be noisier than what is measured now, but not by much.
    return ERRORS * math.hypot(min(before.get("stderr", 0.0), 2 * row["stderr"]), row["stderr"])


def _index(table: pd.DataFrame, columns: list[str]) -> pd.Index:
    """The rows' keys; all rows have one key where no column tells them apart."""
    rows = table[columns].itertuples(index=False, name=None) if columns else [()] * len(table)
    # A text that is empty comes back from a CSV as a missing value.
    keys = [tuple("" if pd.isna(value) else value for value in row) for row in rows]
    return pd.Index(keys, tupleize_cols=False)
