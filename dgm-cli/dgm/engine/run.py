"""Recipe -> trials -> launcher -> results.

`run` runs the trials that are not finished, and writes `<out>/<recipe>/<preset>/` from all finished
ones. One rule protects results: the cells that they hold must be among those that the new ones
would hold, unless `--fresh`. It is checked before training and before writing.
"""

import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dgm import data, experiments
from dgm.engine import results
from dgm.engine.launch import local
from dgm.engine.load import load
from dgm.engine.lock import lock
from dgm.engine.plan import Options, Planned, names_of_data, plan, results_folder
from dgm.engine.results import Held, Store, named
from dgm.errors import BadInput, DgmError, MissingData
from dgm.files import atomic_write
from dgm.recipe.load import Recipe
from dgm.text import counted, duration
from dgm.trial import folder, machine
from dgm.trial.progress import Display

REMEDY = "give another --out DIR, or --fresh to replace them"
DONE = ("finished", "held")  # states of trials that need not run
Say = Callable[[str], Any]


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
    kept: str = ""  # why earlier results stay
    figures: list[str] = field(default_factory=list)
    undrawn: dict[str, str] = field(default_factory=dict)  # by figure


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM: running trials have saved themselves."""

    def __init__(self, finished: int, trials: int, error: str = "") -> None:
        super().__init__()
        self.finished, self.trials = finished, trials
        self.error = error  # why one could not


def run(recipe: Recipe, options: Options, say: Say = print) -> Report:
    """Run what is not finished and write the results; DgmError when nothing could be.

    Interrupted (a KeyboardInterrupt) when stopped: finished trials stay and running ones are saved.
    """
    machine.check_device(options.device)
    target = results_folder(recipe, options.out)
    planned = plan(recipe, options)
    pending = _pending(planned, _store(recipe, options), options)
    _refuse_to_lose(target, planned, pending, options)
    not_run = _get_data(recipe, pending)
    if not_run and (options.extend or not options.fallback):
        raise MissingData(next(iter(not_run.values())))
    report = Report(target, recipe.preset, not_run=not_run)
    if _nothing_can_run(recipe, planned, pending, not_run):
        reason = next(iter(not_run.values()))
        recipe = _embedded(recipe, reason, options, say)
        planned = plan(recipe, options)
        report = Report(results_folder(recipe, options.out), recipe.preset, fell_back=reason)
    elif not_run:
        for reason in not_run.values():
            say(f"NOTE: not run: {reason}")
        without = [p for p in pending if p.spec.data in not_run]
        planned = [p for p in planned if p not in without]
    with lock(report.folder):
        return _run(recipe, planned, options, report, say)


def _store(recipe: Recipe, options: Options) -> Store:
    axes = list(experiments.report(recipe.experiment).AXES)
    return Store(results_folder(recipe, options.out), options.extend, axes)


def _embedded(recipe: Recipe, reason: str, options: Options, say: Say) -> Recipe:
    """The embedded preset, whose data ship or are generated."""
    say(f"NOTE: {reason}")
    say("NOTE: running the embedded preset instead; its numbers are not the paper's")
    try:
        return load(recipe.path, "embedded", options.overrides, options.seeds)
    except BadInput as error:
        raise BadInput(f"{reason}; nor can the embedded preset run in its place: {error}") from None


def _run(
    recipe: Recipe, planned: list[Planned], options: Options, report: Report, say: Say
) -> Report:
    """Run the pending ones of the planned trials, and write the results of all."""
    store = _store(recipe, options)
    pending = _pending(planned, store, options)
    _refuse_to_lose(report.folder, planned, pending, options)
    report.reused = len(planned) - len(pending)
    held = sum(store.state(p).name == "held" for p in planned if p not in pending)
    if held:
        say(f"{counted(held, 'trial')} taken from the results")
    if report.reused:
        say(f"{report.reused} of {len(planned)} trials are finished already")
    if options.train and pending:
        if recipe.uses:
            _run_used(recipe, pending, options, report, say)
            if report.errors:
                return report
            keys = {
                p.key for p in pending
            }  # planned anew: the models that they start from are there
            pending = [p for p in plan(recipe, options) if p.key in keys]
            own = {p.key: p for p in pending}
            planned = [own.get(p.key, p) for p in planned]
        _run_trials(pending, len(planned), options, report)
    done = [p for p in planned if store.state(p).name in DONE]
    report.unfinished = [p.label for p in planned if p not in done]
    if not options.fresh:
        report.kept = _lost(report.folder, done)
    if done and not report.kept:
        _write_results(recipe, done, store, options, report)
    elif not (report.errors or report.kept):
        raise DgmError(f"{report.folder}: no trial is finished")
    return report


# --- deciding --------------------------------------------------------------------------------


def _pending(planned: list[Planned], store: Store, options: Options) -> list[Planned]:
    """The trials that are to run."""
    return [p for p in planned if options.fresh or store.state(p).name not in DONE]


def _refuse_to_lose(
    target: Path, planned: list[Planned], pending: list[Planned], options: Options
) -> None:
    """BadInput where results, or trials' folders that took their time, would give way to others."""
    if options.fresh:
        return
    lost = _lost(target, planned)
    if lost:
        raise BadInput(f"{lost}; {REMEDY}")
    if options.train:
        _refuse_stale(target, pending)


