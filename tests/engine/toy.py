"""An experiment that takes no time: it records what its settings say."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from dgm.engine.load import load
from dgm.engine.plan import Options
from dgm.engine.run import Report, run
from dgm.report.summary import Metric
from dgm.report.tables import Artifacts, Results

RECIPE = """\
title: A toy
source: nobody
experiment: toy
data: bars_and_stripes
seeds: [0, 1]
grid: {variant: [null, small]}
presets: {embedded: {}}
expect: [{metric: score/small, measures: points, reported: 3, better: higher, at_least: 0}]
"""


def toy() -> dict[str, ModuleType]:
    """The parts of the experiment, made anew for each test."""
    from dgm.recipe.schema import TrialSettings

    class Settings(TrialSettings):
        variant: str | None = None
        hidden: int = 5
        breaks: bool = False

    def run_trial(settings: Settings, trial: Any) -> Artifacts:
        if settings.breaks:
            raise RuntimeError("broken")
        for step in trial.steps(3):
            trial.record("scores", step=step, score=step + settings.hidden + 0.1 * trial.seed)
        if settings.variant:
            trial.record("words", word="NA", number=1)
        return Artifacts(trial.tables(), {"vector": np.array([trial.seed, settings.hidden])})

    def summarise(results: Results) -> Iterator[Metric]:
        for cell, rows in results.rows("scores"):
            yield Metric(f"score/{cell['variant']}", cell["seed"], rows["score"].iloc[-1])
        for cell, array in results.each("vector"):
            yield Metric(f"hidden/{cell['variant']}", cell["seed"], array[1])

    def draw(results: Results, expect: Mapping[str, Any]) -> dict[str, Figure]:
        figure = Figure(figsize=(1, 1))
        assert all(entry.metric == metric for metric, entry in expect.items())
        return {"scores": figure}

    settings, trial, report = (ModuleType(f"dgm.experiments.toy.{p}") for p in PARTS)
    vars(settings).update(Settings=Settings, REVISION=1)
    vars(trial).update(run_trial=run_trial)
    vars(report).update(AXES=["variant"], summarise=summarise, draw=draw)
    return dict(zip(PARTS, (settings, trial, report), strict=True))


PARTS = ("settings", "trial", "report")


@pytest.fixture
def experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleType]:
    """The toy as an experiment of the package, and its recipe in the current folder."""
    parts = toy()
    for name, module in parts.items():
        monkeypatch.setitem(sys.modules, f"dgm.experiments.toy.{name}", module)
    monkeypatch.chdir(tmp_path)
    write()
    return parts


def write(old: str = "", new: str = "") -> None:
    """Write the recipe, a piece of it replaced."""
    assert old in RECIPE
    Path("recipes").mkdir(exist_ok=True)
    Path("recipes/toy.yaml").write_text(RECIPE.replace(old, new) if old else RECIPE)


FOLDER = Path("results/toy/paper")


def go(*overrides: str, seeds: list[int] | None = None, **options: Any) -> Report:
    """Run the toy recipe in this process."""
    recipe = load("toy", options.pop("preset", "paper"), overrides, seeds)
    return run(recipe, Options(overrides=overrides, seeds=seeds, **options), say=lambda _: None)
