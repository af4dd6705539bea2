"""What Python users read: published models, and the tables and arrays of results."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from dgm import experiments
from dgm.engine.published import Published
from dgm.engine.results import Held, gather
from dgm.errors import BadInput, DgmError
from dgm.files import read_csv, read_npz
from dgm.recipe.load import Header, header
from dgm.shipped import beside
from dgm.text import did_you_mean
from dgm.trial import models
from dgm.trial.folder import Arrays


class Saved(dict[str, pd.DataFrame]):
    """The tables of results by name; `arrays` are by name too, and then by the trial's key."""

    def __init__(self, folder: Path) -> None:
        super().__init__({path.stem: read_csv(path) for path in sorted(folder.glob("*.csv"))})
        self.folder = folder

    @cached_property
    def arrays(self) -> dict[str, Arrays]:
        """Those of each .npz file; the column `trial` of the tables has the keys."""
        return {path.stem: read_npz(path) for path in sorted(self.folder.glob("*.npz"))}


def results(recipe: str, preset: str) -> Saved:
    """In ./results, else those that come with the recipe; BadInput where there are none."""
    folder = _folder(header(recipe), preset)
    if not (folder / "metrics.csv").exists():
        raise BadInput(f"{folder}: no results; `dgm run` makes them")
    return Saved(folder)


def model(recipe: str, cell: Mapping[str, Any], device: str) -> Any:
    """A published model of the paper preset; by default of the first cell that is published.

    Beside what its file tells, `about` has its recipe, its label and its trial's metrics by name.
    """
    head = header(recipe)
    target = _folder(head, "paper")
    published = Published(target)
    key = _find(head, published, cell or next(iter(head.publish), {}))
    (path,) = published.files(key)
    found = models.load(path, device)
    label = published.trials[key]["label"]
    found.about |= {"recipe": head.name, "label": label, "metrics": _metrics(head, target, key)}
    return found


def _folder(head: Header, preset: str) -> Path:
    """The first that holds results, else where a run would write them."""
    if preset not in head.presets:
        raise BadInput(f"{head.path}: no preset {preset}{did_you_mean(preset, head.presets)}")
    folders = [root / head.name / preset for root in (Path("results"), beside(head.path))]
    return next((each for each in folders if (each / "metrics.csv").exists()), folders[0])


def _find(head: Header, published: Published, cell: Mapping[str, Any]) -> str:
    """The key of the one published trial of this cell; BadInput says which there are."""
    found = published.find(cell)
    if len(found) == 1:
        return found[0]
    if not head.publish:
        raise BadInput(
            f"{head.name} publishes no model; one that you trained is loaded by its path, "
            f"results/{head.name}/PRESET/trials/LABEL/NAME.safetensors"
        )
    train = f"`dgm run {head.name} --publish`"
    if not published.trials:
        raise BadInput(f"no model of {head.name} is published yet; train one with {train}")
    asked = ", ".join(f"{name}={value}" for name, value in cell.items())
    labels = "; ".join(entry["label"] for entry in published.trials.values())
    if found:
        raise BadInput(f"several models of {head.name} have {asked}; published: {labels}")
    named = f"; {train} trains it" if dict(cell) in head.publish else ""
    raise BadInput(f"no published model of {head.name} has {asked}; published: {labels}{named}")


def _metrics(head: Header, target: Path, key: str) -> dict[str, float]:
    """What the results tell of this trial alone; nothing where they hold it no more."""
    try:
        left = gather([Held(target).read(key)])
    except (DgmError, KeyError):  # `dgm verify` tells of altered results; the model is whole
        return {}
    found = experiments.report(head.experiment).summarise(left)
    return {metric: float(value) for metric, _, value, *_ in found}
