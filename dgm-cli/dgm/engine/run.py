"""Recipe -> trials -> launcher -> results.

`plan` decides which trials are finished and which have to run; `run` runs these and writes
`<out>/<recipe>/<preset>/` from all that are finished, which `dgm.engine.results` puts together.
"""

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dgm import data, experiments
from dgm.engine.estimate import manifest
from dgm.engine.launch import local as launch
from dgm.engine.load import load
from dgm.engine.results import (
    KEPT,
    MACHINE,
    TOLD,
    adopt,
    digest,
    draw,
    gather,
    held,
    is_held,
    restore,
)
from dgm.errors import BadInput, DgmError, MissingData
from dgm.files import atomic_write, write_csv, write_npz
from dgm.recipe.load import Recipe
from dgm.report.summary import read_metrics, summary, write_metrics
from dgm.text import duration
from dgm.trial import folder as store
from dgm.trial import machine
from dgm.trial.folder import Planned
from dgm.trial.progress import Display

REMEDY = "give another --out DIR, or --fresh to replace them"


@dataclass(frozen=True)
class Options:
    """How a run is made; nothing here but device and threads changes a number."""

    out: Path = Path("results")
    jobs: int = 1
    threads: int = 1  # a trial; the last digits depend on it, so it does not follow from `jobs`
    device: str = "cpu"
    checkpoint_every: float = 30.0
    fresh: bool = False
    extend: bool = False  # take trials that are there or in the results, whatever ran them
    train: bool = True  # False: only write the results of what is finished
    fallback: bool = True
    overrides: tuple[str, ...] = ()
    seeds: list[int] | None = None
    command: str = ""


