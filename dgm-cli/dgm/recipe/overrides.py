"""`key=value` of the command line, applied to the blocks of a grid.

`settings.key=value` or `key=value` sets a setting everywhere; `data=name` likewise.
`grid.axis=[...]` or `axis=value` replaces an axis's values or, in a grid of several blocks, keeps
the cells that have one of them. `grid.data=[...]` keeps the blocks of these data sets.
"""

from collections.abc import Sequence
from dataclasses import replace

from dgm import data
from dgm.errors import BadInput
from dgm.recipe.grid import Block
from dgm.recipe.located import Items, Map, merge, read
from dgm.text import did_you_mean, unprintable


def override(
    blocks: list[Block], text: str, sets: Sequence[str], preset: str, origin: str
) -> list[Block]:
    """The blocks after one `key=value`. `sets` are the data sets that the experiment can take;
    messages name the blocks' `preset` and begin with `origin`."""
    if unprintable(text):
        raise BadInput(f"{origin}: {text!r}: holds the character {unprintable(text)}")
    key, equals, written = text.partition("=")
    if not (key and equals):
        raise BadInput(f"{origin}: {text!r}: an override should read key=value")
    if key == "seeds":
        raise BadInput(f"{origin}: seeds: are given as --seeds 0:5")
    value = read(written, origin, lines=False)
    if key == "data":
        if not isinstance(value, str):
            raise BadInput(f"{origin}: data: should be a name, not {written!r}")
        if not data.is_among(value, sets):
            raise BadInput(f"{origin}: data: no {value}{did_you_mean(value, sets)}")
        return [replace(block, data=value) for block in blocks]

    section, _, name = key.rpartition(".")
    if section not in ("", "settings", "grid"):
        raise BadInput(f"{origin}: {key}: unknown; data, settings.KEY and grid.AXIS can be set")
    if section == "grid" and not (isinstance(value, Items) and value):
        raise BadInput(f"{origin}: {key}: should be a list of values, not {written!r}")
    is_axis = any(name in block.axes for block in blocks)
    if section != "grid" and not is_axis:
        new = Map({name: value}, {name: origin})
        return [replace(block, settings=merge(block.settings, new)) for block in blocks]
    values = value if section == "grid" else Items([value])
    if key == "grid.data" or (is_axis and len(blocks) > 1):
        return _select(blocks, name, values, preset, origin)
    return [_with_axis(block, name, values, origin) for block in blocks]


def _with_axis(block: Block, axis: str, values: Items, origin: str) -> Block:
    return replace(block, axes=merge(block.axes, Map({axis: values}, {axis: origin})))


def _select(blocks: list[Block], axis: str, wanted: Items, preset: str, origin: str) -> list[Block]:
    """The blocks that have any of the wanted values of an axis, with these values only.

    Numbers that no block has, e.g. another size, replace the axis wherever it is.
    """
    known = [value for block in blocks for value in block.values(axis)]
    numbers = axis != "data" and all(isinstance(value, int | float) for value in wanted)
    if numbers and not any(value in known for value in wanted):
        return [
            _with_axis(block, axis, wanted, origin) if axis in block.axes else block
            for block in blocks
        ]
    for value in wanted:
        if value not in known:
            hint = did_you_mean(str(value), {str(value) for value in known})
            raise BadInput(f"{origin}: grid.{axis}: no block of preset {preset} has {value}{hint}")
    kept = []
    for block in blocks:
        values = Items(value for value in block.values(axis) if value in wanted)
        if values and axis in block.axes:
            kept.append(_with_axis(block, axis, values, block.axes.origins.get(axis, origin)))
        elif values:
            kept.append(block)
    return kept
