"""How long a recipe takes here and what disk it needs, from the manifests of earlier runs.

A trial is expected to take as long as one of the same cell with any seed did, times the ratio of
this machine's `reference_seconds` to that machine's. Trials never run are not estimated; GPU times
are ignored.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dgm import experiments
from dgm.errors import DgmError
from dgm.files import read_json
from dgm.recipe.load import Recipe
from dgm.text import counted, duration
from dgm.trial import machine
from dgm.trial.keys import cell_of


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
        seconds = max(self.seconds / jobs, self.longest)
        text = f"about {duration(seconds)} with {counted(jobs, 'job')}{disk}"
        if self.unknown:
            text += f"; {self.unknown} of {self.trials} trials were never timed"
        return text


def earlier_run(roots: Sequence[Path], recipe: str, preset: str) -> dict[str, Any]:
    """What is known of the first run found: run.json, or official.json where only that is kept."""
    for root in roots:
        for name in ("run.json", "official.json"):
            path = root / recipe / preset / name
            found = read_json(path)
            if found.get("trials"):
                if not _is_whole(found):
                    raise DgmError(f"{path}: is damaged; it lacks what a run writes of its trials")
                return found
    return {}


def _is_whole(run: dict[str, Any]) -> bool:
    try:
        return run["jobs"] > 0 and all(
            isinstance(trial["device"], str) and trial["seconds"] >= 0 for trial in run["trials"]
        )
    except (TypeError, KeyError):
        return False


def cpu_trials(run: dict[str, Any]) -> list[dict[str, Any]]:
    """The trials of a run that a CPU ran."""
    trials = run.get("trials", [])
    return [t for t in trials if "cell" in t and t["device"].startswith("cpu")]


def duration_text(roots: Sequence[Path], recipe: str, preset: str) -> str:
    """How long an earlier run took: "3.2 h", or "> 3.2 h" if not all of its trials were timed."""
    run = earlier_run(roots, recipe, preset)
    seconds = [trial["seconds"] for trial in cpu_trials(run)]
    if not seconds:
        return ""
    lacking = len(run["trials"]) + len(run.get("unfinished", [])) - len(seconds)
    text = duration(max(sum(seconds) / run["jobs"], *seconds))
    return f"> {text}" if lacking else text


def estimate(recipe: Recipe, roots: Sequence[Path]) -> Estimate:
    """For all trials of the recipe, from the first root that knows of an earlier run."""
    run = earlier_run(roots, recipe.name, recipe.preset)
    here = machine.reference_seconds()
    by_cell: dict[str, list[float]] = {}
    for trial in cpu_trials(run):
        scaled = trial["seconds"] * here / trial["reference_seconds"]
        by_cell.setdefault(_without_seed(trial["cell"]), []).append(scaled)
    settings = experiments.settings(recipe.experiment).Settings
    cells = [cell_of(spec, settings) for spec in recipe.trials]
    known = [by_cell.get(_without_seed(cell)) for cell in cells]
    seconds = [sum(each) / len(each) for each in known if each]
    disk = run["disk_mb"] / len(run["trials"]) * len(recipe.trials) if run else None
    unknown = len(known) - len(seconds)
    return Estimate(sum(seconds), max(seconds, default=0.0), unknown, len(recipe.trials), disk)


def _without_seed(cell: dict[str, Any]) -> str:
    return json.dumps({key: value for key, value in cell.items() if key != "seed"}, sort_keys=True)
