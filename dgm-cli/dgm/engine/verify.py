"""Committed numbers measured again: from published models, or anew where that is quick.

A committed number is held in three steps: summary.csv follows from metrics.csv, that from the
tables, and the tables' rows are measured again on real data by the code that measured them first.
What is measured now must also give the committed verdicts.
Where the first measurement took longer than minutes, a part of it is repeated and compared on the
same images or queries; `full` repeats all.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from dgm import data, experiments
from dgm.engine.again import measure_again
from dgm.engine.plan import Options, Planned, plan
from dgm.engine.published import Published
from dgm.engine.results import Finished, Held, gather
from dgm.errors import DgmError, MissingData
from dgm.files import read_csv
from dgm.recipe.load import Recipe
from dgm.report.summary import Metric, read_metrics, summary
from dgm.report.tables import Artifacts
from dgm.text import counted
from dgm.trial.measured import Compared, compare, merge

EXACT = 1e-9  # relative; what follows from the same tables


class Verified(NamedTuple):
    """A trial that was measured again (or the tables, label ""), and what differs or why not."""

    label: str
    compared: list[Compared]
    problem: str = ""

    @property
    def agrees(self) -> bool:
        return not self.problem and all(one.agrees for one in self.compared)

    def text(self, every: bool = False) -> str:
        """A line, and below it each number that differs, or every one."""
        if self.problem:
            return f"  {self.label}: DIFFERS: {self.problem}"
        agree = sum(one.agrees for one in self.compared)
        head = f"  {self.label}: agree"
        if self.compared:
            head = f"  {self.label}: {agree} of {counted(len(self.compared), 'number')} agree"
        shown = [one.text for one in self.compared if every or not one.agrees]
        return "\n    ".join([head, *shown])


def verify(
    recipe: Recipe, target: Path, options: Options, full: bool = False
) -> Iterator[Verified]:
    """Each step of each trial of committed results that can be measured again.

    MissingData where the data are not at hand.
    """
    options = replace(options, out=target.parents[1])
    try:
        held = Held(target)
        trials = {key: held.read(key) for key in held.trials}
        yield Verified("tables", list(_follow(recipe, target, trials)))
        yield Verified("verdicts", [], _verdicts(recipe, target, trials))
    except MissingData:
        raise
    except DgmError as error:
        yield Verified("tables", [], str(error))
        return
    published = Published(target)
    for p in plan(recipe, options):
        if p.key not in trials:
            continue
        left = Artifacts(trials[p.key].tables, trials[p.key].arrays)
        try:
            again = _again(recipe, p, trials[p.key].about, published, options, full)
        except MissingData:
            raise
        except DgmError as error:
            yield Verified(p.label, [], str(error))
            continue
        if again is not None:
            measured = experiments.trial(recipe.experiment).MEASURED
            yield Verified(p.label, list(compare(left, again, measured)))
            merged = merge(left, again, measured)
            trials[p.key] = trials[p.key]._replace(tables=merged.tables, arrays=merged.arrays)
    yield Verified("verdicts, as measured now", [], _verdicts(recipe, target, trials))


def unpublished(recipe: Recipe, target: Path, options: Options) -> list[str]:
    """The trials in committed results that cannot be measured again, for no model is published."""
    options = replace(options, out=target.parents[1])
    held, published = Held(target).trials, Published(target)
    return [
        p.label
        for p in plan(recipe, options)
        if p.key in held and not _can_be(recipe, p, published, True)
    ]


def _follow(recipe: Recipe, target: Path, trials: dict[str, Finished]) -> Iterator[Compared]:
    """Metrics beside what the tables give, and the summary beside what the metrics give."""
    report = experiments.report(recipe.experiment)
    found = (Metric(*each) for each in report.summarise(gather(trials.values())))
    fresh = {(each.metric, each.seed): each.value for each in found}
    metrics = read_metrics(target / "metrics.csv")
    for row in metrics.to_dict("records"):
        now = float(fresh.pop((row["metric"], row["seed"]), np.nan))
        name = f"{row['metric']}, seed {row['seed']}, from the tables"
        yield Compared(name, row["value"], now, EXACT * abs(now))
    for metric, seed in fresh:
        yield Compared(f"{metric}, seed {seed}, is not in metrics.csv", np.nan, 0, 0)
    saved = read_csv(target / "summary.csv").set_index("metric")["mean"]
    for row in summary(metrics, recipe.expect, recipe.preset).to_dict("records"):
        before = float(saved.get(row["metric"], np.nan))
        yield Compared(f"{row['metric']}, mean", before, row["mean"], EXACT * abs(row["mean"]))


def _verdicts(recipe: Recipe, target: Path, trials: dict[str, Finished]) -> str:
    """Which verdicts of the summary are not those that the tables give; "" where all are."""
    found = experiments.report(recipe.experiment).summarise(gather(trials.values()))
    metrics = pd.DataFrame([Metric(*each) for each in found], columns=list(Metric._fields))
    saved = read_csv(target / "summary.csv").to_dict("records")
    committed = {(row["metric"], name): value for row in saved for name, value in row.items()}
    differ = []
    for row in summary(metrics, recipe.expect, recipe.preset).to_dict("records"):
        for kind in ("verdict", "reproduction"):
            was, now = _text(committed.get((row["metric"], kind))), _text(row[kind])
            if was != now:
                differ.append(f"{row['metric']}: {was or 'none'} is now {now or 'none'}")
    return "; ".join(differ)


def _text(value: Any) -> str:
    return "" if pd.isna(value) else str(value)


def _can_be(recipe: Recipe, p: Planned, published: Published, full: bool) -> bool:
    experiment = experiments.trial(recipe.experiment)
    if not hasattr(experiment, "measure"):
        return False
    if hasattr(experiment, "anew") and experiment.anew(p.spec.settings, full):
        return True
    return p.start is not None if recipe.uses else published.holds(p.key, p.keys.code)


def _again(
    recipe: Recipe,
    p: Planned,
    about: Mapping[str, Any],
    published: Published,
    options: Options,
    full: bool,
) -> Artifacts | None:
    """What a trial's model gives now; None where nothing can be measured."""
    if not _can_be(recipe, p, published, full):
        return None
    data.load(p.spec.data)  # MissingData, before the model is looked at
    if recipe.uses:
        directory = p.start
    elif published.holds(p.key, p.keys.code):
        directory = published.directory(p.key)
    else:
        directory = None
    chosen = about.get("chosen") or {}
    return measure_again(recipe.experiment, p.spec, directory, chosen, options, full)
