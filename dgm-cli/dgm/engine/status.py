"""The states of a recipe's trials."""

from dataclasses import dataclass
from typing import NamedTuple

from dgm.engine.lock import is_locked
from dgm.engine.plan import Options, Planned, plan, results_folder
from dgm.engine.results import Store
from dgm.recipe.load import Recipe
from dgm.trial import folder

IN_WORDS = {"held": "in the results", "started": "under way"}


class Standing(NamedTuple):
    """A trial's state, as in `dgm.trial.folder.State`, and what a user may want to know of it."""

    label: str
    state: str
    detail: str


@dataclass(frozen=True)
class Status:
    """All trials of a recipe, and whether a run holds its results folder now."""

    trials: list[Standing]
    running: bool

    def count(self, *states: str) -> int:
        return sum(trial.state in states for trial in self.trials)

    @property
    def text(self) -> str:
        """ "3 of 10 finished, 5 in the results, 1 failed, 1 stale, a run is at work"."""
        parts = [f"{self.count('finished')} of {len(self.trials)} finished"]
        for state in ("held", "started", "failed", "stale", "unreadable"):
            if self.count(state):
                parts.append(f"{self.count(state)} {IN_WORDS.get(state, state)}")
        return ", ".join(parts + ["a run is at work"] * self.running)


def of(recipe: Recipe, options: Options) -> Status:
    """Each trial's state, from its folder or from the results that hold it."""
    target = results_folder(recipe, options.out)
    store = Store(target, extend=True)
    running = is_locked(target)
    return Status([_standing(p, store, running) for p in plan(recipe, options)], running)


def _standing(p: Planned, store: Store, running: bool) -> Standing:
    found = store.state(p)
    if found.name == "finished":
        about = folder.about(p.directory)
        return Standing(p.label, found.name, f"{about['seconds']:.0f} s on {about['device']}")
    detail = found.why
    if found.name == "held":
        detail = "in the results, which --extend keeps"
    if found.name == "started":
        detail = "running, or waiting to go on" if running else "goes on when run again"
    return Standing(p.label, found.name, detail)
