"""A trial's folder: what its result depends on, its checkpoints, and what it left.

    trials/<label>/trial.json     identity, state (started, finished, failed), seconds, commit
                   state/         checkpoints of its loops, until it is finished
                   *.csv *.npz    its tables and arrays
                   *.safetensors  its trained models, each with its settings

A finished trial is used again as long as its identity is the one asked for.
"""

import contextlib
import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dgm.errors import DgmError
from dgm.files import atomic_write, read_csv, read_json, read_npz, write_csv, write_npz
from dgm.trial import machine

if TYPE_CHECKING:
    from dgm.recipe.grid import TrialSpec
    from dgm.report.tables import Artifacts
    from dgm.trial.loop import Trial


@dataclass(frozen=True)
class Planned:
    """A trial, its folder, and what its result depends on."""

    spec: "TrialSpec"
    directory: Path
    identity: dict[str, Any]
    start: Path | None = None  # the folder of the trial whose models it starts from

    @property
    def finished(self) -> bool:
        return is_finished(self.directory, self.identity)

    @property
    def has_models(self) -> bool:
        """Whether it is finished with the models that it trained, which results do not hold."""
        models = about(self.directory).get("models")
        return self.finished and models is not None and all(map(self._has_model, models))

    def _has_model(self, name: str) -> bool:
        return (self.directory / f"{name}.safetensors").exists()


def checkpoints(directory: Path) -> Path:
    return directory / "state"


def about(directory: Path) -> dict[str, Any]:
    """trial.json, or nothing where there is none that can be read."""
    return read_json(directory / "trial.json")


def is_finished(directory: Path, identity: dict[str, Any]) -> bool:
    """Whether the folder holds the result of just this trial, with every table and array."""
    found = about(directory)
    return (
        found.get("state") == "finished"
        and found.get("identity") == _plain(identity)
        and all((directory / f"{name}.csv").exists() for name in found["tables"])
        and all((directory / f"{name}.npz").exists() for name in found["arrays"])
    )


def changes(directory: Path, identity: dict[str, Any]) -> list[str]:
    """Why the folder's trial is not the one asked for: "settings.hidden was 100, is 50"."""
    old = about(directory).get("identity")
    return list(_differences(old, _plain(identity), "")) if isinstance(old, dict) else []


def _differences(old: dict[str, Any], new: dict[str, Any], prefix: str) -> Iterable[str]:
    for key in dict.fromkeys([*old, *new]):
        was, now = old.get(key, "absent"), new.get(key, "absent")
        if isinstance(was, dict) and isinstance(now, dict):
            yield from _differences(was, now, f"{prefix}{key}.")
        elif was != now:
            yield f"{prefix}{key} was {was}, is {now}"


def _plain(identity: dict[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(identity))
    return plain


def open_trial(directory: Path, identity: dict[str, Any]) -> None:
    """Make the folder ready: what is there of another identity is removed."""
    found = about(directory)
    if found.get("identity") != _plain(identity) or found.get("state") == "finished":
        discard(directory)
    _write(directory, identity=identity, state="started", commit=machine.commit())


def discard(directory: Path) -> None:
    """Remove a trial's folder with all that is in it."""
    try:
        shutil.rmtree(directory)
    except FileNotFoundError:
        pass
    except OSError as error:  # what stayed would be taken for the next trial's checkpoints
        raise DgmError(f"{directory}: cannot be removed: {error.strerror or error}") from error


def finish_trial(
    directory: Path, identity: dict[str, Any], artifacts: "Artifacts", trial: "Trial"
) -> None:
    """Write what the trial left, then say that it is finished, then drop its checkpoints."""
    from dgm.trial import models

    for name, table in artifacts.tables.items():
        write_csv(table, directory / f"{name}.csv")
    for name, array in artifacts.arrays.items():
        write_npz(directory / f"{name}.npz", {name: array})
    for name, model in artifacts.models.items():
        models.save(model, directory / f"{name}.safetensors", {**identity, **trial.chosen})
    _write(
        directory,
        identity=identity,
        state="finished",
        seconds=round(trial.total_seconds, 2),
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


def restore_trial(
    directory: Path,
    identity: dict[str, Any],
    tables: dict[str, Any],
    arrays: dict[str, Any],
    told: dict[str, Any],
) -> None:
    """Write a finished trial's folder again from what is known of it, beside its models."""
    for name, table in tables.items():
        write_csv(table, directory / f"{name}.csv")
    for name, array in arrays.items():
        write_npz(directory / f"{name}.npz", {name: array})
    news = {"identity": identity, "state": "finished", "error": None, **told}
    news |= {
        "tables": list(tables),
        "arrays": list(arrays),
        "models": about(directory).get("models"),
    }
    _write(directory, **news)
    shutil.rmtree(checkpoints(directory), ignore_errors=True)


def fail_trial(directory: Path, error: str) -> None:
    """Say that the trial failed and why; its checkpoints stay."""
    with contextlib.suppress(DgmError):  # a full disk may be what it failed of
        _write(directory, state="failed", error=error)


def read_trial(directory: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The tables and arrays of a finished trial, by name."""
    found = about(directory)
    tables = {name: read_csv(directory / f"{name}.csv") for name in found["tables"]}
    arrays = {name: read_npz(directory / f"{name}.npz")[name] for name in found["arrays"]}
    return tables, arrays


def _write(directory: Path, **news: Any) -> None:
    content = {**about(directory), **news}
    atomic_write(directory / "trial.json", json.dumps(content, indent=1) + "\n")
