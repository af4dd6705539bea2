"""The command line. Heavy packages are imported inside commands: `dgm --help` is instant."""

import os
import shlex
import signal
import sys
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from dgm.errors import DgmError
from dgm.trial import machine

if TYPE_CHECKING:
    import pandas as pd

    from dgm.recipe.load import Recipe

PRESETS = (
    "paper",
    "quick",
    "embedded",
    "scale",
    "search",
)  # dgm.recipe.schema's, whose import takes a while
BESIDE = Path(__file__).resolve().parents[2] / "results"  # the repository's


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
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Threads a trial; results depend on it in their last digits.",
)
out_option = click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("results"),
    show_default=True,
    help="The folder that stands for results/.",
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
      dgm list                                      what there is, with measured numbers
      dgm run aevb_vs_wakesleep --preset quick      a few minutes on real data
      dgm run aevb_vs_wakesleep                     the paper's settings, hours
      dgm check                                     do the numbers meet their bands?

    A RECIPE is a name from `dgm list` or the path of a .yaml file.

    \b
    Exit codes: 0 done, 1 a number missed its band (check alone), 2 bad input,
    3 a trial or the run failed, 130 interrupted (run again to go on).
    """


@cli.command()
@recipe_argument
@click.argument("overrides", metavar="[KEY=VALUE]...", nargs=-1)
@preset_option
@click.option("--seeds", metavar="SEEDS", help="Instead of the recipe's: 0:5 (0 to 4), 3 or 0,2.")
@click.option(
    "--jobs",
    type=click.IntRange(1),
    default=machine.cores,
    help="Trials at once, a process each.  [default: the cores]",
)
@threads_option
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda or cuda:1.")
@out_option
@click.option("--fresh", is_flag=True, help="Run finished trials again, replace earlier results.")
@click.option(
    "--extend",
    is_flag=True,
    help="Keep trials that the results hold, or another machine's in their place; add others.",
)
@click.option(
    "--checkpoint-every",
    type=click.FloatRange(0),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="How often a running trial saves its state.",
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

    if fresh and extend:
        raise click.UsageError(
            "--fresh runs all trials anew, --extend none that is there: one or the other"
        )
    chosen = parse_seeds(seeds) if seeds is not None else None
    loaded = load(recipe, preset, overrides, chosen)
    if dry_run:
        _dry_run(loaded, out, jobs)
        return
    from dgm.engine import run as runner

    options = runner.Options(
        out=out,
        jobs=jobs,
        threads=threads,
        device=device,
        checkpoint_every=checkpoint_every,
        fresh=fresh,
        extend=extend,
        train=not no_train,
        fallback=not no_fallback,
        overrides=overrides,
        seeds=chosen,
        command=_again(but=()),
    )
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
    if report.errors or report.kept:
        sys.exit(3)


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
        click.echo(f"NOTE: {len(report.unfinished)} trials are not finished", err=True)
    if report.kept:
        click.echo(
            f"error: {report.folder}: its results stay as they are, for they hold trials that are "
            f"not finished here ({report.kept[0]}{', ...' if len(report.kept) > 1 else ''}); "
            f"finish these, or keep them by --extend",
            err=True,
        )
    if not report.figures:
        return
    click.echo(check_table({recipe.name: read_csv(report.folder / "summary.csv")}))
    click.echo(f"results: {report.folder}")
    for name in report.figures:
        click.echo(f"figure: {report.folder / name}")
    if report.fell_back:
        click.echo(
            f"NOTE: these are the embedded preset's, not the paper's: {report.fell_back}", err=True
        )


def _dry_run(recipe: "Recipe", out: Path, jobs: int) -> None:
    import yaml

    from dgm.engine.estimate import estimate

    click.echo(yaml.safe_dump(recipe.resolved, sort_keys=False, width=100, allow_unicode=True))
    click.echo(f"# {len(recipe.trials)} trials:")
    for spec in recipe.trials:
        click.echo(f"#   {spec.label}")
    roots = [out, BESIDE]
    click.echo(f"# {estimate(recipe, roots).text(jobs)}")
    if recipe.uses:
        said = estimate(recipe.uses, roots).text(jobs)
        click.echo(f"# before that, where they are not there, {recipe.uses.name}'s: {said}")


@cli.command(name="list", short_help="What there is, with its numbers and times.")
@out_option
def list_(out: Path) -> None:
    """Say what each recipe reproduces, what was reported and measured, and how long it takes."""
    from dgm.engine.estimate import earlier_run, timed
    from dgm.recipe.load import all_recipes, header
    from dgm.report.summary import band_text, measured_text
    from dgm.text import duration, number

    for path in all_recipes():
        head = header(path)
        click.echo(f"{head.name}\n  {head.title}\n  {head.source}")
        frame = _summary(path, "paper", _roots(out))
        if frame is None:
            click.echo("  not run yet")
        else:
            for row in frame.to_dict("records"):
                band, reported = band_text(row), number(row["reported"])
                if band or reported:
                    said = f"reported {reported}, " if reported else ""
                    said += f"measured {measured_text(row)}" if row["n"] else "not measured"
                    said += f", band {band}: {row['verdict']}" if band else ""
                    click.echo(f"  {row['metric']}: {said}")
        times = []
        for preset in head.presets:
            found = earlier_run(_roots(out), head.name, preset)
            trials = timed(found)
            if trials:
                each = [trial["seconds"] for trial in trials]
                seconds = max(sum(each) / found["jobs"], *each)
                of = len(found["trials"]) + len(found.get("unfinished", []))
                part = f" for {len(trials)} of {of} trials" if len(trials) < of else ""
                times.append(f"{preset} {duration(seconds)}{part}")
        click.echo(f"  time: {', '.join(times) or 'not measured'}\n")


def _roots(out: Path) -> list[Path]:
    """Where results are looked up: in --out if it was given, else also in the repository."""
    source = click.get_current_context().get_parameter_source("out")
    given = source is click.core.ParameterSource.COMMANDLINE
    return [out] if given else [out, BESIDE]


def _summary(path: Path, preset: str, roots: Sequence[Path]) -> "pd.DataFrame | None":
    """The verdicts of the bands as they stand in the recipe now; None where nothing was run."""
    from dgm.recipe.load import header
    from dgm.report.summary import read_metrics, summary

    for root in roots:
        metrics = root / path.stem / preset / "metrics.csv"
        if metrics.exists():
            return summary(read_metrics(metrics), header(path).expect, preset)
    return None


@cli.command(short_help="A recipe with all its settings.")
@recipe_argument
@preset_option
def show(recipe: str, preset: str) -> None:
    """Print a recipe as it resolves: settings with their meaning, grid, expected numbers."""
    import yaml

    from dgm.engine.load import load, settings
    from dgm.recipe.union import fields

    loaded = load(recipe, preset)
    click.echo(yaml.safe_dump(loaded.resolved, sort_keys=False, width=100, allow_unicode=True))
    click.echo(f"# {len(loaded.trials)} trials. What the settings mean:")
    for name, info in fields(settings(loaded.experiment)).items():
        click.echo(f"#   {name}: {info.description or name.replace('_', ' ')}")


@cli.command(short_help="Do the numbers meet their bands?")
@recipes_argument
@preset_option
@click.option("--all", "every", is_flag=True, help="Also list metrics that have no band.")
@out_option
def check(names: tuple[str, ...], preset: str, every: bool, out: Path) -> None:
    """Compare results with the recipes' bands; exit with 1 when one is missed.

    Reads OUT/RECIPE/PRESET/metrics.csv; without RECIPE, of all that were run.
    """
    from dgm.errors import BadInput
    from dgm.recipe.load import all_recipes, find
    from dgm.report.summary import check_table

    frames = {}
    for path in [find(name) for name in names] or all_recipes():
        frame = _summary(path, preset, [out])
        if frame is not None:
            frames[path.stem] = frame
        elif names:
            raise BadInput(f"{out / path.stem / preset}: no results; `dgm run` makes them")
        else:
            click.echo(f"{path.stem}: preset {preset} was not run yet")
    if frames:
        click.echo(check_table(frames, every))
    if any(frame["verdict"].isin(["fail", "missing"]).any() for frame in frames.values()):
        sys.exit(1)


@cli.command(short_help="Which trials are finished, and why not.")
@recipes_argument
@preset_option
@out_option
@threads_option
@click.option("--device", default="cpu", show_default=True, help="As given to `dgm run`.")
def status(names: tuple[str, ...], preset: str, out: Path, threads: int, device: str) -> None:
    """Say of each trial whether it is finished, running, failed, or stale and why."""
    from dgm.engine import results as gather
    from dgm.engine import run as runner
    from dgm.engine.load import load
    from dgm.recipe.load import all_recipes, find
    from dgm.trial import folder as store

    options = runner.Options(out=out, threads=threads, device=device)
    for path in [find(name) for name in names] or all_recipes():
        recipe = load(path, preset)
        missing = runner.get_data(runner.names_of_data(recipe), download=False)
        for reason in missing.values():
            click.echo(f"{recipe.name}: {reason}")
        if missing:
            continue
        folder = runner.folder(recipe, out)
        running = runner.is_locked(folder)
        extended = runner.plan(recipe, replace(options, extend=True))
        held = {p.spec.label for p in extended if gather.is_held(p, folder)}
        for planned in runner.plan(recipe, options):
            about = store.about(planned.directory)
            changes = store.changes(planned.directory, planned.identity)
            if not about:
                kept = planned.spec.label in held
                said = "in the results, which --extend keeps" if kept else "not started"
            elif changes:
                said = f"stale: {'; '.join(changes)}"
            elif about["state"] == "finished":
                said = f"finished in {about['seconds']:.0f} s on {about['device']}"
            elif about["state"] == "failed":
                said = f"failed: {about['error']}"
            else:
                said = "running, or waiting to go on" if running else "started, not finished"
            click.echo(f"{recipe.name} {planned.spec.label}: {said}")


@cli.command(short_help="Draw the figures again from the tables.")
@recipe_argument
@preset_option
@out_option
def plot(recipe: str, preset: str, out: Path) -> None:
    """Draw a recipe's figures again from its saved tables, without training."""
    from dgm.engine import results as gather
    from dgm.recipe.load import find, header

    path = find(recipe)
    folder = out / path.stem / preset
    for name in gather.draw(header(path).experiment, gather.saved(folder), folder):
        click.echo(f"{folder / name}")


