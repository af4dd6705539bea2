"""The command line. Heavy packages are imported inside commands: `dgm --help` is instant."""

import os
import shlex
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
from click.exceptions import Exit
from click.shell_completion import shell_complete

from dgm import console
from dgm.errors import BadInput, DgmError, MissingData
from dgm.shipped import beside
from dgm.text import counted, did_you_mean
from dgm.trial import machine

if TYPE_CHECKING:
    import pandas as pd

    from dgm.engine.plan import Options
    from dgm.recipe.load import Header, Recipe

# dgm.recipe.schema's, whose import takes a while
PRESETS = ("paper", "quick", "embedded", "scale", "search")
MOST = 256  # trials at once


def _complete_recipe(context: Any, parameter: Any, incomplete: str) -> list[str]:
    from dgm.recipe.load import all_recipes

    return [path.stem for path in all_recipes() if path.stem.startswith(incomplete)]


def _complete_data(context: Any, parameter: Any, incomplete: str) -> list[str]:
    from dgm.data import names

    return [name for name in names() if name.startswith(incomplete)]


recipe_argument = click.argument("recipe", metavar="RECIPE", shell_complete=_complete_recipe)
recipes_argument = click.argument(
    "names", metavar="[RECIPE]...", nargs=-1, shell_complete=_complete_recipe
)
preset_option = click.option(
    "--preset",
    type=click.Choice(PRESETS),
    default="paper",
    show_default=True,
    help="Which of the recipe's sizes.",
)
threads_option = click.option(
    "--threads",
    type=int,
    callback=lambda context, option, threads: machine.check_threads(threads),
    default=1,
    show_default=True,
    help="Threads per trial; results depend on it in their last digits.",
)
device_option = click.option(
    "--device",
    callback=lambda context, option, name: machine.check_name(name),
    default="cpu",
    show_default=True,
    help="cpu, cuda or cuda:1.",
)
out_option = click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("results"),
    show_default=True,
    help="Folder for results.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="dgm")
@click.option(
    "--debug", is_flag=True, expose_value=False, help="Show an error's traceback; works anywhere."
)
def cli() -> None:
    """Reproduce the figures and tables of a graduate lecture on deep generative models.

    \b
    Start here:
      dgm list                                      what there is
      dgm run aevb_vs_wakesleep --preset quick      a few minutes on real data
      dgm run aevb_vs_wakesleep                     the paper's settings, hours
      dgm check                                     do the numbers meet their bands?

    A RECIPE is a name from `dgm list` or the path of a .yaml file.

    \b
    Exit codes: 0 done, 1 a number missed its band (check) or differs (verify), 2 bad input,
    3 a trial or the run failed, 130 interrupted (run again to go on),
    141 done, but the reader of the output was gone (as in `dgm list | head -1`).
    """


