"""Tables and arrays of a run, by the cells of its grid."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd


@dataclass
class Artifacts:
    """What a trial leaves: tables, arrays and trained models, each under its file's name.

    Those of a whole run have the axes and the seed in front of each table's columns, and in
    place of each array a dict from the trial's label to it.
    """

    tables: dict[str, pd.DataFrame]
    arrays: dict[str, Any] = field(default_factory=dict)
    models: dict[str, Any] = field(default_factory=dict)


def by_cell(
    table: pd.DataFrame, without: Sequence[str] = ()
) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """The rows of a table of a whole run that share all axes and the seed, but those `without`.

    First comes what they share, by name; axes that only a user's grid has stand after the others.
    An axis may be blank: the trial's setting is None.
    """
    head = table.columns[: table.columns.get_loc("seed") + 1]
    names = [name for name in head if name not in without]
    for values, rows in table.groupby(names, sort=False, dropna=False):
        told = [None if pd.isna(value) else value for value in values]
        yield dict(zip(names, told, strict=True)), rows


def label_of(cell: Mapping[str, Any]) -> str:
    """The name under which a run keeps the arrays of the trial with these axes and seed."""
    return ",".join(f"{name}={value}" for name, value in cell.items())


def read_label(label: str) -> dict[str, str]:
    """A trial's axes and seed, as text, from the name that `label_of` gave it."""
    parts = (part.partition("=") for part in re.split(r",(?=\w+=)", label))
    return {name: value for name, _, value in parts}


def own_axes(cell: dict[str, Any], axes: Sequence[str], before: str = "/") -> str:
    """How a metric's name ends for axes of a user's grid beside the experiment's: "/hidden=20"; and
    a figure's label, with ", " before each."""
    own = {name: value for name, value in cell.items() if name not in (*axes, "seed")}
    return "".join(f"{before}{name}={value}" for name, value in own.items())
