"""Official results: those that the maintainers published. README and pages must agree with them."""

import hashlib
import json
from pathlib import Path

from dgm.engine.results import manifest
from dgm.files import atomic_write, read_json


def publish(target: Path) -> None:
    """Mark the results in this folder as official: official.json lists the hashes of their tables.

    It also keeps how long each trial took, which is all that is committed of a quick run.
    """
    run = manifest(target)
    tables = [name for name in run["files"] if name.endswith((".csv", ".npz"))]
    timing = ("reference_seconds", "jobs", "disk_mb", "unfinished")
    about = {
        "files": {name: _sha256(target / name) for name in sorted(tables)},
        **{key: run[key] for key in timing},
        "trials": [{key: t[key] for key in ("cell", "seconds", "device")} for t in run["trials"]],
    }
    atomic_write(target / "official.json", json.dumps(about, indent=1) + "\n")


def is_official(target: Path) -> bool:
    """Whether the tables in this folder are the published ones, to the byte."""
    files = read_json(target / "official.json").get("files", {})
    return bool(files) and all(
        (target / name).exists() and _sha256(target / name) == digest
        for name, digest in files.items()
    )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