@cli.command()
@recipe_argument
@click.argument("overrides", metavar="[KEY=VALUE]...", nargs=-1)
@preset_option
@click.option("--seeds", metavar="SEEDS", help="Instead of the recipe's: 0:5 (0 to 4), 3 or 0,2.")
@click.option(
    "--jobs",
    type=click.IntRange(1, MOST),
    default=lambda: min(machine.cores(), MOST),
    help="Trials at once, each in its own process.  [default: the cores]",
)
@threads_option
@device_option
@out_option
@click.option("--fresh", is_flag=True, help="Run finished trials again, replace earlier results.")
@click.option(
    "--extend",
    is_flag=True,
    help="Also use trials that only the results hold, and add others to them.",
)
@click.option(
    "--checkpoint-every",
    type=float,
    callback=lambda context, option, seconds: machine.check_seconds(seconds),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="How often a running trial saves its state.",
)
@click.option(
    "--publish",
    is_flag=True,
    help="Train and store the models that the recipe publishes, if they are not; as --extend.",
)
@click.option(
    "--train-used",
    is_flag=True,
    help="Where a recipe starts from models of another, also train those not published.",
)
@click.option("--no-train", is_flag=True, help="Only write the results of finished trials.")
@click.option("--no-fallback", is_flag=True, help="Missing data is an error, not a smaller run.")
@click.option("--dry-run", is_flag=True, help="Print what would run, and about how long it takes.")
def run(
    recipe: str,
    overrides: tuple[str, ...],
    preset: str,
    seeds: str | None,
    jobs: int,
    threads: int,
    device: str,
    out: Path,
    fresh: bool,
    extend: bool,
    checkpoint_every: float,
    publish: bool,
    train_used: bool,
    no_train: bool,
    no_fallback: bool,
    dry_run: bool,
) -> None:
    """Run a recipe and write its results.

    Finished trials are used again and interrupted ones go on where they were.  Where none of the
    data can be had, the embedded preset is run instead, and says so.

    \b
    Examples:
      dgm run aevb_vs_wakesleep --preset quick --jobs 2
      dgm run recipes/aevb_vs_wakesleep.yaml latent_dim=5 'grid.method=[aevb]' --out mine
      dgm run latent_manifold --seeds 0:3 --extend     more seeds beside the results that are there
    """
    from dgm.engine.load import load
    from dgm.recipe.load import parse_seeds

    if fresh and (extend or publish):
        raise click.UsageError(
            "--fresh runs every trial anew, --extend and --publish keep those that are there: "
            "one or the other"
        )
    chosen = parse_seeds(seeds) if seeds is not None else None
    loaded = load(recipe, preset, overrides, chosen)
    from dgm.engine.plan import Options

    options = Options(
        out=out,
        jobs=jobs,
        threads=threads,
        device=device,
        checkpoint_every=checkpoint_every,
        fresh=fresh,
        extend=extend or publish,
        publish=publish,
        train_used=train_used,
        train=not no_train,
        fallback=not no_fallback,
        overrides=overrides,
        seeds=chosen,
        command=_again(but=()),
    )
    if dry_run:
        _dry_run(loaded, options)
        return
    from dgm.engine import run as runner

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # saves as Ctrl-C does
    try:
        report = runner.run(loaded, options, say=lambda text: click.echo(text, err=True))
    except runner.Interrupted as stop:
        running = f"one that ran: {stop.error}" if stop.error else "the running ones are saved"
        click.echo(
            f"interrupted; {stop.finished} of {stop.trials} trials are finished, "
            f"{running}; go on with:\n  {_again()}",
            err=True,
        )
        raise
    _print_report(report, loaded)
    if report.errors or report.kept or report.undrawn:
        refused = report.refused == report.errors.keys() and not (report.kept or report.undrawn)
        raise Exit(BadInput.exit_code if refused else DgmError.exit_code)


def _again(but: tuple[str, ...] = ("--fresh",)) -> str:
    """This command line, without what would undo the work when it is given again."""
    return shlex.join(["dgm", *(argument for argument in sys.argv[1:] if argument not in but)])


def _print_report(report: Any, recipe: "Recipe") -> None:
    from dgm.files import read_csv
    from dgm.report.summary import check_table

    for label, error in report.errors.items():
        if report.details[label] and _debug():
            click.echo(report.details[label], err=True)
        click.echo(f"error: {label}: {error}", err=True)
    if report.unfinished:
        click.echo(f"NOTE: not finished: {counted(len(report.unfinished), 'trial')}", err=True)
    _print_undrawn(report.undrawn)
    if report.kept:
        click.echo(
            f"error: {report.kept}: the results stay as they are; finish these trials, or keep "
            f"them by --extend",
            err=True,
        )
    if not report.written:
        return
    click.echo(check_table({recipe.name: read_csv(report.folder / "summary.csv")}))
    click.echo(f"results: {report.folder}")
    for name in report.figures:
        click.echo(f"figure: {report.folder / name}")
    if report.fell_back:
        click.echo(
            f"NOTE: these are the embedded preset's, not the paper's: {report.fell_back}", err=True
        )


def _print_undrawn(undrawn: dict[str, str]) -> None:
    for name, why in undrawn.items():
        click.echo(f"error: {name} could not be drawn: {why}", err=True)


