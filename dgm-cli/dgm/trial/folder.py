"""A trial's folder: its keys, its checkpoints, and what it left.

trials/<label>/trial.json     keys, state (started, finished, failed), seconds, commit
               state/         checkpoints of its loops, until it is finished
               *.csv *.npz    its tables and arrays
               *.safetensors  its trained models, each with its settings
"""

import contextlib
import hashlib
import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from dgm.errors import DgmError
from dgm.files import atomic_write, read_csv, read_json, read_npz, write_csv, write_npz
from dgm.trial import machine
from dgm.trial.keys import Keys, changes

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


def checkpoints(directory: Path) -> Path:
    return directory / "state"


def about(directory: Path) -> dict[str, Any]:
    """trial.json, or nothing where there is none; DgmError where it cannot be read."""
    return read_json(directory / "trial.json")


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
    if not {"cell", "code", "machine", "state"} <= found.keys():
        return State("stale", "an earlier version of dgm wrote it")
    if found["state"] not in ("started", "failed", "finished"):
        return State("unreadable", f"{directory}/trial.json: no trial is {found['state']!r}")
    different = [
        *changes(found["cell"], keys.cell, "the default"),
        *changes(found["code"], keys.code),
    ]
    if found["state"] != "finished":
        different += changes(found["machine"], keys.machine)
    if different:
        return State("stale", "; ".join(different))
    if found["state"] == "finished":
        lost = [name for name in _files(found) if not (directory / name).exists()]
        return State("stale", f"{lost[0]} is gone") if lost else State("finished")
    return State(found["state"], found.get("error") or "")


def _files(found: dict[str, Any]) -> list[str]:
    return [
        *(f"{name}.csv" for name in found["tables"]),
        *(f"{name}.npz" for name in found["arrays"]),
    ]


def models(directory: Path) -> list[Path]:
    """The models that a finished trial left; none where one of them is gone."""
    paths = [directory / f"{name}.safetensors" for name in about(directory).get("models", [])]
    return paths if all(path.exists() for path in paths) else []


def models_hash(directory: Path) -> str | None:
    """The SHA-256 of a trial's models, None where they are not there."""
    paths = models(directory)
    if not paths:
        return None
    digest = hashlib.sha256()
    for path in paths:
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

    for name, table in artifacts.tables.items():
        write_csv(table, directory / f"{name}.csv")
    for name, array in artifacts.arrays.items():
        write_npz(directory / f"{name}.npz", {name: array})
    which = {"data": keys.cell["data"], "seed": keys.cell["seed"], "settings": settings}
    made_by = {**which, "chosen": trial.chosen, "code": keys.code, "machine": keys.machine}
    for name, model in artifacts.models.items():
        save(model, directory / f"{name}.safetensors", made_by)
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
        tables=list(artifacts.tables),
        arrays=list(artifacts.arrays),
        models=list(artifacts.models),
    )
    shutil.rmtree(checkpoints(directory), ignore_errors=True)


def fail_trial(directory: Path, keys: Keys, error: str) -> None:
    """Note that the trial failed and why; its checkpoints stay."""
    with contextlib.suppress(DgmError):  # a full disk may be why it failed
        _write(directory, **asdict(keys), state="failed", error=error)


def read_trial(directory: Path) -> tuple[Tables, Arrays]:
    """The tables and arrays of a finished trial, by name."""
    found = about(directory)
    tables = {name: read_csv(directory / f"{name}.csv") for name in found["tables"]}
    arrays = {name: read_npz(directory / f"{name}.npz")[name] for name in found["arrays"]}
    return tables, arrays


def _write(directory: Path, **news: Any) -> None:
    content = {**about(directory), **news}
    atomic_write(directory / "trial.json", json.dumps(content, indent=1) + "\n")
