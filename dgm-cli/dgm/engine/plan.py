"""From a recipe to its trials: where each lies and what it depends on. Nothing is read or run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dgm import data, experiments
from dgm.engine.published import Published
from dgm.errors import BadInput
from dgm.recipe.grid import TrialSpec
from dgm.recipe.load import Recipe
from dgm.shipped import beside
from dgm.trial import folder, machine
from dgm.trial.keys import Keys, cell_of


@dataclass(frozen=True)
class Options:
    """How a run is made; only device and threads can change a number, in its last digits."""

    out: Path = Path("results")
    jobs: int = 1
    threads: int = 1  # a trial; the last digits depend on it, so it does not follow from `jobs`
    device: str = "cpu"
    checkpoint_every: float = 30.0
    fresh: bool = False
    extend: bool = False  # finished trials also count where only the results hold them
    publish: bool = False  # train, store and measure the models that the recipe publishes
    train_used: bool = False  # also train models to start from that are not published
    train: bool = True  # False: only write the results of what is finished
    fallback: bool = True
    overrides: tuple[str, ...] = ()
    seeds: list[int] | None = None
    command: str = ""


@dataclass(frozen=True)
class Planned:
    """A planned trial: its folder, its keys, and the folder of the models that it starts from."""

    experiment: str
    spec: TrialSpec
    directory: Path
    keys: Keys
    start: Path | None = None  # None: there are none yet

    @property
    def uses_model(self) -> bool:
        """Whether it starts from a model, where its recipe uses another."""
        return self.spec.settings.uses_model

    @property
    def label(self) -> str:
        return self.spec.label

    @property
    def key(self) -> str:
        return self.keys.trial

    def state(self) -> folder.State:
        return folder.state(self.directory, self.keys)

    @property
    def has_models(self) -> bool:
        """Whether it is finished and the models that it trained are there."""
        return self.state().name == "finished" and bool(folder.models(self.directory))


def results_folder(recipe: Recipe, out: Path) -> Path:
    return out / recipe.name / recipe.preset


def plan(recipe: Recipe, options: Options) -> list[Planned]:
    """The recipe's trials with their folders and keys; BadInput where two are the same."""
    used = {p.spec.seed: p for p in plan(recipe.uses, options)} if recipe.uses else {}
    experiment = experiments.settings(recipe.experiment)
    trials = results_folder(recipe, options.out) / "trials"
    its_machine = machine.key(options.device, options.threads)
    planned: dict[str, Planned] = {}
    for spec in recipe.trials:
        code: dict[str, Any] = {
            "experiment": recipe.experiment,
            "revision": experiment.REVISION,
            "data": data.code(spec.data),
        }
        start = None
        if recipe.uses and spec.settings.uses_model:
            its = used[spec.seed]
            revision, hashed = its.keys.code["revision"], its.keys.code["data"][:12]
            code["uses"] = f"{its.key}, revision {revision}, data {hashed}"
            start = models_of(its, recipe.uses, options.out)
            code["start"] = folder.models_hash(start) if start else None
        keys = Keys(cell_of(spec, experiment.Settings), code, its_machine)
        if keys.trial in planned:
            twin = planned[keys.trial].label
            raise BadInput(f"{recipe.path}: grid: {twin} and {spec.label} are the same trial")
        planned[keys.trial] = Planned(recipe.experiment, spec, trials / spec.label, keys, start)
    return list(planned.values())


def models_of(p: Planned, recipe: Recipe, out: Path) -> Path | None:
    """The folder of the models that a trial trained: its own, else the published ones."""
    if p.has_models:
        return p.directory
    for root in (out, beside(recipe.path)):
        published = Published(root / recipe.name / recipe.preset)
        if published.holds(p.key, p.keys.code) and published.are_here(p.key):
            return published.files(p.key)[0].parent
    return None


def names_of_data(recipe: Recipe) -> list[str]:
    """The data sets of a recipe and of the one that it uses."""
    own = [spec.data for spec in recipe.trials]
    return list(dict.fromkeys([*own, *(names_of_data(recipe.uses) if recipe.uses else [])]))