def _dry_run(recipe: "Recipe", options: "Options") -> None:
    from dgm.engine import status as standing
    from dgm.engine.estimate import estimate
    from dgm.engine.plan import plan
    from dgm.engine.run import outlook, to_publish, with_models

    planned, found = plan(recipe, options), standing.of(recipe, options)
    if options.publish:
        todo = {p.label for p in to_publish(recipe, planned, options)}
    else:
        done = ("finished", "held") if options.extend else ("finished",)
        todo = {trial.label for trial in found.trials if options.fresh or trial.state not in done}
    for trial in found.trials:
        state = "to run" if trial.label in todo else trial.state
        if trial.label in todo and trial.detail:
            state += f" ({trial.detail})"
        click.echo(f"{trial.label}: {state}")
    pending, lacking = with_models(recipe, [p for p in planned if p.label in todo], options)
    if lacking:
        click.echo(f"cannot run: {lacking}")
    click.echo(outlook(recipe, pending, len(found.trials), options))
    if recipe.uses and any(p.uses_model and p.start is None for p in pending):
        before = estimate(recipe.uses, _roots(recipe.uses.path, options.out)).text(options.jobs)
        click.echo(f"first the models of {recipe.uses.name} that are not there: {before}")


def _yaml(recipe: "Recipe") -> str:
    import yaml

    return yaml.safe_dump(recipe.resolved, sort_keys=False, width=100, allow_unicode=True)


@cli.command(name="list", short_help="What there is, how well it is reproduced, and times.")
@out_option
def list_(out: Path) -> None:
    """List the recipes: what was reproduced when they were run, and how long that took.

    "7 of 9, 1 about, 1 not": of nine reported numbers and claims, seven are reproduced (measured
    alike or better, or they hold), one is about right, and one is not reproduced.  Times are of one
    trial after another; "> 2 h" is that of those that a CPU ran, where not all did or not all were
    run.  `dgm check` has the numbers, `dgm show RECIPE` says more.
    """
    from dgm.engine.estimate import duration_text
    from dgm.report.overview import list_table, reproduced

    rows = []
    for head in _headers():
        with _named(head.name):
            found = reproduced(_results(head, "paper", _roots(head.path, out)) / "summary.csv")
            times = [
                duration_text(_roots(head.path, out), head.name, preset)
                for preset in ("paper", "quick")
            ]
            rows.append((head.name, head.title, found, *times))
    click.echo(list_table(rows))


def _headers(names: Sequence[str] = (), preset: str = "paper") -> "Iterator[Header]":
    """The recipes that are named; BadInput for one that cannot be read or lacks the preset.

    Without names, all recipes that can be read and have it.
    """
    from dgm.recipe.load import all_recipes, find, header

    for path in [find(name) for name in names] or all_recipes():
        with nullcontext() if names else _named(path.stem):
            head = header(path)
            if preset in head.presets:
                yield head
            elif names:
                raise BadInput(f"{path}: no preset {preset}{did_you_mean(preset, head.presets)}")


@contextmanager
def _named(recipe: str) -> "Iterator[None]":
    """Say which recipe cannot be read and why, and go on with the others."""
    try:
        yield
    except DgmError as error:
        click.echo(f"NOTE: {recipe} is left out: {error}", err=True)
    except Exception as error:  # whatever one recipe's files hold, the others are shown
        click.echo(f"NOTE: {recipe} is left out: {_bug(error)}", err=True)


def _roots(recipe: Path, out: Path) -> list[Path]:
    """Where a recipe's results are looked for: in OUT; by default also beside its folder."""
    source = click.get_current_context().get_parameter_source("out")
    if source is click.core.ParameterSource.COMMANDLINE:
        return [out]
    return [out, beside(recipe)]


def _results(head: "Header", preset: str, roots: Sequence[Path]) -> Path:
    """The first folder that holds results of a recipe, else where they would be written."""
    folders = [root / head.name / preset for root in roots]
    return next((folder for folder in folders if (folder / "metrics.csv").exists()), folders[0])


