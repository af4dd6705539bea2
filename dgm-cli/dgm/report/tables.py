"""Tables and arrays: what a trial leaves, and what all trials of a run left, by their cells.

The first columns of a run's table are the trial's key (`trial`), its axes and its seed; axes and
seed are its cell. The rows of all trials follow one another. An array is kept under its trial's
key.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

Cell = dict[str, Any]  # the axes and the seed of a trial, by name


@dataclass
class Artifacts:
    """What a trial leaves: tables, arrays and trained models, each under its file's name."""

    tables: dict[str, pd.DataFrame]
    arrays: dict[str, Any] = field(default_factory=dict)
    models: dict[str, Any] = field(default_factory=dict)


@dataclass
class Results:
    """What all trials of a run left; `cells` and each of `arrays` are by the trial's key."""

    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    arrays: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    cells: dict[str, Cell] = field(default_factory=dict)

    def rows(self, name: str, without: Sequence[str] = ()) -> Iterator[tuple[Cell, pd.DataFrame]]:
        """`by_cell` of a table; nothing where no trial left one."""
        return by_cell(self.tables[name], without) if name in self.tables else iter(())

    def each(self, name: str) -> Iterator[tuple[Cell, np.ndarray]]:
        """The arrays of one name, each with its trial's cell, in the order of the trials."""
        arrays = self.arrays.get(name, {})
        return ((cell, arrays[key]) for key, cell in self.cells.items() if key in arrays)


def by_cell(
    table: pd.DataFrame, without: Sequence[str] = ()
) -> Iterator[tuple[Cell, pd.DataFrame]]:
    """The rows of a run's table that share all axes and the seed, except those in `without`.

    Yields what they share, by name, and the rows; axes that only a user's grid has come last.
    An axis is None where the trial's setting is.
    """
    head = table.columns[: table.columns.get_loc("seed") + 1]
    names = [name for name in head if name not in ("trial", *without)]
    for values, rows in table.groupby(names, sort=False, dropna=False):
        shared = [None if pd.isna(value) else value for value in values]
        yield dict(zip(names, shared, strict=True)), rows


def own_axes(cell: Cell, axes: Sequence[str], before: str = "/") -> str:
    """The ending of a metric's name for axes that only a user's grid has: "/hidden=20".

    An axis that is None is left out: of one learner's cells it may be another's. With
    `before=", "` the ending of a figure's label.
    """
    own = {name: value for name, value in cell.items() if name not in (*axes, "seed")}
    return "".join(f"{before}{name}={value}" for name, value in own.items() if value is not None)


def metric_name(*parts: str, cell: Cell, axes: Sequence[str]) -> str:
    """A metric of a cell: its parts that are not empty, then a user's own axes.

    "test_elbo/aevb/latent3/hidden=20"
    """
    return "/".join(filter(None, parts)) + own_axes(cell, axes)
