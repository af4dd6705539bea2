"""The grid of a recipe: blocks of cells, the trials they stand for, and overrides of both."""

import itertools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dgm.errors import BadInput
from dgm.recipe.located import Items, Map, locate, merge, read
from dgm.recipe.schema import (
    NAMES,
    SettingsType,
    TrialSettings,
    chooser,
    chosen_class,
    fields,
    validate,
)
from dgm.text import did_you_mean


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

    def value(self, axis: str) -> Any:
        """Of one of the experiment's AXES: a setting, or `data`, the data set's name."""
        return self.data if axis == "data" else getattr(self.settings, axis)


@dataclass(frozen=True)
class Block:
    """A block of the grid with all that it inherits."""

    data: str
    settings: Map
    axes: Map  # name -> list of values
    own: frozenset[str]  # names of the settings that the block itself gives
    seeds: list[int] | None = None  # of the run's, those that it is for; None: every one

    def values(self, axis: str) -> list[Any]:
        """Of an axis or, for `data`, its one data set's name, whether that is an axis or not."""
        return [self.data] if axis == "data" else self.axes.get(axis, [])


def blocks_of(layer: Map, path: Path, sets: tuple[str, ...] = NAMES) -> list[Block]:
    """The grid of a recipe's top level or of that with a preset merged into it.

    `sets` are those that the experiment can take. A block whose `data` is a list stands for one of
    each set, and `data` is an axis of theirs.
    """
    grid = layer.get("grid", Map())
    blocks = []
    for block in grid if isinstance(grid, Items) else [grid]:
        data = block.get("data", layer.get("data"))
        if not data:
            raise BadInput(f"{locate(layer, ['grid'], f'{path}:1')}: data: missing")
        settings = merge(layer.get("settings", Map()), block.get("settings", Map()))
        axes = {k: v for k, v in block.items() if k not in ("data", "seeds", "settings")}
        for name in data if isinstance(data, Items) else [data]:
            if name not in sets:
                where = locate(block if "data" in block else layer, ["data"], f"{path}:1")
                raise BadInput(f"{where}: data: no {name}{did_you_mean(str(name), sets)}")
            told = {"data": Items([name])} if isinstance(data, Items) else {}
            of_set = Map({**told, **axes}, block.origins)
            own = frozenset(block.get("settings", Map()))
            blocks.append(Block(name, settings, of_set, own, block.get("seeds")))
    for key in set.intersection(*(block.settings.keys() & block.axes.keys() for block in blocks)):
        where = blocks[0].settings.origins[key]
        raise BadInput(f"{where}: settings.{key}: is an axis of the grid too, which would hide it")
    return blocks


def cells_of(
    block: Block, model: SettingsType, path: Path
) -> list[tuple[dict[str, Any], TrialSettings]]:
    """(axes, settings) of each cell, the last axis varying fastest."""
    cells = []
    axes = {axis: values for axis, values in block.axes.items() if axis != "data"}
    for values in itertools.product(*axes.values()):
        cell = Map(dict(zip(axes, values, strict=True)), block.axes.origins)
        settings = settings_of(block, cell, model, path)
        told = {"data": block.data} if "data" in block.axes else {}
        cells.append(({**told, **{axis: getattr(settings, axis) for axis in cell}}, settings))
    return cells


def settings_of(block: Block, cell: Map, model: SettingsType, path: Path) -> TrialSettings:
    """A cell's settings, checked. Of a union, an instance of the class that the cell chooses.

    Settings that only other classes have are left out where the block inherits them or the command
    line gives them to all blocks; BadInput where the block itself gives them.
    """
    values = merge(block.settings, cell)

    def display(key: str) -> str:
        return f"grid.{key}" if key in cell else f"settings.{key}"

    known = fields(model)
    chosen = chosen_class(model, values, f"{path}:1")
    for key in [key for key in values if key not in chosen.model_fields]:
        where = f"{values.origins[key]}: {display(key)}"
        if key not in known:
            raise BadInput(f"{where}: unknown{did_you_mean(str(key), known)}")
        if key in block.own or key in cell:
            field = chooser(model)
            learner = values.get(field, chosen.model_fields[field].default)
            raise BadInput(f"{where}: is no setting of {field} {learner}")
        del values[key]
    return validate(chosen, values, f"{path}:1", display)


