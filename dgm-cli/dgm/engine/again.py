"""A trained model measured again, by the code that measured it first."""

import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dgm import data, experiments
from dgm.engine.plan import Options
from dgm.recipe.grid import TrialSpec
from dgm.report.tables import Artifacts

if TYPE_CHECKING:
    from dgm.trial.loop import Progress


def measure_again(
    experiment: str,
    spec: TrialSpec,
    files: list[Path],
    chosen: Mapping[str, Any],
    options: Options,
    full: bool = True,
    progress: "Progress | None" = None,
) -> Artifacts:
    """What `measure` of an experiment gives for a model's file; without one it needs no model.

    `chosen` is what the trial chose. The generator begins at the trial's seed, so that on one
    machine the same model gives the same numbers.
    """
    from dgm.engine.launch.local import limited
    from dgm.trial import models
    from dgm.trial.loop import Trial

    path = files[0] if files else None
    with tempfile.TemporaryDirectory() as scratch, limited(options.threads):
        model = models.load(path, options.device) if path else None
        dataset = data.load(spec.data)
        trial = Trial(
            spec.label, dataset, spec.seed, Path(scratch), options.device, math.inf, progress
        )
        trial.choose(**chosen)
        left: Artifacts = experiments.trial(experiment).measure(spec.settings, trial, model, full)
    return left
