"""The grid of a recipe: its blocks, their cells, and the resulting trials."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dgm import data
from dgm.errors import BadInput
from dgm.recipe.located import Items, Map, locate, merge
from dgm.recipe.schema import TrialSettings, validate
from dgm.recipe.union import SettingsType, choose, chooser
from dgm.text import did_you_mean

MOST_TRIALS = 10_000
LONGEST_LABEL = 200  # bytes; it names a folder


@dataclass(frozen=True)
class TrialSpec:
    """One cell of the grid with one seed."""

    data: str
    seed: int
    settings: TrialSettings  # with the axes' values
    axes: dict[str, Any]

    @property
    def label(self) -> str:
        """The axes in the grid's order, then the seed; no other trial of the recipe has it."""
        return ",".join(f"{key}={value}" for key, value in {**self.axes, "seed": self.seed}.items())

    def has(self, cell: Mapping[str, Any]) -> bool:
        """Whether the trial has these values of its axes."""
        return all(name in self.axes and self.axes[name] == cell[name] for name in cell)

    def value(self, axis: str) -> Any:
        """The value of one of the experiment's AXES: a setting, or for `data` the set's name."""
        return self.data if axis == "data" else getattr(self.settings, axis, None)


@dataclass(frozen=True)
class Block:
    """A block of the grid with all that it inherits, on one data set."""

    data: str
    settings: Map
    own: frozenset[str]  # the settings that the block gives itself
    axes: Map  # name -> list of values
    seeds: list[int] | None = None  # of the run's seeds, those that the block is for; None: all

    def values(self, axis: str) -> list[Any]:
        """The values of an axis; for `data`, the block's data set, even if it is not an axis."""
        return [self.data] if axis == "data" else self.axes.get(axis, [])


@dataclass(frozen=True)
class Cell:
    """One value of each axis, and the settings that go with them."""

    block: Block
    axes: dict[str, Any]
    settings: TrialSettings


def blocks_of(layer: Map, default: str, sets: Sequence[str]) -> list[Block]:
    """The blocks of a recipe's top level, or of that with a preset merged into it.

    `sets` are the data sets that the experiment can take. A block whose `data` is a list stands for
    one block for each set, and `data` is an axis of theirs. `default` is the origin reported for a
    missing key.
    """
    grid = layer.get("grid", Map())
    blocks = [
        block
        for of in (grid if isinstance(grid, Items) else [grid])
        for block in _blocks_of(of, layer, default, sets)
    ]
    for key in set.intersection(*(block.settings.keys() & block.axes.keys() for block in blocks)):
        where = blocks[0].settings.origins[key]
        raise BadInput(f"{where}: settings.{key}: is an axis of the grid too, which would hide it")
    return blocks


def _blocks_of(block: Map, layer: Map, default: str, sets: Sequence[str]) -> list[Block]:
    """A block of the file, once for each of its data sets."""
    given = block.get("data", layer.get("data"))
    if not given:
        raise BadInput(f"{locate(layer, ['grid'], default)}: data: missing")
    names = given if isinstance(given, Items) else [given]
    for name in names:
        if not data.is_among(name, sets):
            where = locate(block if "data" in block else layer, ["data"], default)
            raise BadInput(f"{where}: data: no {name}{did_you_mean(str(name), sets)}")
    own = block.get("settings", Map())
    settings = merge(layer.get("settings", Map()), own)
    axes = {key: block[key] for key in block if key not in ("data", "seeds", "settings")}
    return [
        Block(
            name,
            settings,
            frozenset(own),
            Map({"data": Items([name]), **axes} if names is given else axes, block.origins),
            block.get("seeds"),
        )
        for name in names
    ]


def cells_of(
    blocks: list[Block], model: SettingsType, default: str, overridden: bool = False
) -> list[Cell]:
    """The cells of each block, the last axis varying fastest, checked against the model.

    Settings that only other classes of a union have are left out where a cell inherits them or the
    command line gives them. `default` and `overridden` as in `schema.validate`.
    """
    count = sum(math.prod(map(len, block.axes.values())) for block in blocks)
    if count > MOST_TRIALS:
        raise BadInput(f"{default}: grid: has {count:,} cells; {MOST_TRIALS:,} are the most")
    return [
        _cell(block, dict(zip(block.axes, values, strict=True)), model, default, overridden)
        for block in blocks
        for values in itertools.product(*block.axes.values())
    ]


def _cell(
    block: Block, axes: dict[str, Any], model: SettingsType, default: str, overridden: bool
) -> Cell:
    given = Map({k: v for k, v in axes.items() if k != "data"}, block.axes.origins)

    def display(key: str) -> str:
        return f"grid.{key}" if key in given else f"settings.{key}"

    values = merge(block.settings, given)
    chosen, values = choose(model, values, block.own | given.keys(), default, display)
    for axis in given:
        if axis in chosen.not_axes:
            where = f"{given.origins[axis]}: {display(axis)}"
            raise BadInput(f"{where}: cannot be an axis; tables have a column of that name")
    settings = validate(chosen, values, default, display, overridden)
    typed = {axis: block.data if axis == "data" else getattr(settings, axis) for axis in axes}
    return Cell(block, typed, settings)


def trials_of(cells: list[Cell], seeds: list[int], default: str) -> list[TrialSpec]:
    """Cells by seeds, the seeds outermost; BadInput where two trials have one label."""
    if len(cells) * len(seeds) > MOST_TRIALS:
        raise BadInput(
            f"{default}: {len(cells):,} cells by {len(seeds):,} seeds; "
            f"{MOST_TRIALS:,} trials are the most"
        )
    trials = [
        TrialSpec(cell.block.data, seed, cell.settings, cell.axes)
        for seed in seeds
        for cell in cells
        if cell.block.seeds is None or seed in cell.block.seeds
    ]
    if not trials:
        raise BadInput(f"{default}: grid: no block is for seeds {', '.join(map(str, seeds))}")
    labels = set()
    for label in (trial.label for trial in trials):
        if len(label.encode()) > LONGEST_LABEL:
            raise BadInput(f"{default}: grid: {label[:60]}...: too long for a folder's name")
        if label in labels:
            raise BadInput(f"{default}: grid: two trials are {label}; an axis should differ")
        labels.add(label)
    return trials


def refuse_unused(cells: list[Cell], model: SettingsType, origin: str) -> None:
    """BadInput where overrides, which are of this origin, give a setting that no cell has."""
    had = {name for cell in cells for name in type(cell.settings).model_fields}
    for cell in cells:
        for key, where in cell.block.settings.origins.items():
            if where == origin and key not in had:
                raise BadInput(f"{where}: settings.{key}: no trial's {chooser(model)} has it")


def plain(cells: list[Cell]) -> list[dict[str, Any]]:
    """The blocks as they would stand in a file, their settings complete.

    A block whose cells choose several classes of a union is given once for each class.
    """
    groups: dict[tuple[int, type], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((id(cell.block), type(cell.settings)), []).append(cell)
    return [_plain(group) for group in groups.values()]


def _plain(cells: list[Cell]) -> dict[str, Any]:
    block, dumps = cells[0].block, [cell.settings.model_dump(mode="json") for cell in cells]
    axes: dict[str, list[Any]] = {axis: [] for axis in cells[0].axes if axis != "data"}
    for dump in dumps:
        for axis, values in axes.items():
            if dump[axis] not in values:
                values.append(dump[axis])
    settings = {key: value for key, value in dumps[0].items() if key not in axes}
    seeds = {} if block.seeds is None else {"seeds": list(block.seeds)}
    return {"data": block.data, **seeds, "settings": settings, **axes}