def trials_of(
    blocks: list[Block], seeds: list[int], model: SettingsType, path: Path
) -> list[TrialSpec]:
    """Blocks by seeds, the seeds outermost; BadInput when two trials have one label."""
    grid = [(block, cells_of(block, model, path)) for block in blocks]
    trials = [
        TrialSpec(block.data, seed, settings, axes)
        for seed in seeds
        for block, cells in grid
        if block.seeds is None or seed in block.seeds
        for axes, settings in cells
    ]
    had = {key for trial in trials for key in type(trial.settings).model_fields}
    for key, where in ((k, w) for block in blocks for k, w in block.settings.origins.items()):
        if where == "command line" and key not in had and trials:
            raise BadInput(f"{where}: settings.{key}: no trial's {chooser(model)} has it")
    if not trials:
        raise BadInput(f"{path}: grid: no block is for seeds {', '.join(map(str, seeds))}")
    labels = set()
    for trial in trials:
        if trial.label in labels:
            raise BadInput(
                f"{path}: grid: two trials are {trial.label}; an axis should tell them apart"
            )
        labels.add(trial.label)
    return trials


def plain(block: Block, model: SettingsType, path: Path) -> list[dict[str, Any]]:
    """A block as it would stand in a file, its settings complete: a block for each class that its
    cells choose."""
    by_class: dict[type[TrialSettings], list[tuple[dict[str, Any], TrialSettings]]] = {}
    for axes, settings in cells_of(block, model, path):
        by_class.setdefault(type(settings), []).append((axes, settings))
    return [_plain(block, cells) for cells in by_class.values()]


def _plain(block: Block, cells: list[tuple[dict[str, Any], TrialSettings]]) -> dict[str, Any]:
    dumps = [settings.model_dump(mode="json") for _, settings in cells]
    axes: dict[str, list[Any]] = {axis: [] for axis in cells[0][0] if axis != "data"}
    for dump in dumps:
        for axis, values in axes.items():
            if dump[axis] not in values:
                values.append(dump[axis])
    settings = {key: value for key, value in dumps[0].items() if key not in axes}
    seeds = {} if block.seeds is None else {"seeds": list(block.seeds)}
    return {"data": block.data, **seeds, "settings": settings, **axes}


def override(blocks: list[Block], text: str, sets: tuple[str, ...]) -> list[Block]:
    """The blocks after one `key=value` of the command line; meanings as in `recipe.load`."""
    key, equals, said = text.partition("=")
    if not (key and equals):
        raise BadInput(f"command line: {text!r}: an override should read key=value")
    if key == "seeds":
        raise BadInput("command line: seeds: are given as --seeds 0:5")
    value = read(said, "command line")
    if key == "data":
        if not isinstance(value, str):
            raise BadInput(f"command line: data: should be a name, not {said!r}")
        if value not in sets:
            raise BadInput(f"command line: data: no {value}{did_you_mean(value, sets)}")
        return [replace(block, data=value) for block in blocks]

    section, _, name = key.rpartition(".")
    if section not in ("", "settings", "grid"):
        raise BadInput(f"command line: {key}: unknown; data, settings.KEY and grid.AXIS can be set")
    is_axis = any(name in block.axes for block in blocks)
    if section != "grid" and not is_axis:
        new = Map({name: value}, {name: "command line"})
        return [replace(block, settings=merge(block.settings, new)) for block in blocks]
    if section == "grid" and not (isinstance(value, Items) and value):
        raise BadInput(f"command line: {key}: should be a list of values, not {said!r}")
    values = value if section == "grid" else Items([value], ["command line"])
    if key == "grid.data" or (is_axis and len(blocks) > 1):
        return _select(blocks, name, values)
    new = Map({name: values}, {name: "command line"})
    return [replace(block, axes=merge(block.axes, new)) for block in blocks]


def _select(blocks: list[Block], axis: str, wanted: Items) -> list[Block]:
    """The blocks that have any of the wanted values of an axis, with these values only.

    Numbers that no block has, e.g. another size, replace the axis wherever it is.
    """
    known = [value for block in blocks for value in block.values(axis)]
    numbers = axis != "data" and all(isinstance(value, int | float) for value in wanted)
    if numbers and not any(value in known for value in wanted):
        new = Map({axis: wanted}, {axis: "command line"})
        return [replace(b, axes=merge(b.axes, new)) if axis in b.axes else b for b in blocks]
    for value in wanted:
        if value not in known:
            hint = did_you_mean(str(value), {str(value) for value in known})
            raise BadInput(f"command line: grid.{axis}: no block has {value}{hint}")
    kept = []
    for block in blocks:
        values = Items(value for value in block.values(axis) if value in wanted)
        if values:
            new = Map({axis: values} if axis in block.axes else {}, block.axes.origins)
            kept.append(replace(block, axes=merge(block.axes, new)))
    return kept
