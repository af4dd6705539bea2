"""How long a recipe takes here and what disk it needs, from the manifests of earlier runs.

A trial is expected to take as long as one with the same axes did, times the ratio of this
machine's `reference_seconds` to that machine's. Nothing is guessed for what was never run, and what
a GPU took tells nothing of a CPU.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dgm.files import read_json
from dgm.recipe.load import Recipe
from dgm.text import duration
from dgm.trial import machine


@dataclass(frozen=True)
class Estimate:
    """Seconds of work if one trial runs at a time; `unknown` trials were never run."""

    seconds: float
    longest: float  # of these, a trial's
    unknown: int
    trials: int
    disk_mb: float | None

    def text(self, jobs: int) -> str:
        """ "about 3.2 h with 2 jobs, 40 MB of disk; 2 of 10 trials were never timed"."""
        if self.unknown == self.trials:
            return "never timed"
        disk = f", {self.disk_mb:.0f} MB of disk" if self.disk_mb is not None else ""
        took = max(self.seconds / jobs, self.longest)
        said = f"about {duration(took)} with {jobs} jobs{disk}"
        if self.unknown:
            said += f"; {self.unknown} of {self.trials} trials were never timed"
        return said


def manifest(folder: Path) -> dict[str, Any]:
    """run.json of a results folder, or nothing where there is none that can be read."""
    return read_json(folder / "run.json")


def earlier_run(roots: Sequence[Path], recipe: str, preset: str) -> dict[str, Any]:
    """The manifest in the first results root that has one."""
    folders = (root / recipe / preset for root in roots)
    return next(filter(None, map(manifest, folders)), {})


def timed(run: dict[str, Any]) -> list[dict[str, Any]]:
    """A manifest's trials that a CPU ran."""
    return [trial for trial in run.get("trials", []) if trial["device"].startswith("cpu")]


def estimate(recipe: Recipe, roots: Sequence[Path]) -> Estimate:
    """For all trials of the recipe as resolved, from the first root that has its manifest."""
    run = earlier_run(roots, recipe.name, recipe.preset)
    by_axes: dict[str, list[float]] = {}
    for trial in timed(run):
        by_axes.setdefault(json.dumps(trial["axes"]), []).append(trial["seconds"])
    settings = [{**block["settings"], "data": block["data"]} for block in run.get("grid", [])]
    known_seconds: list[float] = []
    for spec in recipe.trials:
        known = by_axes.get(json.dumps(spec.axes))
        own = spec.settings.model_dump(mode="json", exclude=set(spec.axes)) | {"data": spec.data}
        if known and own in settings:
            known_seconds.append(sum(known) / len(known))
    pace = machine.reference_seconds() / run["reference_seconds"] if run else 1.0
    total, longest = pace * sum(known_seconds), pace * max(known_seconds, default=0.0)
    unknown = len(recipe.trials) - len(known_seconds)
    disk = run["disk_mb"] / len(run["trials"]) * len(recipe.trials) if run.get("trials") else None
    return Estimate(total, longest, unknown, len(recipe.trials), disk)
