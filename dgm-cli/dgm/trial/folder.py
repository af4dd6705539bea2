"""A trial's folder: its keys, its checkpoints, and what it left.

trials/<label>/trial.json     keys, state (started, finished, failed), seconds, commit, and the
                              SHA-256 of each file that it left
               state/         checkpoints of its loops, until it is finished
               *.csv *.npz    its tables and arrays
               *.safetensors  its trained models, each with its settings
"""

import contextlib
import hashlib
import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from typing_extensions import TypedDict

from dgm.errors import DgmError
from dgm.files import atomic_write, read_csv, read_json, read_npz, sha256, write_csv, write_npz
from dgm.trial import machine
from dgm.trial.keys import Key, Keys, changes

if TYPE_CHECKING:
    from dgm.report.tables import Artifacts
    from dgm.trial.loop import Trial

Tables = dict[str, pd.DataFrame]
Arrays = dict[str, np.ndarray]


class State(NamedTuple):
    """Where a trial stands, and of a failed, stale or unreadable one why.

    A started or failed trial goes on from its checkpoints. A stale folder holds another trial, or
    one made by other code.
    """

    name: Literal["new", "started", "failed", "finished", "held", "stale", "unreadable"]
    why: str = ""


class _File(TypedDict, total=False):
    """What trial.json holds as far as it is read back."""

    cell: Key
    code: Key
    machine: Key
    state: Literal["started", "failed", "finished"]
    error: str | None
    seconds: float
    device: str
    files: dict[str, str]  # SHA-256 of tables, arrays and models, by name
    chosen: dict[str, Any]
    measured_on: dict[str, str]  # SHA-256 of published models whose numbers these are


MODEL = ".safetensors"
MEASURED = "measured"  # a folder for what was measured again, until it takes the old files' place
KEYS = {"cell", "code", "machine", "state"}


def checkpoints(directory: Path) -> Path:
    return directory / "state"


def about(directory: Path) -> dict[str, Any]:
    """trial.json, or nothing where there is none; DgmError where it cannot be read."""
    return read_json(directory / "trial.json", _File)


def state(directory: Path, keys: Keys) -> State:
    """Where the trial with these keys stands in its folder."""
    try:
        found = about(directory)
    except DgmError as error:
        return State("unreadable", str(error))
    if not found:
        if directory.is_dir() and any(directory.iterdir()):
            return State("unreadable", f"{directory}: holds files, and no trial.json says of what")
        return State("new")
    finished = found.get("state") == "finished"
    if not found.keys() >= (KEYS | {"files", "seconds", "device", "chosen"} if finished else KEYS):
        return State("stale", "an earlier version of dgm wrote it")
    different = [
        *changes(found["cell"], keys.cell, "the default"),
        *changes(found["code"], keys.code),
    ]
    if not finished:
        different += changes(found["machine"], keys.machine)
    if different:
        return State("stale", "; ".join(different))
    if not finished:
        return State(found["state"], found.get("error") or "")
    try:
        return _whole(directory, found["files"])
    except DgmError as error:
        return State("unreadable", str(error))


def _whole(directory: Path, files: dict[str, str]) -> State:
    """Whether what a finished trial left is as it left it; its models may be gone."""
    for name, digest in files.items():
        path, measured = directory / name, directory / MEASURED / name
        if measured.exists() and sha256(measured) == digest:
            with contextlib.suppress(OSError):  # then it is told below that it was changed
                os.replace(measured, path)
        if not path.exists():
            if path.suffix != MODEL:
                return State("stale", f"{name} is gone")
        elif sha256(path) != digest:
            return State("stale", f"{name} was changed after the trial wrote it")
    return State("finished")


def models(directory: Path) -> list[Path]:
    """The models that a finished trial left; none where one of them is gone."""
    names = (name for name in about(directory).get("files", {}) if name.endswith(MODEL))
    paths = [directory / name for name in names]
    return paths if all(path.exists() for path in paths) else []


