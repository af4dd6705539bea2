"""Publishing: a trained model is stored, and what is committed is measured on the stored model.

Models are stored in half precision. Where a number then differs by more than `dgm verify` allows,
they are stored in single precision.
"""

from collections.abc import Iterable
from pathlib import Path

from dgm import experiments
from dgm.engine.again import measure_again
from dgm.engine.plan import Options, Planned
from dgm.engine.published import Published
from dgm.errors import BadInput
from dgm.files import sha256
from dgm.recipe.load import Recipe
from dgm.report.tables import Artifacts
from dgm.trial import folder
from dgm.trial.measured import compare, merge


def named(recipe: Recipe, planned: Iterable[Planned]) -> list[Planned]:
    """The trials that the recipe publishes: the named cells, each of its first seed."""
    if not recipe.publish:
        raise BadInput(f"{recipe.path}: publish: names no cell")
    found: dict[str, Planned] = {}
    for p in planned:
        if any(p.spec.has(cell) for cell in recipe.publish):
            found.setdefault(p.label.rpartition(",seed=")[0], p)
    return list(found.values())


def unpublished(recipe: Recipe, planned: Iterable[Planned], target: Path) -> list[Planned]:
    """Those of them whose models are not published, or were trained by other code."""
    published = Published(target)
    return [p for p in named(recipe, planned) if not published.holds(p.key, p.keys.code)]


def store(p: Planned, target: Path, options: Options) -> list[str]:
    """Publish a finished trial's model, and measure it in the trained one's place.

    Gives what was compared to what the trained model gave, a line each.
    """
    from dgm.trial import models

    published, experiment = Published(target), experiments.trial(p.experiment)
    directory = published.folder / p.label
    earlier = Artifacts(*folder.read_trial(p.directory))
    chosen = folder.about(p.directory)["chosen"]
    for half in (True, False):
        for path in folder.models(p.directory):
            model = models.load(path)
            models.save(model, directory / path.name, model.about, half)
        again = measure_again(p.experiment, p.spec, directory, chosen, options)
        compared = list(compare(earlier, again, experiment.MEASURED))
        if all(one.agrees for one in compared):
            break
    folder.replace(p.directory, merge(earlier, again, experiment.MEASURED), directory)
    files = {path.name: sha256(path) for path in sorted(directory.glob("*.safetensors"))}
    published.add(
        p.key, {"label": p.label, "cell": p.keys.cell, "code": p.keys.code, "files": files}
    )
    precision = "half" if half else "single"
    return [f"stored in {precision} precision: {directory}", *(one.text for one in compared)]
