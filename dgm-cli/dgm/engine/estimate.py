"""How long a recipe takes here and what disk it needs, from the manifests of earlier runs.

A trial is expected to take as long as one of the same cell with any seed did, times the ratio of
this machine's `reference_seconds` to that machine's. Trials never run are not estimated; GPU times
are ignored.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field
from typing_extensions import NotRequired, TypedDict

from dgm import experiments
from dgm.files import read_json
from dgm.recipe.grid import TrialSpec
from dgm.recipe.load import Recipe
from dgm.text import counted, duration
from dgm.trial import machine
from dgm.trial.keys import cell_of


class _Timed(TypedDict):
    cell: dict[str, Any]
    device: str
    seconds: Annotated[float, Field(ge=0)]
    reference_seconds: NotRequired[Annotated[float, Field(ge=1e-9)] | None]


class _Run(TypedDict, total=False):
    """run.json or official.json, as far as it tells times and sizes."""

    trials: list[_Timed]
    jobs: Annotated[int, Field(ge=1)]
    disk_mb: float
    unfinished: list[str]


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
        disk = f", {self.disk_mb:.0f} MB of disk" if (self.disk_mb or 0) >= 1 else ""
        seconds = max(self.seconds / jobs, self.longest)
        text = f"about {duration(seconds)} with {counted(jobs, 'job')}{disk}"
        if self.unknown:
            text += f"; {self.unknown} of {self.trials} trials were never timed"
        return text


def earlier_run(roots: Sequence[Path], recipe: str, preset: str) -> dict[str, Any]:
    """What is known of the first run found: run.json, or official.json where only that is kept."""
    for root in roots:
        for name in ("run.json", "official.json"):
            found = read_json(root / recipe / preset / name, _Run)
            if found.get("trials"):
                return found
    return {}


def cpu_trials(run: dict[str, Any]) -> list[dict[str, Any]]:
    """The trials of a run that a CPU ran."""
    return [trial for trial in run.get("trials", []) if trial["device"].startswith("cpu")]


def duration_text(roots: Sequence[Path], recipe: str, preset: str) -> str:
    """How long the trials of an earlier run took, one after another.

    "3.2 h", or "> 3.2 h" if not all were timed on a CPU.
    """
    run = earlier_run(roots, recipe, preset)
    seconds = [trial["seconds"] for trial in cpu_trials(run)]
    if not seconds:
        return ""
    lacking = len(run["trials"]) + len(run.get("unfinished", [])) - len(seconds)
    text = duration(sum(seconds))
    return f"> {text}" if lacking else text


def estimate(
    recipe: Recipe, roots: Sequence[Path], trials: Sequence[TrialSpec] | None = None
) -> Estimate:
    """For these trials of the recipe, by default all, from the first root that knows of an earlier
    run."""
    trials = recipe.trials if trials is None else trials
    run = earlier_run(roots, recipe.name, recipe.preset)
    here = machine.reference_seconds()
    by_cell: dict[str, list[float]] = {}
    for trial in cpu_trials(run):
        there = trial.get("reference_seconds")
        scaled = trial["seconds"] * (here / there if there else 1)
        by_cell.setdefault(_without_seed(trial["cell"]), []).append(scaled)
    settings = experiments.settings(recipe.experiment).Settings
    cells = [cell_of(spec, settings) for spec in trials]
    known = [by_cell.get(_without_seed(cell)) for cell in cells]
    seconds = [sum(each) / len(each) for each in known if each]
    disk = run["disk_mb"] / len(run["trials"]) * len(trials) if "disk_mb" in run else None
    unknown = len(known) - len(seconds)
    return Estimate(sum(seconds), max(seconds, default=0.0), unknown, len(trials), disk)


def _without_seed(cell: dict[str, Any]) -> str:
    return json.dumps({key: value for key, value in cell.items() if key != "seed"}, sort_keys=True)