def _summary(head: "Header", preset: str, out: Path) -> "pd.DataFrame | None":
    """The verdicts of the bands as they stand in the recipe now; None where nothing was run."""
    from dgm.files import read_json
    from dgm.report.summary import read_metrics, summary

    folder = _results(head, preset, _roots(head.path, out))
    if not (folder / "metrics.csv").exists():
        return None
    overridden = bool(read_json(folder / "run.json").get("overrides"))
    if overridden:
        click.echo(f"NOTE: {folder}: was run with overrides, so its bands do not apply", err=True)
    return summary(read_metrics(folder / "metrics.csv"), head.expect, preset, overridden)


@cli.command(short_help="A recipe: its trials, settings and expected numbers.")
@recipe_argument
@click.argument("overrides", metavar="[KEY=VALUE]...", nargs=-1)
@preset_option
@out_option
@click.option("--yaml", "as_yaml", is_flag=True, help="As it resolves, every setting spelled out.")
def show(recipe: str, overrides: tuple[str, ...], preset: str, out: Path, as_yaml: bool) -> None:
    """Show what a recipe runs, what its settings mean, and the numbers that are expected of it.

    Settings and axes may be set as in `dgm run`.
    """
    from dgm.engine.estimate import duration_text
    from dgm.engine.load import load, settings
    from dgm.report.overview import page

    (head,) = _headers([recipe], preset)
    loaded = load(head.path, preset, overrides)
    if as_yaml:
        click.echo(_yaml(loaded))
        return
    times = {each: duration_text(_roots(head.path, out), head.name, each) for each in head.presets}
    frame = _summary(head, preset, out)
    click.echo(page(loaded, settings(loaded.experiment), times, frame))


@cli.command(short_help="Are reported numbers reproduced, and bands met?")
@recipes_argument
@preset_option
@click.option("--all", "every", is_flag=True, help="Also list metrics that are not judged.")
@out_option
def check(names: tuple[str, ...], preset: str, every: bool, out: Path) -> None:
    """Compare results with what was reported, and with the recipes' bands; exit with 1 when a band
    is missed.

    Of each number: the measured mean ± its 95 % half-width, the seeds, the reported value and
    whether it is reproduced, our own band and whether it is met.
    Reads RECIPE/PRESET/metrics.csv in OUT, by default also in the results that come with dgm.
    Without RECIPE, of all recipes that have the preset and were run.
    """
    from dgm.report.summary import check_table

    frames = {}
    for head in _headers(names, preset):
        frame = _summary(head, preset, out)
        if frame is not None:
            frames[head.name] = frame
        elif names:
            raise BadInput(f"{out / head.name / preset}: no results; `dgm run` makes them")
        else:
            click.echo(f"NOTE: {head.name}: preset {preset} was not run yet", err=True)
    if not frames:
        raise BadInput(f"{out}: no results of preset {preset}; `dgm run` makes them")
    click.echo(check_table(frames, every))
    if any(frame["verdict"].isin(["fail", "missing"]).any() for frame in frames.values()):
        raise Exit(1)


