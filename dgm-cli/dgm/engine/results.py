"""A results folder: tables, arrays, metrics, figures, and run.json, which lists all of them.

Results hold whole trials: each row of a table and each array has its trial's key, and run.json says
what the trial's cell, code and machine were and what it left. So a trial of committed results is
read back by a filter, and a grid or a list of seeds can grow on another day or machine.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from typing_extensions import NotRequired, TypedDict

from dgm import experiments
from dgm.engine.plan import Planned
from dgm.errors import BadInput, DgmError
from dgm.files import atomic_write, read_csv, read_json, read_npz, sha256, write_csv, write_npz
from dgm.recipe.schema import Expectation
from dgm.report.summary import read_metrics, summary, write_metrics
from dgm.report.tables import Cell, Results
from dgm.text import counted
from dgm.trial import folder
from dgm.trial.folder import Arrays, State, Tables
from dgm.trial.keys import Key, changes

PROVENANCE = (
    *("seconds", "reference_seconds", "device", "commit", "chosen"),
    *("peak_memory_mb", "restored_steps"),
)
METRICS = "metrics.csv"
RESULTS = (".csv", ".npz", ".png", ".svg", ".gif")


class _Entry(TypedDict):
    """A trial in run.json, as far as it is read back."""

    trial: str
    label: str
    axes: dict[str, Any]
    seed: int
    cell: Key
    code: Key
    tables: dict[str, list[str]]  # their columns
    arrays: list[str]
    chosen: NotRequired[dict[str, Any]]
    measured_on: NotRequired[dict[str, str]]


class _Run(TypedDict, total=False):
    """run.json, as far as it is read back."""

    files: dict[str, str | None]  # SHA-256 of tables and arrays; figures may be drawn again
    overrides: list[str]
    command: str
    commit: str | None
    trials: list[_Entry]


class Finished(NamedTuple):
    """A finished trial: its entry in run.json, and what it left."""

    about: dict[str, Any]
    tables: Tables
    arrays: Arrays

    @property
    def cell(self) -> Cell:
        """What its rows begin with: the axes and the seed."""
        return {**self.about["axes"], "seed": self.about["seed"]}


# --- reading ---------------------------------------------------------------------------------


def manifest(target: Path) -> dict[str, Any]:
    """run.json of a results folder, or nothing where there is none; DgmError if it is damaged."""
    try:
        return read_json(target / "run.json", _Run)
    except DgmError as error:
        raise DgmError(
            f"{error}. Or an earlier version of dgm wrote it; give another --out DIR, or --fresh "
            f"to replace these results"
        ) from error


class Held:
    """The trials that a results folder holds, by key."""

    def __init__(self, target: Path) -> None:
        self.target = target
        run = manifest(target)
        self.files: dict[str, str | None] = run.get("files", {})
        self.trials: dict[str, dict[str, Any]] = {t["trial"]: t for t in run.get("trials", [])}
        self._tables: dict[str, Mapping[str, pd.DataFrame]] = {}
        self._npz: dict[str, Arrays] = {}

    def read(self, key: str) -> Finished:
        """A trial read back; DgmError where a table or array is not as the run left it."""
        about = self.trials[key]
        tables = {}
        for name, columns in about["tables"].items():
            rows = self._by_trial(name).get(key, pd.DataFrame(columns=columns))
            tables[name] = rows[columns].reset_index(drop=True)
        arrays = {name: self._arrays(name)[key] for name in about["arrays"]}
        return Finished(about, tables, arrays)

    def _by_trial(self, name: str) -> Mapping[str, pd.DataFrame]:
        if name not in self._tables:
            table = read_csv(self._there(f"{name}.csv"))
            grouped = table.groupby("trial", sort=False) if "trial" in table else []
            self._tables[name] = {str(key): rows for key, rows in grouped}
        return self._tables[name]

    def _arrays(self, name: str) -> Arrays:
        if name not in self._npz:
            self._npz[name] = read_npz(self._there(f"{name}.npz"))
        return self._npz[name]

    def _there(self, name: str) -> Path:
        path = self.target / name
        if not path.exists():
            raise DgmError(f"{path}: is gone, but run.json lists it")
        if sha256(path) != self.files.get(name):
            raise DgmError(f"{path}: was changed after the run that wrote it")
        return path


def saved(target: Path) -> Results:
    """The results in this folder, read back."""
    held = Held(target)
    if not held.trials:
        raise BadInput(f"{target}: no such results; `dgm run` makes them")
    return gather(held.read(key) for key in held.trials)


class Store:
    """Finished trials: in their folders and, to extend results, in these."""

    def __init__(self, target: Path, extend: bool) -> None:
        self.target = target
        self.held = Held(target) if extend else None

    def state(self, p: Planned) -> State:
        """Where the trial stands: as its folder says, or `held` by the results."""
        found = p.state()
        if found.name == "finished" or self.held is None:
            return found
        about = self.held.trials.get(p.key)
        held = about is not None and not any(changes(about["code"], p.keys.code))
        return State("held") if held else found

    def measured_on(self, p: Planned) -> dict[str, str] | None:
        """The SHA-256 of the published models that a trial's numbers were measured on."""
        if p.state().name == "finished":
            return folder.about(p.directory).get("measured_on")
        return self.held.trials.get(p.key, {}).get("measured_on") if self.held else None

    def read(self, p: Planned, names: list[str]) -> Finished:
        """A trial that is finished or held, with its values of these axes."""
        axes = {name: _plain(p.spec.value(name)) for name in names}
        if self.state(p).name == "held":
            assert self.held is not None
            found = self.held.read(p.key)
            return found._replace(about={**found.about, "label": p.label, "axes": axes})
        tables, arrays = folder.read_trial(p.directory)
        left = folder.about(p.directory)
        about = {
            "trial": p.key,
            "label": p.label,
            "axes": axes,
            "seed": p.spec.seed,
            **{key: left[key] for key in ("cell", "code", "machine")},
            **{key: left.get(key) for key in PROVENANCE},
            **({"measured_on": left["measured_on"]} if "measured_on" in left else {}),
            "tables": {name: list(table.columns) for name, table in tables.items()},
            "arrays": list(arrays),
        }
        return Finished(about, tables, arrays)


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, list | tuple) else value