def models_hash(directory: Path) -> str:
    """The SHA-256 of the models in a folder, one after another."""
    digest = hashlib.sha256()
    for path in sorted(directory.glob(f"*{MODEL}")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def open_trial(directory: Path, keys: Keys) -> None:
    """Make the folder ready; only checkpoints of an unfinished trial with these keys stay."""
    if state(directory, keys).name not in ("started", "failed"):
        discard(directory)
    _write(directory, **asdict(keys), state="started", error=None, commit=machine.commit())


def discard(directory: Path) -> None:
    """Remove a trial's folder with all that is in it."""
    try:
        shutil.rmtree(directory)
    except FileNotFoundError:
        pass
    except OSError as error:  # what stayed would be taken for the next trial's checkpoints
        raise DgmError(f"{directory}: cannot be removed: {error.strerror or error}") from error


def finish_trial(
    directory: Path, keys: Keys, settings: dict[str, Any], artifacts: "Artifacts", trial: "Trial"
) -> None:
    """Write what the trial left, then that it is finished, then drop its checkpoints.

    `settings`, complete, are stored with each model, so that it tells what made it.
    """
    from dgm.trial.models import save

    names = []
    for name, table in artifacts.tables.items():
        write_csv(table, directory / f"{name}.csv")
        names.append(f"{name}.csv")
    for name, array in artifacts.arrays.items():
        write_npz(directory / f"{name}.npz", {name: array})
        names.append(f"{name}.npz")
    which = {"data": keys.cell["data"], "seed": keys.cell["seed"], "settings": settings}
    made_by = {**which, "chosen": trial.chosen, "code": keys.code, "machine": keys.machine}
    for name, model in artifacts.models.items():
        save(model, directory / f"{name}{MODEL}", made_by)
        names.append(f"{name}{MODEL}")
    _write(
        directory,
        **asdict(keys),
        state="finished",
        seconds=round(trial.total_seconds, 2),
        reference_seconds=machine.reference_seconds(),
        restored_steps=trial.restored,
        peak_memory_mb=machine.peak_memory_mb(),
        device=machine.device_name(trial.device),
        chosen=trial.chosen,
        error=None,
        files={name: sha256(directory / name) for name in names},
    )
    shutil.rmtree(checkpoints(directory), ignore_errors=True)


def replace(directory: Path, left: "Artifacts", models: list[Path]) -> None:
    """Let a finished trial have left these tables and arrays, measured on these models.

    All is written beside the old files first. Once trial.json knows the new hashes, `state` moves
    what is not in place yet: stopped anywhere, the trial is the old or the new one.
    """
    beside = directory / MEASURED
    shutil.rmtree(beside, ignore_errors=True)
    for name, table in left.tables.items():
        write_csv(table, beside / f"{name}.csv")
    for name, array in left.arrays.items():
        write_npz(beside / f"{name}.npz", {name: array})
    for path in models:
        shutil.copyfile(path, beside / path.name)
    new = {path.name: sha256(path) for path in sorted(beside.iterdir())}
    files = {**about(directory)["files"], **new}
    _write(directory, files=files, measured_on={path.name: new[path.name] for path in models})
    _whole(directory, files)
    shutil.rmtree(beside, ignore_errors=True)


def fail_trial(directory: Path, keys: Keys, error: str) -> None:
    """Note that the trial failed and why; its checkpoints stay."""
    with contextlib.suppress(DgmError):  # a full disk may be why it failed
        _write(directory, **asdict(keys), state="failed", error=error)


def read_trial(directory: Path) -> tuple[Tables, Arrays]:
    """The tables and arrays of a finished trial, by name."""
    tables, arrays = {}, {}
    for path in map(Path, about(directory)["files"]):
        if path.suffix == ".csv":
            tables[path.stem] = read_csv(directory / path)
        elif path.suffix == ".npz":
            arrays[path.stem] = _array(directory / path)
    return tables, arrays


def _array(path: Path) -> np.ndarray:
    arrays = read_npz(path)
    if path.stem not in arrays:
        raise DgmError(f"{path}: holds no array {path.stem}")
    return arrays[path.stem]


def _write(directory: Path, **news: Any) -> None:
    content = {**about(directory), **news}
    atomic_write(directory / "trial.json", json.dumps(content, indent=1) + "\n")
