"""A recipe: what is run, and what the paper reported.

`header` reads what a list of recipes shows; `load` checks all of a recipe, every preset included.

A recipe's top level is the paper's; a preset holds what differs from it. `grid` is a mapping of
axes to values, or a list of such blocks, each with `data` and `settings` of its own where they
differ. Every cell of every block, with every seed, is a trial. With `uses` a trial starts from the
models of another recipe's trial of the same seed, in the same preset; in quick, in paper. `publish`
names cells whose models are published.
"""

import reprlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dgm import data
from dgm.errors import BadInput
from dgm.recipe import grid
from dgm.recipe.grid import MOST_TRIALS
from dgm.recipe.grid import TrialSpec as TrialSpec
from dgm.recipe.located import Map, locate, merge, read
from dgm.recipe.overrides import override
from dgm.recipe.schema import Expectation as Expectation
from dgm.recipe.schema import RecipeFile, validate
from dgm.recipe.union import SettingsType, members
from dgm.shipped import shipped
from dgm.text import did_you_mean, unprintable

FOLDERS = (Path("recipes"), shipped("recipes"))
MOST_BYTES = 2**18  # of a recipe
SettingsOf = Callable[[str], SettingsType]


@dataclass(frozen=True)
class Header:
    """What a list of recipes shows."""

    name: str
    path: Path
    title: str
    source: str
    experiment: str
    presets: list[str]
    expect: list[Expectation]
    publish: list[dict[str, Any]]


@dataclass(frozen=True)
class Recipe:
    """A recipe with one of its presets chosen, every value in it valid."""

    name: str
    path: Path
    title: str
    source: str
    experiment: str
    preset: str
    trials: list[TrialSpec]  # all cells of the first seed first
    expect: list[Expectation]
    resolved: dict[str, Any]  # plain data: the whole of what is run, defaults included
    uses: "Recipe | None" = None  # one trial a seed, whose models these trials start from
    publish: tuple[dict[str, Any], ...] = ()  # cells whose models are published


def find(name_or_path: str | Path, beside: Path | None = None) -> Path:
    """The file that a name or a path stands for.

    A name is looked up in the folder `beside`, if given, in ./recipes and beside the package.
    """
    path = Path(name_or_path)
    if unprintable(str(path)):
        raise BadInput(f"{str(path)!r}: no such recipe")
    folders = [*([beside] if beside else []), *FOLDERS] if path.name == str(path) else []
    try:
        found = [p for p in (*(of / f"{path}.yaml" for of in folders), path) if p.is_file()]
        is_folder = path.is_dir()
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from error
    if found and found[0].stem.startswith("."):
        raise BadInput(f"{found[0]}: a recipe's name, which names its results, begins with no dot")
    if found:
        return found[0]
    if is_folder:
        raise BadInput(f"{path}: is a directory; a recipe is a .yaml file")
    hint = did_you_mean(path.stem, [known.stem for known in all_recipes()])
    raise BadInput(f"{path}: no such recipe{hint}")


def all_recipes() -> list[Path]:
    """The .yaml files in ./recipes, or where there are none, those beside the package, by name."""
    found = (sorted(folder.glob("*.yaml")) for folder in FOLDERS)
    return next(filter(None, found), [])


def header(path: str | Path) -> Header:
    """The head of a recipe, cheaply: neither torch nor the experiment is imported."""
    path = find(path)
    tree, file = _read(path)
    return Header(
        path.stem,
        path,
        file.title,
        file.source,
        file.experiment,
        _presets(tree),
        file.expect,
        file.publish,
    )


def load(
    name_or_path: str | Path,
    preset: str = "paper",
    overrides: Sequence[str] = (),
    seeds: list[int] | None = None,
    *,
    settings: SettingsOf,
) -> Recipe:
    """A recipe with a preset chosen and overrides (`recipe.overrides`) applied; else BadInput.

    `seeds` stands for the preset's own. `settings` gives the Settings of an experiment by name.
    """
    return _load(find(name_or_path), preset, overrides, seeds, settings, "command line", ())