@dataclass
class Report:
    """What became of a run."""

    folder: Path
    preset: str
    reused: int = 0
    ran: int = 0
    errors: dict[str, str] = field(default_factory=dict)  # by trial
    details: dict[str, str] = field(default_factory=dict)
    not_run: dict[str, str] = field(default_factory=dict)  # by data set
    unfinished: list[str] = field(default_factory=list)
    fell_back: str = ""  # why the embedded preset was run instead
    kept: list[str] = field(default_factory=list)  # trials for which earlier results stay
    figures: list[str] = field(default_factory=list)  # empty when there are no results
    undrawn: list[str] = field(default_factory=list)  # why figures are lacking, a line each


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM: what ran has saved itself."""

    def __init__(self, finished: int, trials: int, error: str = "") -> None:
        super().__init__()
        self.finished, self.trials = finished, trials
        self.error = error  # why one has not


# --- deciding --------------------------------------------------------------------------------


def folder(recipe: Recipe, out: Path) -> Path:
    return out / recipe.name / recipe.preset


def get_data(names: list[str], download: bool = True) -> dict[str, str]:
    """Have each data set at hand; those that cannot be had, with the reason."""
    missing = {}
    for name in names:
        try:
            try:
                data.load(name)
            except MissingData:
                if not download:
                    raise
                data.fetch(name)
                data.load(name)
        except BadInput:  # it is here, but not as it should be: that is for the user to decide
            raise
        except DgmError as error:
            missing[name] = str(error)
    return missing


def plan(recipe: Recipe, options: Options) -> list[Planned]:
    """The trials of a recipe whose data is at hand, with their folders and identities.

    To extend, those that are finished or in the results as whatever machine ran them, also those of
    the recipe that it uses; the others as they would be run here.
    """
    target = folder(recipe, options.out)
    if not options.extend:
        return _plan(recipe, options, _starts(recipe, options))
    used = {p.spec.seed: p for p in (plan(recipe.uses, options) if recipe.uses else [])}
    theirs = [adopt(p, target) for p in _plan(recipe, options, used)]
    here = _plan(recipe, options, _starts(recipe, options))
    return [
        p if p.finished or is_held(p, target) else own for p, own in zip(theirs, here, strict=True)
    ]


def _starts(recipe: Recipe, options: Options) -> dict[int, Planned]:
    """By seed, the trials that the recipe's start from: those whose models are there, else as they
    would be run here."""
    if not recipe.uses:
        return {}
    here = plan(recipe.uses, replace(options, extend=False))
    there = plan(recipe.uses, options)
    return {own.spec.seed: p if p.has_models else own for p, own in zip(there, here, strict=True)}


def _plan(recipe: Recipe, options: Options, used: dict[int, Planned]) -> list[Planned]:
    """The trials as they would be run here, from the models of those that are used."""
    import torch

    revision = experiments.settings(recipe.experiment).REVISION
    trials = folder(recipe, options.out) / "trials"
    uses = {seed: {"uses": p.identity} for seed, p in used.items()}
    return [
        Planned(
            spec,
            trials / spec.label,
            {
                "settings": spec.settings.model_dump(mode="json"),
                "seed": spec.seed,
                "data": spec.data,
                "data_hash": data.load(spec.data).hash,
                "experiment": recipe.experiment,
                "revision": revision,
                "torch": torch.__version__,
                "device": torch.device(options.device).type,
                "threads": options.threads,
                **uses.get(spec.seed, {}),
            },
            used[spec.seed].directory if recipe.uses else None,
        )
        for spec in recipe.trials
    ]


def names_of_data(recipe: Recipe) -> list[str]:
    own = [spec.data for spec in recipe.trials]
    return list(dict.fromkeys([*own, *(names_of_data(recipe.uses) if recipe.uses else [])]))


# --- doing -----------------------------------------------------------------------------------


def run(recipe: Recipe, options: Options, say: Any = print) -> Report:
    """Run what is not finished and write the results; DgmError when nothing could be.

    Interrupted (a KeyboardInterrupt) when stopped: finished trials stay and running ones are saved.
    """
    machine.check_device(options.device)
    not_run = get_data(names_of_data(recipe))
    fell_back = ""
    if not_run and (options.extend or not options.fallback):
        raise MissingData(next(iter(not_run.values())))
    needed = names_of_data(recipe.uses) if recipe.uses else []
    if len(not_run) == len(names_of_data(recipe)) or set(needed) & set(not_run):
        fell_back = next(iter(not_run.values()))
        say(f"NOTE: {fell_back}")
        say("NOTE: running the embedded preset instead; its numbers are not the paper's")
        recipe = load(recipe.path, "embedded", options.overrides, options.seeds)
        not_run = {}
    for reason in not_run.values():
        say(f"NOTE: not run: {reason}")
    kept = [spec for spec in recipe.trials if spec.data not in not_run]
    asked, recipe = recipe, replace(recipe, trials=kept)

    report = Report(
        folder(recipe, options.out), recipe.preset, not_run=not_run, fell_back=fell_back
    )
    with lock(report.folder):
        planned = plan(recipe, options)
        if options.extend:
            axes = experiments.report(recipe.experiment).AXES
            say(f"{restore(planned, axes, report.folder)} trials are taken from the results")
        pending = [p for p in planned if options.fresh or not p.finished]
        if not options.fresh:
            _refuse_to_lose(asked, report.folder, pending, options, not_run)
        report.reused = len(planned) - len(pending)
        if report.reused:
            say(f"{report.reused} of {len(planned)} trials are finished already")
        if recipe.uses and options.train and pending:
            _run_used(recipe, {p.spec.seed for p in pending}, options, report, say)
            if report.errors:
                return report
        if options.train:
            _run_trials(recipe, pending, options, report)
        finished = [p for p in planned if p.finished]
        report.unfinished = [p.spec.label for p in planned if not p.finished]
        report.kept = _would_lose(recipe, report.folder, finished)
        if finished and not report.kept:
            report.figures = write_results(recipe, finished, options, report)
        elif not (report.errors or report.kept):
            raise DgmError(f"{report.folder}: no trial is finished")
    return report


def _run_used(recipe: Recipe, seeds: set[int], options: Options, report: Report, say: Any) -> None:
    """The trials that those of these seeds start from, if their models are not there yet."""
    used = recipe.uses
    assert used is not None
    place = folder(used, options.out)
    with lock(place):
        starts = _starts(recipe, options)
        pending = [p for seed, p in starts.items() if seed in seeds and not p.has_models]
        _refuse_stale(place, pending, "remove their folders, or give another --out DIR")
        if pending:
            say(f"first {len(pending)} trials of {used.name}, which this recipe starts from")
        counted_apart = replace(report, reused=0, ran=0)
        _run_trials(used, pending, replace(options, fresh=False), counted_apart)


def _refuse_to_lose(
    recipe: Recipe,
    folder: Path,
    pending: list[Planned],
    options: Options,
    not_run: dict[str, str],
) -> None:
    """BadInput when results or trials that took their time would give way to others."""
    earlier, there = manifest(folder), held(folder)
    for spec in recipe.trials:
        if spec.data in not_run and spec.label in there:
            raise BadInput(
                f"{folder}: holds results on {spec.data}, which cannot be had; "
                f"give another --out DIR to do without"
            )
    if options.overrides and earlier and not earlier.get("overrides"):
        raise BadInput(f"{folder}: holds the recipe's own results; with overrides {REMEDY}")
    seeds = {trial["seed"] for trial in earlier.get("trials", [])}
    lost = seeds - {spec.seed for spec in recipe.trials}
    if lost:
        raise BadInput(f"{folder}: holds results of seeds {sorted(lost)} too; {REMEDY}")
    if options.train:
        _refuse_stale(folder, pending)


def _would_lose(recipe: Recipe, folder: Path, finished: list[Planned]) -> list[str]:
    """The recipe's trials that the results hold, and from those finished would not."""
    own = held(folder).keys() & {spec.label for spec in recipe.trials}
    return sorted(own - {p.spec.label for p in finished})