@cli.command(short_help="Compare two results folders.")
@click.argument("a", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("b", type=click.Path(path_type=Path, exists=True, file_okay=False))
def diff(a: Path, b: Path) -> None:
    """Compare the metrics of two results folders, e.g. results/R/paper and mine/R/paper."""
    from dgm.report import summary as results

    click.echo(results.diff(a, b))


@cli.group()
def data() -> None:
    """List, fetch and verify the data sets.

    They are looked for in $DGM_DATA, then in the cache (~/.cache/dgm), one folder a set.
    """


@data.command(name="list")
def data_list() -> None:
    """Say of each data set where it lies or what is missing."""
    from dgm import data as sets
    from dgm.data import files

    for name in sets.names():
        listed = getattr(sets.module(name), "FILES", ())
        missing = files.missing(name, listed)
        if not listed:
            said = "needs no files"
        elif missing:
            said = f"missing {', '.join(missing)}"
            if all(file.hashes for file in listed):
                said += f"; `dgm data fetch {name}`"
        else:
            said = str(files.find(name, listed[0]).parent)  # type: ignore[union-attr]
        click.echo(f"{name}: {said}")


@data.command(name="fetch")
@click.argument("name", shell_complete=_complete_data)
def data_fetch(name: str) -> None:
    """Download a data set into the cache; every file is checked against its SHA-256."""
    from dgm import data as sets

    paths = sets.fetch(name)
    sets.load(name)
    click.echo("\n".join(paths) or f"{name}: is here already, and whole")


@data.command(name="verify")
@click.argument("names", metavar="[NAME]...", nargs=-1, shell_complete=_complete_data)
def data_verify(names: tuple[str, ...]) -> None:
    """Read data sets whole and compare each file with its SHA-256; all that are here by default."""
    from dgm import data as sets
    from dgm.data import files

    for name in names or sets.names():
        listed = getattr(sets.module(name), "FILES", ())
        if not names and files.missing(name, listed):
            click.echo(f"{name}: not here")
            continue
        for file in listed:
            files.read(name, file)
        known = all(file.hashes for file in listed)
        click.echo(f"{name}: {'whole' if known else 'read'}: {sets.load(name).sizes}")


def _debug() -> bool:
    return "--debug" in sys.argv[1:]


def main() -> NoReturn:
    """Run the command line; every error is one line and an exit code, unless --debug."""
    debug = _debug()
    try:
        arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
        code = cli(arguments, prog_name="dgm", standalone_mode=False) or 0
        sys.stdout.flush()
    except click.exceptions.Exit as stop:
        code = stop.exit_code
    except click.ClickException as error:
        error.show()
        code = 2
    except (KeyboardInterrupt, click.Abort):
        code = 130
    except DgmError as error:
        if debug:
            traceback.print_exc()
        click.echo(f"error: {error}", err=True)
        code = error.exit_code
    except BrokenPipeError:  # `dgm list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except OSError as error:
        if debug:
            traceback.print_exc()
        said = f"{error.filename}: {error.strerror}" if error.filename else error
        click.echo(f"error: {said}", err=True)
        code = 3
    except Exception as error:  # a bug; the traceback is for those who can use it
        if debug:
            traceback.print_exc()
        said = " ".join(f"{type(error).__name__}: {error}".split())
        click.echo(f"error: {said} (a bug of dgm's; --debug shows where)", err=True)
        code = 3
    sys.exit(code)
