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
from dgm.engine import publish, results
from dgm.engine.estimate import duration_text, estimate
from dgm.engine.launch import local
from dgm.engine.load import load
from dgm.engine.lock import lock
from dgm.engine.plan import Options, Planned, names_of_data, plan, results_folder
from dgm.engine.results import Held, Store, named
from dgm.errors import BadInput, DgmError, MissingData
from dgm.files import atomic_write
from dgm.recipe.load import Recipe
from dgm.shipped import beside
from dgm.text import counted, duration
from dgm.trial import folder, machine
from dgm.trial.progress import Display

LONG = 3600  # seconds after which one may rather want the quick preset
REPLACE = "give another --out DIR, or --fresh to replace them"
PUBLISHED = ("paper", "quick")  # presets that start from published models
DONE = ("finished", "held")  # states of trials that need not run
Say = Callable[[str], Any]


@dataclass
class Report:
    """What became of a run."""

    folder: Path
    reused: int = 0
    ran: int = 0
    errors: dict[str, str] = field(default_factory=dict)  # by trial
    details: dict[str, str] = field(default_factory=dict)
    not_run: dict[str, str] = field(default_factory=dict)  # by data set
    unfinished: list[str] = field(default_factory=list)
    fell_back: str = ""  # why the embedded preset was run instead
    kept: str = ""  # why earlier results stay
    written: bool = False
    figures: list[str] = field(default_factory=list)
    undrawn: dict[str, str] = field(default_factory=dict)  # by figure


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM: running trials have saved themselves."""

    def __init__(self, finished: int, trials: int, error: str = "") -> None:
        super().__init__()
        self.finished, self.trials = finished, trials
        self.error = error  # why one of them could not save its state


def run(recipe: Recipe, options: Options, say: Say = print) -> Report:
    """Run what is not finished and write the results; DgmError when nothing could be.

    Interrupted (a KeyboardInterrupt) when stopped: finished trials stay and running ones are saved.
    """
    machine.check_device(options.device)
    planned = plan(recipe, options)
    pending = measured = _decide(recipe, planned, options)
    if options.publish:
        pending = to_publish(recipe, planned, options)
        store = Store(results_folder(recipe, options.out), extend=True)
        measured = publish.unpublished(recipe, planned, store)
    missing = _get_data(recipe, measured, say)
    # Nothing is given up by --fresh that cannot be run anew.
    given_up = options.fresh and (results_folder(recipe, options.out) / "run.json").exists()
    if missing and (options.extend or given_up or not options.fallback):
        raise MissingData(next(iter(missing.values())))
    report = Report(results_folder(recipe, options.out), not_run=missing)
    used = names_of_data(recipe.uses) if recipe.uses else []
    without = {
        p.key for p in pending if {p.spec.data, *(used if p.uses_model else [])} & missing.keys()
    }
    if without and len(without) == len(planned):
        reason = next(iter(missing.values()))
        recipe = _embedded(recipe, reason, options, say)
        # --fresh was meant for the preset that was asked for.
        options = replace(options, fresh=False)
        planned, without = plan(recipe, options), set()
        report = Report(results_folder(recipe, options.out), fell_back=reason)
    for reason in report.not_run.values():
        say(f"NOTE: not run: {reason}")
    with lock(report.folder):
        report.unfinished = [p.label for p in planned if p.key in without]
        _run(recipe, [p for p in planned if p.key not in without], options, report, say)
    return report


def _embedded(recipe: Recipe, reason: str, options: Options, say: Say) -> Recipe:
    """The embedded preset, whose data ship or are generated."""
    say(f"NOTE: {reason}")
    say("NOTE: running the embedded preset instead; its numbers are not the paper's")
    try:
        embedded = load(recipe.path, "embedded", options.overrides, options.seeds)
    except BadInput as error:
        raise BadInput(f"{reason}; nor can the embedded preset run in its place: {error}") from None
    if _get_data(embedded, plan(embedded, options), say):
        raise MissingData(f"{reason}; with these overrides the embedded preset needs it too")
    return embedded


def _run(
    recipe: Recipe, planned: list[Planned], options: Options, report: Report, say: Say
) -> None:
    """Run the pending ones of the planned trials, and write the results of all."""
    pending = _decide(recipe, planned, options)
    if options.publish:
        pending = to_publish(recipe, planned, options)
    store = Store(report.folder, options.extend)
    done = [p for p in planned if not options.fresh and store.state(p).name in DONE]
    report.reused = len(done)
    held = [p for p in planned if store.state(p).name == "held"] if not options.fresh else []
    for p in held:  # what is lacking there shows before hours of training
        store.read(p, [])
    if held:
        say(f"{counted(len(held), 'trial')} taken from the results")
    if report.reused:
        say(f"{report.reused} of {len(planned)} trials are finished already")
    if options.train:
        pending, lacking = with_models(recipe, pending, options)
        if lacking and (options.fresh or not (pending or done)):
            raise BadInput(lacking)  # nothing is given up that cannot be run anew
        if lacking:
            say(f"NOTE: not run: {lacking}")
        say(outlook(recipe, pending, len(planned), options))
    if options.train and options.fresh:
        results.forget_trials(report.folder)
        for p in pending:
            folder.discard(p.directory)
    if options.train and pending:
        start = {p.spec.seed for p in pending if p.uses_model}
        if recipe.uses and start and not _from_published(recipe, options):
            failed = _run_used(recipe.uses, start, options, report, say)
            keys = {p.key for p in planned}
            # The models exist now, so that their hashes are known.
            planned = [p for p in plan(recipe, options) if p.key in keys]
            pending = _decide(recipe, planned, replace(options, fresh=False))
            pending = [p for p in pending if not (p.uses_model and p.spec.seed in failed)]
        _run_trials(pending, len(planned), options, report)
    if options.publish:
        for p in publish.unpublished(recipe, planned, store):
            if p.has_models:
                say(f"publishing {p.label}")
                for line in publish.publish(p, report.folder, options):
                    say(f"  {line}")
    done = [p for p in planned if store.state(p).name in DONE]
    keys = {p.key for p in done}
    report.unfinished += [p.label for p in planned if p.key not in keys]
    if not options.fresh:
        report.kept = _lost(report.folder, done)
    if done and not report.kept:
        _write_results(recipe, done, store, options, report)
    elif not (report.errors or report.kept):
        raise DgmError(f"{report.folder}: no trial is finished")


def outlook(recipe: Recipe, pending: list[Planned], trials: int, options: Options) -> str:
    """How many trials are to run and for how long; where that is hours, what shows it sooner."""
    roots = [options.out, beside(recipe.path)]
    if not pending:
        return "nothing to run"
    text = f"to run: {len(pending)} of {counted(trials, 'trial')}"
    try:
        found = estimate(recipe, roots, [p.spec for p in pending])
    except DgmError:  # results that cannot be read tell no time, and stop no run
        return text
    text += f", {found.text(options.jobs)}"
    if recipe.preset == "paper" and found.seconds / options.jobs > LONG:
        took = duration_text(roots, recipe.name, "quick")
        text += f"; sooner: dgm run {recipe.name} --preset quick" + (f" ({took})" if took else "")
    return text


# --- deciding --------------------------------------------------------------------------------


def _decide(recipe: Recipe, planned: list[Planned], options: Options) -> list[Planned]:
    """The trials that have to run.

    BadInput if the run would replace results or trials' folders that it cannot reuse.
    """
    if options.fresh:
        return planned
    target = results_folder(recipe, options.out)
    if results.are_unlisted(target):
        raise BadInput(f"{target}: holds results, and no run.json says of what; {REPLACE}")
    store = Store(target, options.extend)
    pending = [p for p in planned if store.state(p).name not in DONE]
    lost = _lost(target, planned)
    if lost:
        raise BadInput(f"{lost}; run them too (--extend keeps them as they are), {REPLACE}")
    if options.train:
        _refuse_stale(target, pending)
    return pending


def to_publish(recipe: Recipe, planned: list[Planned], options: Options) -> list[Planned]:
    """The trials that have to run so that their models can be published."""
    target = results_folder(recipe, options.out)
    unpublished = publish.unpublished(recipe, planned, Store(target, extend=True))
    pending = [p for p in unpublished if not p.has_models]
    _refuse_stale(target, pending)
    return pending


def _from_published(recipe: Recipe, options: Options) -> bool:
    """Whether the recipe's trials start from published models alone."""
    return recipe.preset in PUBLISHED and not options.train_used