def _refuse_stale(folder: Path, pending: list[Planned], remedy: str = REMEDY) -> None:
    stale = [(p, store.changes(p.directory, p.identity)) for p in pending]
    stale = [(p, changes) for p, changes in stale if changes]
    if stale:
        p, changes = stale[0]
        raise BadInput(
            f"{folder}: holds {len(stale)} trials that are other ones ({p.spec.label}: "
            f"{'; '.join(changes)}); {remedy}"
        )


def _run_trials(recipe: Recipe, pending: list[Planned], options: Options, report: Report) -> None:
    jobs = [
        launch.Job(
            recipe.experiment,
            p.spec,
            p.directory,
            p.identity,
            options.device,
            options.threads,
            options.checkpoint_every,
            p.start,
        )
        for p in pending
    ]
    if options.fresh:
        # Earlier results are given up here: what goes on without --fresh is not refused for them.
        (report.folder / "run.json").unlink(missing_ok=True)
        for p in pending:
            store.discard(p.directory)
    if not jobs:
        return
    display = Display(len(recipe.trials), report.reused)
    started = time.monotonic()
    try:
        if options.jobs > 1 and len(jobs) > 1:
            data.load.cache_clear()  # the workers read it themselves
            endings = launch.in_processes(jobs, options.jobs, display)
        else:
            endings = launch.in_process(jobs, display)
        with contextlib.closing(endings):  # workers are gone before the lock is
            for ended in endings:
                if ended.interrupted:
                    raise KeyboardInterrupt(ended.error)
                if ended.error:
                    report.errors[ended.label] = ended.error
                    report.details[ended.label] = ended.details
                    display.end(ended.label, f"failed: {ended.label}: {ended.error}")
                else:
                    report.ran += 1
                    after = duration(time.monotonic() - started)
                    display.end(ended.label, f"finished: {ended.label}, {after} into the run")
    except KeyboardInterrupt as stop:
        raise Interrupted(report.reused + report.ran, len(recipe.trials), str(stop)) from None
    finally:
        display.close()


def is_locked(folder: Path) -> bool:
    """Whether a run holds a results folder now."""
    try:
        with open(folder / ".lock", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Hold a results folder; DgmError when another run does. The system frees it at any death."""
    path = folder / ".lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = open(path, "a+", encoding="utf-8")  # noqa: SIM115
    except OSError as error:
        raise DgmError(f"{folder}: cannot be written: {error.strerror}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise DgmError(
                f"{folder}: another run (process {holder}) is writing here; wait or give --out DIR"
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


# --- results ---------------------------------------------------------------------------------


def write_results(
    recipe: Recipe, finished: list[Planned], options: Options, report: Report
) -> list[str]:
    """Tables, arrays, metrics, summary, figures and the manifest; the figures' names.

    What an earlier run left there and this one does not have is removed.
    """
    target = report.folder
    experiment = experiments.report(recipe.experiment)
    artifacts = gather(finished, experiment.AXES)
    write_metrics(target / "metrics.csv", experiment.summarise(artifacts))  # may refuse: so first
    for name, table in artifacts.tables.items():
        write_csv(table, target / f"{name}.csv")
    for name, arrays in artifacts.arrays.items():
        write_npz(target / f"{name}.npz", arrays)
    metrics = read_metrics(target / "metrics.csv")
    write_csv(summary(metrics, recipe.expect, recipe.preset), target / "summary.csv")
    figures, report.undrawn = draw(recipe.experiment, artifacts, target)
    drawn = {Path(name).stem for name in figures}
    current = {"csv": {*artifacts.tables, *KEPT}, "npz": set(artifacts.arrays)}
    for suffix, names in (current | dict.fromkeys(("png", "svg", "gif"), drawn)).items():
        for path in list(target.glob(f"*.{suffix}")):
            if path.stem not in names:
                path.unlink()
    about = _manifest(recipe, finished, options, report)
    atomic_write(target / "run.json", json.dumps(about, indent=1) + "\n")
    return figures


def _manifest(
    recipe: Recipe, finished: list[Planned], options: Options, report: Report
) -> dict[str, Any]:
    trials = []
    for p in finished:
        about = store.about(p.directory)
        trials.append(
            {
                "label": p.spec.label,
                "axes": p.spec.axes,
                "seed": p.spec.seed,
                **{key: p.identity[key] for key in MACHINE},
                **{key: about.get(key) for key in TOLD},  # the device by its name
                "identity": digest(p.identity),
            }
        )
    size = sum(f.stat().st_size for f in report.folder.rglob("*") if f.is_file())
    return {
        **recipe.resolved,
        "overrides": list(options.overrides),
        "command": options.command,
        "commit": machine.commit(),
        "versions": machine.versions(),
        "data_hash": {p.spec.data: p.identity["data_hash"] for p in finished},
        "device": machine.device_name(options.device),
        "jobs": options.jobs,
        "threads": options.threads,
        "reference_seconds": machine.reference_seconds(),
        "disk_mb": round(size / 2**20, 1),
        "fell_back": report.fell_back,
        "not_run": report.not_run,
        "failed": report.errors,
        "unfinished": report.unfinished,
        "trials": trials,
    }
