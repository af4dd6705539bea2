"""Committed numbers measured again: from published models, or anew where that is quick.

A committed number is held in three steps: summary.csv follows from metrics.csv, that from the
tables, and the tables' rows are measured again on real data by the code that measured them first.
What is measured now must also give the committed verdicts, and leave each judged mean within a
fifth of what would change its verdict. Where the first measurement took longer than minutes, a part
of it is repeated and compared on the same images or queries; `full` repeats all.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from dgm import data, experiments
from dgm.engine.again import measure_again
from dgm.engine.plan import Options, Planned, plan
from dgm.engine.published import Published
from dgm.engine.results import Finished, Held, gather, manifest
from dgm.errors import DgmError, MissingData
from dgm.files import read_csv, sha256
from dgm.recipe.load import Recipe
from dgm.report.summary import Metric, read_metrics, summary
from dgm.report.tables import Artifacts
from dgm.text import counted
from dgm.trial.measured import Compared, compare, merge
from dgm.trial.progress import Display

EXACT = 1e-9  # relative; what follows from the same tables


class Verified(NamedTuple):
    """A step, or a trial that was measured again: what was compared, and what is wrong with it."""

    label: str
    compared: list[Compared]
    problem: str = ""
    skipped: bool = False  # it cannot be measured again

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
    """Each step of committed results, and each trial in them; progress goes to stderr.

    MissingData or BadInput where the data are not at hand, or not as they should be.
    """
    options = replace(options, out=target.parents[1])
    trials: dict[str, Finished] = {}

    def read() -> list[Compared]:
        if manifest(target).get("overrides"):
            raise DgmError("the results are of a run with overrides")
        held = Held(target)
        for name in ("metrics.csv", "summary.csv"):
            if sha256(target / name) != held.files.get(name):
                raise DgmError(f"{target / name}: was changed after the run that wrote it")
        trials.update({key: held.read(key) for key in held.trials})
        return list(_follow(recipe, target, trials))

    yield (found := _step("tables", read))
    if found.problem:
        return
    planned, published = {p.key: p for p in plan(recipe, options)}, Published(target)
    again = []
    for key, left in trials.items():
        if key not in planned:
            problem = "is no trial of the recipe as it stands: a setting was changed since"
            yield Verified(left.about["label"], [], problem)
        elif not _can_be(recipe, planned[key], left, published, full):
            yield Verified(planned[key].label, [], skipped=True)
        else:
            again.append((planned[key], left))
    display = Display(len(again), 0)
    try:
        for p, left in again:
            data.load(p.spec.data)  # errors of the data are none of the numbers
            progress = partial(display.update, p.label)
            measure = partial(_again, recipe, p, trials, left, published, options, full, progress)
            found = _step(p.label, measure)
            display.end(p.label)
            yield found
    finally:
        display.close()
    yield _step("verdicts, as measured now", lambda: list(_verdicts(recipe, target, trials)))


def _step(label: str, compared: Any) -> Verified:
    """What a step compares; whatever goes wrong in it is something that differs."""
    try:
        return Verified(label, compared())
    except MissingData:
        raise
    except DgmError as error:
        return Verified(label, [], str(error))
    except Exception as error:  # results that were altered fail in any way
        return Verified(label, [], " ".join(f"{type(error).__name__}: {error}".split()))


# --- tables to metrics to summary ------------------------------------------------------------


def _metrics(recipe: Recipe, trials: dict[str, Finished]) -> pd.DataFrame:
    found = experiments.report(recipe.experiment).summarise(gather(trials.values()))
    return pd.DataFrame([Metric(*each) for each in found], columns=list(Metric._fields))


def _follow(recipe: Recipe, target: Path, trials: dict[str, Finished]) -> Iterator[Compared]:
    """Metrics beside what the tables give, and the summary beside what the metrics give."""
    metrics = read_metrics(target / "metrics.csv")
    yield from _frames(metrics, _metrics(recipe, trials), ["metric", "seed"])
    fresh = summary(metrics, recipe.expect, recipe.preset)
    yield from _frames(read_csv(target / "summary.csv"), fresh, ["metric"])


def _verdicts(recipe: Recipe, target: Path, trials: dict[str, Finished]) -> Iterator[Compared]:
    """Each judged mean beside what was measured now; DgmError where a verdict is another.

    A mean may move by a fifth of what would change its verdict: of its distance from the band's
    edges, and from where the reported value would enter or leave the interval.
    """
    saved = read_csv(target / "summary.csv")
    fresh = summary(_metrics(recipe, trials), recipe.expect, recipe.preset)
    columns = ["metric", "verdict", "reproduction"]
    list(_frames(saved[columns], fresh[columns], ["metric"]))
    now = fresh.set_index("metric")["mean"]
    for row in saved.to_dict("records"):
        half = 0.0 if math.isnan(row["half_width"]) else row["half_width"]
        edges = [row["low"], row["high"], row["reported"] - half, row["reported"] + half]
        distances = [abs(row["mean"] - edge) for edge in edges if math.isfinite(edge)]
        if distances and row["n"]:
            allowed = max(min(distances) / 5, EXACT * abs(row["mean"]))
            yield Compared(f"{row['metric']}: mean", row["mean"], now[row["metric"]], allowed)


def _frames(saved: pd.DataFrame, fresh: pd.DataFrame, keys: list[str]) -> Iterator[Compared]:
    """Each number of two tables; DgmError where their rows, or their words, are not the same."""
    old, new = (
        {tuple(row[key] for key in keys): row for row in frame.to_dict("records")}
        for frame in (saved, fresh)
    )
    if set(old) != set(new) or len(old) != len(saved):
        differ = sorted({*map(str, old)} ^ {*map(str, new)}) or ["one is there twice"]
        raise DgmError(f"rows that should not be there, or are not: {', '.join(differ[:3])}")
    for key, row in new.items():
        for column, now in row.items():
            was, name = old[key].get(column), ", ".join(map(str, key))
            if isinstance(now, float) or isinstance(was, float):
                was, now = (math.nan if each is None else each for each in (was, now))
            if isinstance(now, float) and isinstance(was, float | int):
                if not (math.isnan(now) and math.isnan(was)):
                    yield Compared(f"{name}: {column}", was, now, EXACT * abs(now))
            elif was != now:
                raise DgmError(f"{name}: {column} is {was!r}, and {now!r} follows from the tables")


# --- tables from models ----------------------------------------------------------------------


def _can_be(recipe: Recipe, p: Planned, left: Finished, published: Published, full: bool) -> bool:
    experiment = experiments.trial(recipe.experiment)
    if not hasattr(experiment, "measure"):
        return False
    if hasattr(experiment, "anew") and experiment.anew(p.spec, full):
        return True
    if recipe.uses and p.uses_model:
        return p.start is not None
    return "measured_on" in left.about or published.holds(p.key, p.keys.code)


def _again(
    recipe: Recipe,
    p: Planned,
    trials: dict[str, Finished],
    left: Finished,
    published: Published,
    options: Options,
    full: bool,
    progress: Any,
) -> list[Compared]:
    """A trial's numbers beside those that its model gives now, which take their place."""
    about, experiment = left.about, experiments.trial(recipe.experiment)
    axes = {name: p.spec.value(name) for name in about["axes"]}
    if (about["seed"], about["cell"]) != (p.spec.seed, p.keys.cell) or any(
        str(axes[name]) != str(value) for name, value in about["axes"].items()
    ):
        raise DgmError("run.json gives it other axes or another seed than its key stands for")
    files: list[Path] = []
    if p.start:
        files = sorted(p.start.glob("*.safetensors"))
    elif "measured_on" in about or published.holds(p.key, p.keys.code):
        if not published.holds(p.key, p.keys.code):
            raise DgmError("its published model is no longer in the manifest")
        files = published.files(p.key)
        if about.get("measured_on") != published.trials[p.key]["files"]:
            raise DgmError("its numbers are not those of the published model; --publish mends it")
    chosen = about.get("chosen") or {}
    again = measure_again(recipe.experiment, p.spec, files, chosen, options, full, progress)
    earlier = Artifacts(left.tables, left.arrays)
    found = list(compare(earlier, again, experiment.MEASURED))
    merged = merge(earlier, again, experiment.MEASURED)
    trials[p.key] = left._replace(tables=merged.tables, arrays=merged.arrays)
    return found