def with_models(
    recipe: Recipe, pending: list[Planned], options: Options
) -> tuple[list[Planned], str]:
    """The trials that can run, and why others cannot: their models to start from are not there."""
    if not recipe.uses or not _from_published(recipe, options):
        return pending, ""
    lacking = [p for p in pending if p.uses_model and p.start is None]
    if not lacking:
        return pending, ""
    which = results.named((p.label for p in lacking), len(lacking))
    return [p for p in pending if p not in lacking], (
        f"{which}: no model of {recipe.uses.name} with this seed is published; "
        f"--train-used trains it first"
    )


def _lost(target: Path, planned: list[Planned]) -> str:
    """The trials that these results hold and this run would drop, in words; "" if none."""
    held, keys = Held(target).trials, {p.key for p in planned}
    lost = [about for key, about in held.items() if key not in keys]
    if not lost:
        return ""
    more = named((about["label"] for about in lost), len(lost))
    return f"{target}: holds {more} that this run would drop"


def _refuse_stale(target: Path, pending: list[Planned], remedy: str = REPLACE) -> None:
    states = [(p, p.state()) for p in pending]
    stale = [(p, found) for p, found in states if found.name in ("stale", "unreadable")]
    if stale:
        p, found = stale[0]
        raise BadInput(
            f"{target}: holds {counted(len(stale), 'trial')} that cannot go on or be used "
            f"({p.label}: {found.why}); {remedy}"
        )