# --- gathering and writing -------------------------------------------------------------------


def axes_of(planned: list[Planned], axes: list[str]) -> list[str]:
    """The experiment's axes, then those that only this grid has."""
    return list(dict.fromkeys([*axes, *(axis for p in planned for axis in p.spec.axes)]))


def gather(trials: Iterable[Finished]) -> Results:
    """All trials' tables one below the other, and their arrays."""
    parts: dict[str, list[pd.DataFrame]] = {}
    results = Results()
    for found in trials:
        key = found.about["trial"]
        results.cells[key] = found.cell
        for name, table in found.tables.items():
            head = {"trial": key, **found.cell}
            twice = head.keys() & set(table.columns)
            if twice:
                raise DgmError(f"{twice.pop()}: is a column of {name}.csv, and cannot be an axis")
            front = pd.DataFrame({column: [value] * len(table) for column, value in head.items()})
            parts.setdefault(name, []).append(pd.concat([front, table], axis=1))
        for name, array in found.arrays.items():
            results.arrays.setdefault(name, {})[key] = np.asarray(array)
    results.tables = {name: pd.concat(tables, ignore_index=True) for name, tables in parts.items()}
    return results


class Written(NamedTuple):
    """The files of a run, those of its figures that one looks at, and figures that failed."""

    files: list[str]
    figures: list[str]
    undrawn: dict[str, str]


def write(
    target: Path, run: Mapping[str, Any], expect: list[Expectation], results: Results
) -> Written:
    """Tables, arrays, metrics, summary and figures of a run, given as run.json tells of it.

    Bands are for the recipe's own settings.
    """
    metrics, overridden = target / METRICS, bool(run["overrides"])
    write_metrics(metrics, experiments.report(run["experiment"]).summarise(results))  # may refuse
    table = summary(read_metrics(metrics), expect, run["preset"], overridden)
    write_csv(table, target / "summary.csv")
    files = [METRICS, "summary.csv"]
    for name, table in results.tables.items():
        write_csv(table, target / f"{name}.csv")
        files.append(f"{name}.csv")
    for name, arrays in results.arrays.items():
        write_npz(target / f"{name}.npz", arrays)
        files.append(f"{name}.npz")
    drawn = draw(target, run, expect, results)
    return drawn._replace(files=[*files, *drawn.files])


def draw(
    target: Path, run: Mapping[str, Any], expect: list[Expectation], results: Results
) -> Written:
    """Every figure as .png and .svg, every film as .gif; one that fails costs nothing else.

    Each file tells the recipe, preset, command and commit of the run that left the results.
    """
    from dgm.report import plotting

    own = {e.metric: e for e in expect if not e.is_pattern and e.applies_to(run["preset"])}
    expected = {} if run.get("overrides") else own
    report = experiments.report(run["experiment"])
    drawn, undrawn = plotting.render_all(lambda: report.draw(results, expected), origin(run))
    files = []
    for name, content in drawn.items():
        try:
            atomic_write(target / name, content)
            files.append(name)
        except DgmError as error:
            undrawn[name] = str(error)
    return Written(files, [name for name in files if not name.endswith(".svg")], undrawn)


def origin(run: Mapping[str, Any]) -> dict[str, str]:
    """What a figure's file tells of its run, in fields that both PNG and SVG have."""
    command, commit = run.get("command"), run.get("commit")
    return {
        "Title": f"{run['recipe']}, preset {run['preset']}",
        **({"Description": command} if command else {}),
        **({"Source": f"commit {commit}"} if commit else {}),
    }


def hashes(target: Path, files: Iterable[str]) -> dict[str, str | None]:
    """The SHA-256 of each table and array. Figures have none: `dgm plot` may draw them again."""
    return {
        name: sha256(target / name) if name.endswith((".csv", ".npz")) else None for name in files
    }


def are_unlisted(target: Path) -> bool:
    """Whether there are metrics of which no run.json says what they hold."""
    return (target / METRICS).exists() and METRICS not in Held(target).files


def forget_trials(target: Path) -> None:
    """Let run.json hold no trial, so that an interrupted --fresh can go on without --fresh."""
    if (target / "run.json").exists() or (target / METRICS).exists():
        earlier = _earlier(target)
        about = {
            "files": {METRICS: None, **earlier.get("files", {})},
            "overrides": earlier.get("overrides", []),
        }
        atomic_write(target / "run.json", json.dumps(about, indent=1) + "\n")


def _earlier(target: Path) -> dict[str, Any]:
    """The run.json of the run before, or nothing where it cannot be read."""
    try:
        return manifest(target)
    except DgmError:
        return {}


def remove_earlier(target: Path, files: list[str]) -> None:
    """Remove what an earlier run wrote and this one did not; a user's own files stay."""
    for name in set(_earlier(target).get("files", {})) - set(files):
        # A file of results in this folder, whatever run.json says.
        if Path(name).name == name and name.endswith(RESULTS) and (target / name).is_file():
            (target / name).unlink()


def named(trials: Iterable[str], n: int) -> str:
    """ "3 trials (row=svm,seed=0, ...)"."""
    first = next(iter(trials))
    return f"{counted(n, 'trial')} ({first}{', ...' if n > 1 else ''})"