@cli.command(short_help="Measure the committed numbers again, from published models.")
@recipes_argument
@click.option("--full", is_flag=True, help="Repeat whole measurements, however long they take.")
@click.option("--require-data", is_flag=True, help="Missing data is an error for any recipe.")
@out_option
@click.option(
    "--threads",
    type=int,
    callback=lambda context, option, threads: machine.check_threads(threads),
    default=machine.cores,
    help="[default: the cores]",
)
@click.option("--verbose", "-v", is_flag=True, help="Also list numbers that agree.")
def verify(
    names: tuple[str, ...],
    full: bool,
    require_data: bool,
    out: Path,
    threads: int,
    verbose: bool,
) -> None:
    """Measure reported numbers again on real data, and exit with 1 where one differs.

    Of each trial with a published model, and of those that need none, numbers are compared with
    those measured now; -v prints both, and by how much they may differ.  Reads the paper preset in
    OUT, by default also in the results that come with dgm.  Without RECIPE, recipes whose data are
    not here are left out.  Ctrl-C ends it with what was compared until then.
    """
    from tqdm import tqdm

    from dgm.engine import verify as verification
    from dgm.engine.load import load
    from dgm.engine.plan import Options

    options = Options(threads=threads)
    steps = numbers = 0
    missing: dict[str, str] = {}
    differ = False
    signal.signal(signal.SIGTERM, signal.default_int_handler)

    def verdict() -> str:
        agree = "some differ" if differ else "all agree"
        left_out = f"; NOT VERIFIED: {', '.join(missing)}" if missing else ""
        return f"{counted(numbers, 'number')} compared: {agree}{left_out}"

    for head in _headers(names):
        target = _results(head, "paper", _roots(head.path, out))
        if not (target / "metrics.csv").exists():
            if names:
                raise BadInput(f"{target}: no results; `dgm run` makes them")
            continue
        click.echo(head.name)
        skipped = 0
        try:
            for found in verification.verify(load(head.path), target, options, full):
                steps += 1
                skipped += found.skipped
                differ |= not found.agrees
                numbers += len(found.compared)
                if not found.skipped:
                    with tqdm.external_write_mode():  # above the bars
                        click.echo(found.text(verbose))
        except KeyboardInterrupt:
            click.echo(f"interrupted in {head.name}; {verdict()}")
            raise
        except (MissingData, BadInput) as error:
            if names or require_data:
                raise BadInput(str(error)) from error
            missing[head.name] = str(error)
            click.echo(f"  NOT VERIFIED: {error}")
        except DgmError as error:
            differ = True
            click.echo(f"  DIFFERS: {error}")
        if skipped:
            click.echo(f"  not measured again: {counted(skipped, 'trial')} without a model")
    if not steps and not differ:
        reason = next(iter(missing.values()), f"{out}: no results of preset paper")
        raise BadInput(reason)
    click.echo(verdict())
    if differ:
        raise Exit(1)


@cli.command(name="models", short_help="Published models, to load or to start from.")
@recipes_argument
@out_option
def models_(names: tuple[str, ...], out: Path) -> None:
    """List the published models: `dgm.load("RECIPE", axis=value)` gives one in Python."""
    from dgm.engine.published import Published
    from dgm.text import columns

    rows = [("recipe", "model", "MB", "SHA-256")]
    for head in _headers(names):
        with nullcontext() if names else _named(head.name):
            published = Published(_results(head, "paper", _roots(head.path, out)))
            for key, entry in published.trials.items():
                (digest, *_) = entry["files"].values()
                size = "not here"
                if published.are_here(key):
                    bytes_ = sum(path.stat().st_size for path in published.files(key))
                    size = f"{bytes_ / 1e6:.2f}"
                rows.append((head.name, entry["label"], size, digest[:12]))
    if len(rows) == 1:
        raise BadInput(f"{', '.join(names) or out}: no published models")
    click.echo("\n".join(columns(rows)))


@cli.command(short_help="Which trials are finished, and why not.")
@recipes_argument
@preset_option
@out_option
@threads_option
@device_option
@click.option("--verbose", "-v", is_flag=True, help="Also list the trials.")
def status(
    names: tuple[str, ...], preset: str, out: Path, threads: int, device: str, verbose: bool
) -> None:
    """Show how many trials of each recipe are finished, running, failed, or stale and why."""
    from dgm.engine import status as standing
    from dgm.engine.load import load
    from dgm.engine.plan import Options

    options = Options(out=out, threads=threads, device=device)
    for head in _headers(names, preset):
        with nullcontext() if names else _named(head.name):
            found = standing.of(load(head.path, preset), options)
            click.echo(f"{head.name} {preset}: {found.text}")
            for trial in found.trials if verbose else ():
                detail = f": {trial.detail}" if trial.detail else ""
                click.echo(f"  {trial.label}: {trial.state}{detail}")


