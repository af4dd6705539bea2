"""Publishing: a trained model is stored, and what is committed is measured on the stored model.

Models are stored in half precision. Where a number then differs by more than `dgm verify` allows,
they are stored in single precision.
"""

import math
from collections.abc import Iterable
from pathlib import Path

from dgm import experiments
from dgm.engine.again import measure_again
from dgm.engine.plan import Options, Planned
from dgm.engine.published import Entry, Published
from dgm.engine.results import Store
from dgm.errors import BadInput, DgmError
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


def unpublished(recipe: Recipe, planned: Iterable[Planned], store: Store) -> list[Planned]:
    """Those of them whose numbers are not those of a published model that this code trained."""
    published = Published(store.target)
    return [
        p
        for p in named(recipe, planned)
        if not published.holds(p.key, p.keys.code)
        or store.measured_on(p) != published.trials[p.key]["files"]
    ]


def publish(p: Planned, target: Path, options: Options) -> list[str]:
    """Store a finished trial's model, and let its numbers be those of the stored one.

    Gives what was compared, a line each; DgmError where even in single precision the stored model
    gives other numbers than the trained one did.
    """
    from dgm.trial import models

    published, experiment = Published(target), experiments.trial(p.experiment)
    trained = folder.models(p.directory)
    stored = [published.folder / p.label / path.name for path in trained]
    earlier = Artifacts(*folder.read_trial(p.directory))
    chosen = folder.about(p.directory)["chosen"]
    for half in (True, False):
        for path, to in zip(trained, stored, strict=True):
            model = models.load(path)
            models.save(model, to, model.about, half)
        again = measure_again(p.experiment, p.spec, stored, chosen, options)
        found = compare(earlier, again, experiment.MEASURED)
        # What the trial's code did not yet measure has nothing to agree with.
        compared = [one for one in found if math.isnan(one.now) or not math.isnan(one.before)]
        if all(one.agrees for one in compared):
            break
    else:
        differing = next(one.text for one in compared if not one.agrees)
        raise DgmError(f"{p.label}: the stored model gives other numbers: {differing}")
    folder.replace(p.directory, merge(earlier, again, experiment.MEASURED), stored)
    entry: Entry = {
        "label": p.label,
        "cell": p.keys.cell,
        "code": p.keys.code,
        "files": {path.name: sha256(path) for path in stored},
    }
    published.add(p.key, entry)
    precision = "half" if half else "single"
    return [f"stored in {precision} precision: {stored[0]}", *(one.text for one in compared)]