def _load(
    path: Path,
    preset: str,
    overrides: Sequence[str],
    seeds: list[int] | None,
    settings: SettingsOf,
    origin: str,  # of the overrides
    users: tuple[Path, ...],  # recipes that use this one, directly or not
) -> Recipe:
    tree, file = _read(path)
    if preset not in _presets(tree):
        raise BadInput(f"{path}: no preset {preset}{did_you_mean(preset, _presets(tree))}")
    try:
        model = settings(file.experiment)
    except BadInput as error:
        raise BadInput(f"{locate(tree, ['experiment'], str(path))}: {error}") from error
    sets = data.names(*members(model)[0].kinds)
    for each in _presets(tree):  # all, so that none is found broken only when it is needed
        layer = _layer(tree, each)
        where = locate(layer, ["grid"], f"{path}:1")
        cells = grid.cells_of(grid.blocks_of(layer, where, sets), model, where)
        grid.trials_of(cells, layer.get("seeds", [0]), where)

    layer = _layer(tree, preset)
    blocks = grid.blocks_of(layer, origin, sets)
    for text in overrides:
        blocks = override(blocks, text, sets, preset, origin)
    cells = grid.cells_of(blocks, model, origin, overridden=True)
    grid.refuse_unused(cells, model, origin)
    seeds = list(layer.get("seeds", [0])) if seeds is None else seeds
    return Recipe(
        name=path.stem,
        path=path,
        title=file.title,
        source=file.source,
        experiment=file.experiment,
        preset=preset,
        trials=grid.trials_of(cells, seeds, origin),
        expect=file.expect,
        resolved={
            "recipe": path.stem,
            "title": file.title,
            "source": file.source,
            "experiment": file.experiment,
            "preset": preset,
            "seeds": seeds,
            "grid": grid.plain(cells),
            "expect": [
                entry.model_dump(exclude_unset=True)
                for entry in file.expect
                if entry.applies_to(preset)
            ],
            **({"uses": file.uses} if file.uses else {}),
        },
        uses=_used(tree, file, path, preset, seeds, settings, users) if file.uses else None,
        publish=tuple(file.publish),
    )


def _used(
    tree: Map,
    file: RecipeFile,
    path: Path,
    preset: str,
    seeds: list[int],
    settings: SettingsOf,
    users: tuple[Path, ...],
) -> Recipe:
    """The recipe that `uses` names, with its overrides: exactly one trial per seed."""
    name, *overrides = file.uses.split()
    origin = f"{locate(tree, ['uses'], str(path))}: uses"
    try:
        other = find(name, beside=path.parent)
    except BadInput as error:
        raise BadInput(f"{origin}: {error}") from error
    users = (*users, path.resolve())
    if other.resolve() in users:
        raise BadInput(f"{origin}: {other} starts from this recipe")
    if other.stem in (user.stem for user in users):
        raise BadInput(f"{origin}: {other} has the same name, and so the same folder of results")
    # A quick run starts from the paper's models, which are published.
    of = "paper" if preset == "quick" else preset
    try:
        used = _load(other, of, overrides, seeds, settings, origin, users)
    except BadInput as error:
        if str(error).startswith(origin):
            raise
        raise BadInput(f"{origin}: {error}") from error
    if [trial.seed for trial in used.trials] != seeds:
        raise BadInput(f"{origin}: {len(used.trials)} trials for {len(seeds)} seeds")
    return used


def parse_seeds(text: str) -> list[int]:
    """ "0:5" -> 0, 1, 2, 3, 4; "3" -> 3; "0,2" -> 0, 2."""
    try:
        parts = [part.partition(":") for part in text.split(",")]
        ends = [(int(a), int(b) if colon else int(a) + 1) for a, colon, b in parts]
    except ValueError:
        ends = []
    count = sum(max(0, end - first) for first, end in ends)
    if count > MOST_TRIALS:
        raise BadInput(f"seeds {reprlib.repr(text)}: {count:,} seeds; {MOST_TRIALS:,} are the most")
    seeds = [seed for first, end in ends for seed in range(first, end)]
    if not seeds or min(seeds) < 0 or max(seeds) >= 2**63 or len(set(seeds)) < len(seeds):
        raise BadInput(f"seeds {reprlib.repr(text)}: should read like 0:5 (0 to 4), 3 or 0,2")
    return seeds


def _read(path: Path) -> tuple[Map, RecipeFile]:
    """A recipe's tree with its origins, and the same as a checked file."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise BadInput(f"{path}: has more than {MOST_BYTES:,} bytes, too many for a recipe")
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: is not text in UTF-8") from error
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from error
    tree = read(text, str(path))
    if tree is None:
        raise BadInput(f"{path}: is empty")
    if not isinstance(tree, Map) or not tree.keys() & {"title", "source", "experiment"}:
        raise BadInput(f"{path}:1: is no recipe, a mapping with title, source, experiment, ...")
    file = validate(RecipeFile, tree, f"{path}:1")
    for i, entry in enumerate(file.expect):
        for preset in set(entry.presets or []) - set(_presets(tree)):
            where = locate(tree, ["expect", i, "presets"], str(path))
            raise BadInput(f"{where}: expect.presets: this recipe has no preset {preset}")
    return tree, file


def _presets(tree: Map) -> list[str]:
    return list(dict.fromkeys(["paper", *tree.get("presets", {})]))


def _layer(tree: Map, preset: str) -> Map:
    """The top level with what the preset says differently."""
    return merge(tree, tree.get("presets", {}).get(preset, Map()))
