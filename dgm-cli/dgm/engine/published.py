"""Published models: the trained models of some cells, kept beside a recipe's results.

    results/NAME/PRESET/models/LABEL/*.safetensors   one folder a trial
    results/NAME/PRESET/models/manifest.json         by trial: label, cell, code, SHA-256 of files

Only `dgm run NAME --publish` writes them, so that nobody's own run can change what they are. A
model whose bytes are not those of the manifest is refused.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from typing_extensions import TypedDict

from dgm.errors import DgmError
from dgm.files import atomic_write, read_json, sha256
from dgm.trial.keys import Key, changes

FOLDER = "models"


class Entry(TypedDict):
    """A published trial in the manifest."""

    label: str
    cell: Key
    code: Key
    files: dict[str, str]  # SHA-256 by name


class _Manifest(TypedDict, total=False):
    trials: dict[str, Entry]


class Published:
    """The published models in a folder of results, by the key of the trial that trained them."""

    def __init__(self, target: Path) -> None:
        self.folder = target / FOLDER
        self._manifest = self.folder / "manifest.json"
        self.trials: dict[str, Entry] = read_json(self._manifest, _Manifest).get("trials", {})
        for entry in self.trials.values():
            names = [entry["label"], *entry["files"]]
            if len(names) < 2 or any(Path(name).name != name or name == ".." for name in names):
                raise DgmError(f"{self._manifest}: is damaged: {entry['label']!r}")

    def are_here(self, key: str) -> bool:
        """Whether a trial's files are there; a wheel has the manifest alone."""
        return all(path.exists() for path in self._paths(key))

    def files(self, key: str) -> list[Path]:
        """A trial's models, whole; DgmError if one is missing or another's."""
        paths = self._paths(key)
        for path, digest in zip(paths, self.trials[key]["files"].values(), strict=True):
            if not path.exists():
                raise DgmError(
                    f"{path}: is missing; published models come with a clone of the repository"
                )
            if sha256(path) != digest:
                raise DgmError(f"{path}: is not the published model; its SHA-256 differs")
        return paths

    def holds(self, key: str, code: Key) -> bool:
        """Whether a trial's models are published, and by the code that there is now."""
        return key in self.trials and not any(changes(self.trials[key]["code"], code))

    def add(self, key: str, entry: Entry) -> None:
        """Publish a trial, in the place of those of the same label or, but for the seed, cell."""
        for other in [other for other in self.trials if other != key]:
            if _cell_of(self.trials[other]["label"]) == _cell_of(entry["label"]):
                label = self.trials.pop(other)["label"]
                if label != entry["label"]:
                    shutil.rmtree(self.folder / label, ignore_errors=True)
        self.trials[key] = entry
        atomic_write(self._manifest, json.dumps({"trials": self.trials}, indent=1) + "\n")

    def find(self, cell: Mapping[str, Any]) -> list[str]:
        """The keys of the trials whose cell and label have these values."""
        return [key for key, entry in self.trials.items() if _has(entry, cell)]

    def _paths(self, key: str) -> list[Path]:
        entry = self.trials[key]
        return [self.folder / entry["label"] / name for name in entry["files"]]


def _cell_of(label: str) -> str:
    """A label without its seed, which comes last."""
    return label.rpartition("seed=")[0]


def _has(entry: Entry, cell: Mapping[str, Any]) -> bool:
    parts = set(entry["label"].split(","))
    return all(
        f"{name}={value}" in parts or entry["cell"].get(name) == value
        for name, value in cell.items()
    )
