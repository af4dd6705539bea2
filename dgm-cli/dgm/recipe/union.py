"""The settings of an experiment with several learners: a union with one class for each.

    class KNN(Row): learner: Literal["knn"] = "knn"; most_neighbours: int = 10
    Settings = DBN | Backprop | KNN  # a cell that names no learner is of the first class

One field (here `learner`) is a Literal with different values in each class; its value selects the
class.
"""

import itertools
import reprlib
import types
from collections.abc import Callable, Container
from typing import Any, Literal, TypeAlias, get_args, get_origin

from pydantic.fields import FieldInfo

from dgm.errors import BadInput
from dgm.recipe.located import Map, locate
from dgm.recipe.schema import TrialSettings
from dgm.text import did_you_mean

SettingsType: TypeAlias = type[TrialSettings] | types.UnionType  # an experiment's `Settings`


def members(settings: SettingsType) -> tuple[type[TrialSettings], ...]:
    """The classes of a union, or the one class."""
    return get_args(settings) if isinstance(settings, types.UnionType) else (settings,)


def fields(settings: SettingsType) -> dict[str, FieldInfo]:
    """All settings by name. The first class that has a setting says what it means."""
    classes = reversed(members(settings))
    return {name: info for each in classes for name, info in each.model_fields.items()}


def chooser(settings: SettingsType) -> str:
    """The field that tells the classes of a union apart."""
    classes = members(settings)
    for field in classes[0].model_fields:
        values = [_literals(each, field) for each in classes]
        if all(values) and len({*itertools.chain(*values)}) == sum(map(len, values)):
            return field
    raise TypeError(f"{settings}: no field tells the classes apart")


def choose(
    settings: SettingsType,
    values: Map,
    own: Container[str],
    default: str,
    display: Callable[[str], str],
) -> tuple[type[TrialSettings], Map]:
    """The class that a cell's values choose, and the values without those of other classes.

    BadInput for a key that no class has, or for a key that the cell itself gives (`own`) and only
    another class has. `default` and `display` as in `schema.validate`.
    """
    classes = members(settings)
    chosen = classes[0] if len(classes) == 1 else _chosen(settings, values, default)
    known = fields(settings)
    kept = Map()
    for key, value in values.items():
        where = f"{values.origins[key]}: {display(key)}"
        if key not in known:
            raise BadInput(f"{where}: unknown{did_you_mean(key, known)}")
        if key in chosen.model_fields:
            kept[key], kept.origins[key] = value, values.origins[key]
        elif key in own:
            field = chooser(settings)
            learner = values.get(field, chosen.model_fields[field].default)
            if values.origins.get(field) == default:  # an override, of a cell for another learner
                raise BadInput(f"{default}: {field}={learner}: has no {display(key)} ({where})")
            raise BadInput(f"{where}: is no setting of {field} {learner}")
    return chosen, kept


def _chosen(settings: SettingsType, values: Map, default: str) -> type[TrialSettings]:
    field = chooser(settings)
    if field not in values:
        return members(settings)[0]
    for each in members(settings):
        if values[field] in _literals(each, field):
            return each
    known = ", ".join(repr(value) for each in members(settings) for value in _literals(each, field))
    raise BadInput(
        f"{locate(values, [field], default)}: settings.{field}: should be one of {known}, "
        f"not {reprlib.repr(values[field])}"
    )


def _literals(model: type[TrialSettings], field: str) -> tuple[Any, ...]:
    """The values of a field that is a Literal."""
    annotation = model.model_fields[field].annotation if field in model.model_fields else None
    return get_args(annotation) if get_origin(annotation) is Literal else ()