def _get_data(recipe: Recipe, pending: list[Planned], say: Say) -> dict[str, str]:
    """Load or download the data that the pending trials need; why others cannot be had."""
    names = [p.spec.data for p in pending]
    if recipe.uses and any(p.uses_model for p in pending):
        names += names_of_data(recipe.uses)
    missing = {}
    for name in dict.fromkeys(names):
        try:
            try:
                data.load(name)
            except MissingData:
                data.fetch(name)
            skipped = getattr(data.load(name), "skipped", ())
            if skipped:
                say(f"NOTE: {name}: skipped {counted(len(skipped), 'file')}: {'; '.join(skipped)}")
        except BadInput:  # it is here, but not as it should be: that is for the user to decide
            raise
        except DgmError as error:
            missing[name] = str(error)
    return missing


# --- running ---------------------------------------------------------------------------------


def _run_used(
    used: Recipe, seeds: set[int], options: Options, report: Report, say: Say
) -> set[int]:
    """Train the models of these seeds that are not there yet; the seeds whose models failed."""
    place = results_folder(used, options.out)
    failed: set[int] = set()
    with lock(place):
        wanted = [p for p in plan(used, options) if p.spec.seed in seeds and not p.has_models]
        if wanted and used.uses:
            failed = _run_used(used.uses, {p.spec.seed for p in wanted}, options, report, say)
            keys = {p.key for p in wanted if p.spec.seed not in failed}
            wanted = [p for p in plan(used, options) if p.key in keys]
        _refuse_stale(place, wanted, "remove their folders, or give another --out DIR")
        if wanted:
            many = counted(len(wanted), "trial")
            say(f"first {many} of {used.name}, which this recipe starts from")
        its = Report(place)
        _run_trials(wanted, len(wanted), options, its)
    for mine, theirs in ((report.errors, its.errors), (report.details, its.details)):
        mine |= {f"{used.name} {label}": text for label, text in theirs.items()}
    return failed | {p.spec.seed for p in wanted if p.label in its.errors}


def _run_trials(pending: list[Planned], trials: int, options: Options, report: Report) -> None:
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
        with contextlib.closing(endings):  # stop the workers before the lock is released
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
    names = results.axes_of(done, list(experiments.report(recipe.experiment).AXES))
    trials = [store.read(p, names) for p in done]
    gathered = results.gather(trials)
    target = report.folder
    run = {
        **recipe.resolved,
        "overrides": list(options.overrides),
        "command": options.command,
        "commit": machine.commit(),
    }
    written = results.write(target, run, recipe.expect, gathered)
    results.remove_earlier(target, written.files)
    report.figures, report.undrawn, report.written = written.figures, written.undrawn, True
    size = sum((target / name).stat().st_size for name in written.files)
    about = {
        **run,
        "versions": machine.versions(),
        "device": machine.device_name(options.device),
        "jobs": options.jobs,
        "threads": options.threads,
        "disk_mb": round(size / 2**20, 1),
        "fell_back": report.fell_back,
        "not_run": report.not_run,
        "failed": report.errors,
        "unfinished": report.unfinished,
        "files": results.hashes(target, written.files),
        "trials": [found.about for found in trials],
    }
    atomic_write(target / "run.json", json.dumps(about, indent=1) + "\n")
