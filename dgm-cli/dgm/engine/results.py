"""From trials to a run's tables, arrays and figures, and from those back to trials.

In front of each table's columns stand what the experiment calls its axes (settings, or `data`, the
set's name), then those that only this grid has, then the seed: a trial's cell. The rows of all
trials lie one below the other, an array is kept under its trial's cell. A repository keeps these
results and not the trials' folders; `restore` makes the folders again, so that a grid or a list of
seeds can grow on another day, and with `adopt` on another machine.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dgm import experiments
from dgm.engine.estimate import manifest
from dgm.errors import BadInput, DgmError
from dgm.files import atomic_write, read_csv, read_npz
from dgm.report import plotting
from dgm.report.tables import Artifacts, label_of
from dgm.trial import folder as store
from dgm.trial.folder import Planned

KEPT = ("metrics", "summary")  # tables of the run, not of its trials
MACHINE = ("torch", "device", "threads")  # of an identity: by what a trial was run, not which it is
TOLD = ("seconds", "device", "commit", "chosen", "peak_memory_mb", "restored_steps")


def axes_of(planned: list[Planned], axes: Sequence[str]) -> list[str]:
    """The experiment's axes, then those that only this grid has."""
    return list(dict.fromkeys([*axes, *(axis for p in planned for axis in p.spec.axes)]))


def cell_of(p: Planned, axes: list[str]) -> dict[str, Any]:
    """The values that tell a trial's rows from those of others."""
    cell = {axis: p.spec.value(axis) for axis in axes} | {"seed": p.spec.seed}
    return {key: str(v) if isinstance(v, list) else v for key, v in cell.items()}


def gather(planned: list[Planned], axes: Sequence[str]) -> Artifacts:
    """All finished trials' tables and arrays."""
    tables: dict[str, list[pd.DataFrame]] = {}
    arrays: dict[str, dict[str, np.ndarray]] = {}
    names = axes_of(planned, axes)
    for p in planned:
        cell = cell_of(p, names)
        its_tables, its_arrays = store.read_trial(p.directory)
        for name, table in its_tables.items():
            for i, (key, value) in enumerate(cell.items()):
                if key in table:
                    raise DgmError(f"{key}: is a column of {name}.csv, and cannot be an axis")
                table.insert(i, key, value)
            tables.setdefault(name, []).append(table)
        for name, array in its_arrays.items():
            arrays.setdefault(name, {})[label_of(cell)] = array
    return Artifacts(
        {name: pd.concat(parts, ignore_index=True) for name, parts in tables.items()}, arrays
    )


def saved(target: Path) -> Artifacts:
    """What `gather` gave to the results in this folder, read back."""
    if not (target / "metrics.csv").exists():
        raise BadInput(f"{target}: no such results; `dgm run` makes them")
    return Artifacts(
        {p.stem: read_csv(p) for p in sorted(target.glob("*.csv")) if p.stem not in KEPT},
        {p.stem: read_npz(p) for p in sorted(target.glob("*.npz"))},
    )


def adopt(p: Planned, target: Path) -> Planned:
    """The same trial as it was run by another machine, torch or number of threads, if its folder
    holds it finished so or the results do; else the one asked for."""
    done = store.about(p.directory)
    if done.get("state") == "finished":
        theirs = done["identity"]
    else:
        its = held(target).get(p.spec.label, {})
        versions = manifest(target).get("versions", {})
        device = str(its.get("device")).partition(":")[0]
        theirs = {"torch": versions.get("torch"), **its, "device": device}
    run_so = {key: theirs[key] for key in MACHINE if key in theirs}
    adopted = replace(p, identity=p.identity | run_so)
    return adopted if adopted.finished or is_held(adopted, target) else p


def restore(planned: list[Planned], axes: Sequence[str], target: Path) -> int:
    """Make the folders again of trials that the results hold; how many there were.

    BadInput when the results hold a trial of the same name that is another one. Models are not
    among the results.
    """
    there = held(target)
    lacking = [p for p in planned if p.spec.label in there and _gives_way(p, target)]
    for p in lacking:
        if not is_held(p, target):
            raise BadInput(
                f"{target}: the trial {p.spec.label} in these results was made with other "
                f"settings or data, or before its experiment was revised, and cannot be kept; "
                f"without --extend it runs anew"
            )
    results = saved(target) if lacking else Artifacts({})
    names = axes_of(planned, axes)
    for p in lacking:
        cell = cell_of(p, names)
        tables = {name: rows_of(table, cell) for name, table in results.tables.items()}
        arrays = {name: of.get(label_of(cell)) for name, of in results.arrays.items()}
        store.restore_trial(
            p.directory,
            p.identity,
            {name: table for name, table in tables.items() if len(table)},
            {name: array for name, array in arrays.items() if array is not None},
            {key: there[p.spec.label][key] for key in TOLD},
        )
    return len(lacking)


def held(target: Path) -> dict[str, dict[str, Any]]:
    """By label, what the manifest of these results tells of their trials."""
    return {trial["label"]: trial for trial in manifest(target).get("trials", [])}


def is_held(p: Planned, target: Path) -> bool:
    """Whether the results hold this very trial, of which `restore` can make the folder again."""
    return held(target).get(p.spec.label, {}).get("identity") == digest(p.identity)


def _gives_way(p: Planned, target: Path) -> bool:
    """Whether there is no folder, or one of this very trial, not finished or short of a file."""
    if not store.about(p.directory):
        return True
    lacks = not p.finished and not store.changes(p.directory, p.identity)
    return lacks and is_held(p, target)


def rows_of(table: pd.DataFrame, cell: dict[str, Any]) -> pd.DataFrame:
    """A trial's own part of a table of a run; columns that it did not have are blank."""
    own = np.full(len(table), True)
    for key, value in cell.items():
        column = table[key]
        # As text too, for beside words a column's numbers are read as words.
        same = (column == value) | (column.astype(str) == str(value))
        own &= column.isna() if value is None else same
    return table[own].drop(columns=list(cell))


def digest(identity: dict[str, Any]) -> str:
    """A short name of all that a trial's result depends on, for the manifest."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]


def draw(experiment: str, artifacts: Artifacts, target: Path) -> tuple[list[str], list[str]]:
    """Draw the experiment's figures; the files to look at, and why others could not be drawn."""
    report = experiments.report(experiment)
    files, failures = plotting.render_all(lambda: report.draw(artifacts))
    for name, content in files.items():
        atomic_write(target / name, content)
    return [name for name in files if not name.endswith(".svg")], failures