def _lost(target: Path, planned: list[Planned]) -> str:
    """Which trials these results hold that are not planned; nothing where there are none."""
    held, keys = Held(target).trials, {p.key for p in planned}
    lost = [about for key, about in held.items() if key not in keys]
    if not lost:
        return ""
    more = named((about["label"] for about in lost), len(lost))
    return f"{target}: holds {more} that are not among those of this run"


def _refuse_stale(target: Path, pending: list[Planned], remedy: str = REMEDY) -> None:
    states = [(p, p.state()) for p in pending]
    stale = [(p, found) for p, found in states if found.name in ("stale", "unreadable")]
    if stale:
        p, found = stale[0]
        raise BadInput(
            f"{target}: holds {counted(len(stale), 'trial')} that cannot go on or be used "
            f"({p.label}: {found.why}); {remedy}"
        )


def _get_data(recipe: Recipe, pending: list[Planned]) -> dict[str, str]:
    """Have each data set that is needed at hand; those that cannot be had, with the reason."""
    names = [p.spec.data for p in pending]
    if recipe.uses and pending:
        names += names_of_data(recipe.uses)
    missing = {}
    for name in dict.fromkeys(names):
        try:
            try:
                data.load(name)
            except MissingData:
                data.fetch(name)
                data.load(name)
        except BadInput:  # it is here, but not as it should be: that is for the user to decide
            raise
        except DgmError as error:
            missing[name] = str(error)
    return missing


def _nothing_can_run(
    recipe: Recipe, planned: list[Planned], pending: list[Planned], missing: dict[str, str]
) -> bool:
    """Whether every trial waits for data that cannot be had."""
    if not missing:
        return False
    used = names_of_data(recipe.uses) if recipe.uses else []
    if set(used) & missing.keys():
        return True
    return len(pending) == len(planned) and all(p.spec.data in missing for p in pending)


# --- running ---------------------------------------------------------------------------------


def _run_used(
    recipe: Recipe, pending: list[Planned], options: Options, report: Report, say: Say
) -> None:
    """The trials that the pending ones start from, where their models are not there yet."""
    used = recipe.uses
    assert used is not None
    place, seeds = results_folder(used, options.out), {p.spec.seed for p in pending}
    with lock(place):
        wanted = [p for p in plan(used, options) if p.spec.seed in seeds and not p.has_models]
        _refuse_stale(place, wanted, "remove their folders, or give another --out DIR")
        if wanted:
            many = counted(len(wanted), "trial")
            say(f"first {many} of {used.name}, which this recipe starts from")
        counted_apart = replace(report, reused=0, ran=0)
        _run_trials(wanted, len(wanted), replace(options, fresh=False), counted_apart)


def _run_trials(pending: list[Planned], trials: int, options: Options, report: Report) -> None:
    if options.fresh:
        results.give_up(report.folder)
        for p in pending:
            folder.discard(p.directory)
    if not pending:
        return
    display = Display(trials, report.reused)
    started = time.monotonic()
    how = local.How(options.device, options.threads, options.checkpoint_every)
    try:
        if options.jobs > 1 and len(pending) > 1:
            data.load.cache_clear()  # the workers read it themselves
            endings = local.in_processes(pending, how, options.jobs, display)
        else:
            endings = local.in_process(pending, how, display)
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
        raise Interrupted(report.reused + report.ran, trials, str(stop)) from None
    finally:
        display.close()


# --- results ---------------------------------------------------------------------------------


def _write_results(
    recipe: Recipe, done: list[Planned], store: Store, options: Options, report: Report
) -> None:
    """Tables, arrays, metrics, summary, figures and run.json, from finished trials."""
    names = results.axes_of(done, store.axes)
    trials = [store.read(p, names) for p in done]
    gathered = results.gather(trials)
    target, preset = report.folder, recipe.preset
    overridden = bool(options.overrides)
    written = results.write(target, recipe.experiment, preset, recipe.expect, gathered, overridden)
    results.remove_earlier(target, written.files)
    report.figures, report.undrawn = written.figures, written.undrawn
    size = sum((target / name).stat().st_size for name in written.files)
    about = {
        **recipe.resolved,
        "overrides": list(options.overrides),
        "command": options.command,
        "commit": machine.commit(),
        "versions": machine.versions(),
        "device": machine.device_name(options.device),
        "jobs": options.jobs,
        "threads": options.threads,
        "reference_seconds": machine.reference_seconds(),
        "disk_mb": round(size / 2**20, 1),
        "fell_back": report.fell_back,
        "not_run": report.not_run,
        "failed": report.errors,
        "unfinished": report.unfinished,
        "files": written.files,
        "trials": [found.about for found in trials],
    }
    atomic_write(target / "run.json", json.dumps(about, indent=1) + "\n")
