"""A recipe: what is run, and what the paper reported.

`header` reads what a list of recipes shows; `load` checks all of a recipe, every preset included.

A recipe's top level is the paper's; a preset holds what differs from it. `grid` is a mapping of
axes to values, or a list of such blocks, each with `data` and `settings` of its own where they
differ. Every cell of every block, with every seed, is a trial. With `uses` a trial starts from the
models of another recipe's trial, in the same preset and of the same seed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dgm.errors import BadInput
from dgm.recipe import grid
from dgm.recipe.grid import TrialSpec as TrialSpec
from dgm.recipe.located import Map, locate, merge, read
from dgm.recipe.schema import Expectation as Expectation
from dgm.recipe.schema import RecipeFile, SettingsType, members, validate
from dgm.recipe.schema import TrialSettings as TrialSettings
from dgm.shipped import shipped
from dgm.text import did_you_mean

FOLDERS = (Path("recipes"), shipped("recipes"))


@dataclass(frozen=True)
class Header:
    """What a list of recipes shows."""

    name: str
    path: Path
    title: str
    source: str
    experiment: str
    data: list[str]  # of the paper preset
    presets: list[str]
    expect: list[Expectation]


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


def find(name_or_path: str | Path) -> Path:
    """The file that a name (in ./recipes, else beside the package) or a path stands for."""
    path = Path(name_or_path)
    candidates = [folder / f"{path}.yaml" for folder in FOLDERS if path.name == str(path)]
    found = next((c for c in [*candidates, path] if c.is_file()), None)
    if found:
        return found
    if path.is_dir():
        raise BadInput(f"{path}: is a directory; a recipe is a .yaml file")
    hint = did_you_mean(path.stem, [known.stem for known in all_recipes()])
    raise BadInput(f"{path}: no such recipe{hint}")


def all_recipes() -> list[Path]:
    """The recipes in ./recipes, or where there are none, those beside the package, by name."""
    found = (sorted(folder.glob("*.yaml")) for folder in FOLDERS)
    return next(filter(None, found), [])


def header(path: str | Path) -> Header:
    """The head of a recipe, cheaply: neither torch nor the experiment is imported."""
    path = find(path)
    tree, file = _read(path)
    data = [block.data for block in grid.blocks_of(_layer(tree, "paper"), path)]
    return Header(
        path.stem,
        path,
        file.title,
        file.source,
        file.experiment,
        list(dict.fromkeys(data)),
        _presets(tree),
        file.expect,
    )


def load(
    name_or_path: str | Path,
    preset: str = "paper",
    overrides: Sequence[str] = (),
    seeds: list[int] | None = None,
    *,
    settings: Callable[[str], SettingsType],
) -> Recipe:
    """A recipe with a preset chosen and `key=value` overrides applied; BadInput when invalid.

    `settings.key=value` or `key=value` sets a setting everywhere; `data=name` likewise;
    `grid.axis=[...]` or `axis=value` replaces an axis's values, or, in a grid of several blocks,
    keeps the cells that have one of them; `grid.data=[...]` keeps the blocks of these data sets.
    `seeds` stands for the preset's own. `settings` gives the Settings of an experiment by name.
    """
    path = find(name_or_path)
    tree, file = _read(path)
    if preset not in _presets(tree):
        raise BadInput(f"{path}: no preset {preset}{did_you_mean(preset, _presets(tree))}")
    try:
        model = settings(file.experiment)
    except BadInput as error:
        raise BadInput(f"{locate(tree, ['experiment'], str(path))}: {error}") from error
    sets = members(model)[0].sets
    for each in _presets(tree):  # all, so that none is found broken only when it is needed
        layer = _layer(tree, each)
        blocks = grid.blocks_of(layer, path, sets)
        grid.trials_of(blocks, layer.get("seeds", [0]), model, path)

    layer = _layer(tree, preset)
    blocks = grid.blocks_of(layer, path, sets)
    for text in overrides:
        blocks = grid.override(blocks, text, sets)
    if seeds is None:
        seeds = list(layer.get("seeds", [0]))
    uses = _used(tree, file, path, preset, seeds, settings) if file.uses else None
    return Recipe(
        name=path.stem,
        path=path,
        title=file.title,
        source=file.source,
        experiment=file.experiment,
        preset=preset,
        trials=grid.trials_of(blocks, seeds, model, path),
        expect=file.expect,
        resolved={
            "recipe": path.stem,
            "title": file.title,
            "source": file.source,
            "experiment": file.experiment,
            "preset": preset,
            "seeds": seeds,
            "grid": [part for block in blocks for part in grid.plain(block, model, path)],
            "expect": [
                entry.model_dump(exclude_none=True)
                for entry in file.expect
                if entry.applies_to(preset)
            ],
            **({"uses": file.uses} if file.uses else {}),
        },
        uses=uses,
    )


def _used(
    tree: Map,
    file: RecipeFile,
    path: Path,
    preset: str,
    seeds: list[int],
    settings: Callable[[str], SettingsType],
) -> Recipe:
    """What `uses` stands for: a recipe, after overrides one trial for each seed."""
    name, *overrides = file.uses.split()
    where = locate(tree, ["uses"], str(path))
    if name == path.stem:
        raise BadInput(f"{where}: uses: is this recipe itself")
    try:
        used = load(name, preset, overrides, seeds, settings=settings)
    except BadInput as error:
        raise BadInput(f"{where}: uses: {error}") from error
    if [trial.seed for trial in used.trials] != seeds:
        raise BadInput(f"{where}: uses: {len(used.trials)} trials for {len(seeds)} seeds")
    return used


def parse_seeds(text: str) -> list[int]:
    """ "0:5" -> 0, 1, 2, 3, 4; "3" -> 3; "0,2" -> 0, 2."""
    try:
        seeds: list[int] = []
        for part in text.split(","):
            first, colon, end = part.partition(":")
            seeds += range(int(first), int(end) if colon else int(first) + 1)
    except ValueError:
        seeds = []
    if not seeds or min(seeds) < 0 or max(seeds) >= 2**63 or len(set(seeds)) < len(seeds):
        raise BadInput(f"seeds {text!r}: should read like 0:5 (0 to 4), 3 or 0,2")
    return seeds


def _read(path: Path) -> tuple[Map, RecipeFile]:
    """A recipe's tree with its origins, and the same as a checked file."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: is not text in UTF-8") from error
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from error
    tree = read(text, str(path))
    if tree is None:
        raise BadInput(f"{path}: is empty")
    if not isinstance(tree, Map):
        raise BadInput(f"{path}:1: should be a mapping with title, source, experiment, ...")
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
