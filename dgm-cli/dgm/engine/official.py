"""Official results: those that the maintainers published. README and pages must agree with them.

official.json beside them lists the hashes of their tables. Whoever runs a recipe anew replaces the
tables and not official.json, so that other numbers are never taken for the published ones.
"""

import json
from pathlib import Path

from dgm.engine.results import manifest
from dgm.errors import BadInput
from dgm.files import atomic_write, read_json, sha256

KEPT = ("command", "commit", "jobs", "disk_mb", "unfinished")
TRIAL = ("cell", "seconds", "reference_seconds", "device")


def publish(target: Path) -> None:
    """Mark the tables and arrays in this folder as official; BadInput if they cannot be.

    Of a run it also keeps who wrote it and how long each trial took: all that is committed of a
    quick run.
    """
    run = manifest(target)
    if run and (not run.get("trials") or run.get("overrides") or run.get("fell_back")):
        raise BadInput(f"{target}: is not a run of the recipe's own settings")
    about = {key: run[key] for key in KEPT if key in run}
    if run:
        about["trials"] = [{key: trial[key] for key in TRIAL} for trial in run["trials"]]
    tables = [path for pattern in ("*.csv", "*.npz") for path in target.glob(pattern)]
    if not tables:
        raise BadInput(f"{target}: no such results; `dgm run` makes them")
    names = run.get("files", [path.name for path in tables])
    files = {path.name: sha256(path) for path in sorted(tables) if path.name in names}
    atomic_write(target / "official.json", json.dumps({**about, "files": files}, indent=1) + "\n")


def is_official(target: Path) -> bool:
    """Whether the tables in this folder are the published ones, to the byte."""
    files = read_json(target / "official.json").get("files", {})
    return bool(files) and all(
        (target / name).exists() and sha256(target / name) == digest
        for name, digest in files.items()
    )