@cli.command(short_help="Draw the figures again from the tables.")
@recipe_argument
@preset_option
@out_option
def plot(recipe: str, preset: str, out: Path) -> None:
    """Draw a recipe's figures again from its saved tables, without training.

    Where OUT holds no results of it, those that come with dgm are drawn there.
    """
    from dgm.engine import results

    (head,) = _headers([recipe], preset)
    source = _results(head, preset, [out, beside(head.path)])
    folder = out / head.name / preset
    run = results.manifest(source)
    run |= {"recipe": head.name, "experiment": head.experiment, "preset": preset}
    drawn = results.draw(folder, run, head.expect, results.saved(source))
    for name in drawn.figures:
        click.echo(f"{folder / name}")
    _print_undrawn(drawn.undrawn)
    if drawn.undrawn:
        raise Exit(3)


@cli.command(short_help="Compare results folders.")
@click.argument(
    "folders",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
)
@click.option("--markdown", is_flag=True, help="As a table for a pull request.")
def diff(folders: tuple[Path, ...], markdown: bool) -> None:
    """Compare the metrics of results folders, e.g. results/R/paper and mine/R/paper.

    The difference is that to the first folder; of several folders the largest.
    """
    from dgm.report.diff import diff as differences

    if len(folders) < 2:
        raise click.UsageError("give two folders or more")
    click.echo(differences(folders, markdown))


@cli.group()
def data() -> None:
    """List, fetch and verify the data sets.

    They are looked for in $DGM_DATA, then in the cache (~/.cache/dgm), one folder a set.
    """


names_argument = click.argument(
    "names", metavar="[NAME]...", nargs=-1, shell_complete=_complete_data
)


@data.command(name="list")
@names_argument
def data_list(names: tuple[str, ...]) -> None:
    """Show where each data set lies, or what of it is missing."""
    from dgm import data as sets
    from dgm.data import files

    for name in names or sets.names():
        first = next(iter(sets.files_of(name)), None)
        path = first and files.find(name, first)
        click.echo(sets.missing(name) or f"{name}: {path.parent if path else 'needs no files'}")


@data.command(name="fetch")
@click.argument("names", metavar="NAME...", nargs=-1, required=True, shell_complete=_complete_data)
def data_fetch(names: tuple[str, ...]) -> None:
    """Download data sets into the cache; every file is checked against its SHA-256."""
    from dgm import data as sets

    for name in names:
        paths = sets.fetch(name)
        sets.load(name)
        click.echo("\n".join(paths) or f"{name}: is here already, and whole")


@data.command(name="verify")
@names_argument
def data_verify(names: tuple[str, ...]) -> None:
    """Read data sets whole and compare each file with its SHA-256; all that are here by default."""
    from dgm import data as sets

    for name in names or sets.names():
        if not names and sets.missing(name):
            click.echo(f"{name}: not here")
            continue
        known = all(file.hashes for file in sets.files_of(name))
        click.echo(f"{name}: {'whole' if known else 'read'}: {sets.load(name).sizes}")


def _debug() -> bool:
    return "--debug" in sys.argv[1:]


def main() -> NoReturn:
    """Run the command line; every error is one line and an exit code, unless --debug."""
    os.environ["MPLBACKEND"] = "agg"  # a notebook's may not be installed here
    with console.streams() as streams:
        code = _exit_code()
    sys.exit(console.exit_code(code, streams))


def _exit_code() -> int:
    """Run the command that sys.argv asks for."""
    asked = os.environ.get("_DGM_COMPLETE")
    if asked:
        return shell_complete(cli, {}, "dgm", "_DGM_COMPLETE", asked)
    try:
        arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
        with cli.make_context("dgm", arguments) as context:  # cli() has exit codes of its own
            cli.invoke(context)
        return 0
    except Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        error.show()
        return 2
    except (KeyboardInterrupt, click.Abort):
        return 130
    except DgmError as error:
        return _failed(str(error), error.exit_code)
    except OSError as error:
        return _failed(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except Exception as error:
        return _failed(_bug(error))


def _bug(error: Exception) -> str:
    message = " ".join(f"{type(error).__name__}: {error}".split())
    return f"{message} (a bug of dgm's; --debug shows where)"


def _failed(message: str, code: int = 3) -> int:
    if _debug():
        traceback.print_exc()
    click.echo(f"error: {message}", err=True)
    return code
