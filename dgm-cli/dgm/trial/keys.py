"""What a trial depends on, in three keys.

    cell      data, seed, and the settings that differ from their defaults: which trial it is
    code      the experiment with its REVISION, the data's hash, the model it starts from: whether
              a finished trial still counts
    machine   torch, device, threads: whether an unfinished trial may go on

A new setting with a neutral default changes no cell. Defaults are frozen within a REVISION.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from dgm.recipe.union import chooser, members

if TYPE_CHECKING:
    from dgm.recipe.grid import TrialSpec
    from dgm.recipe.union import SettingsType

Key = dict[str, Any]  # plain data, as JSON gives it back


@dataclass(frozen=True)
class Keys:
    """The three keys of a trial."""

    cell: Key
    code: Key
    machine: Key

    @cached_property
    def trial(self) -> str:
        """The cell's short name: the column `trial` of tables, the name of arrays."""
        text = json.dumps(self.cell, sort_keys=True)
        return "t" + hashlib.sha256(text.encode()).hexdigest()[:11]  # no CSV reads it as a number


def cell_of(spec: "TrialSpec", settings: "SettingsType") -> Key:
    """The cell of a trial as a recipe describes it; `settings` is what the experiment can take.

    Of a union of learners it names the cell's learner, unless that is the first.
    """
    cell = {"data": spec.data, "seed": spec.seed}
    if type(spec.settings) is not members(settings)[0]:
        name = chooser(settings)
        cell[name] = getattr(spec.settings, name)
    return cell | spec.settings.model_dump(mode="json", exclude_defaults=True)


def changes(old: Key, new: Key, absent: str = "absent") -> Iterator[str]:
    """How two keys differ: "hidden was 100, is 50".

    Where a trial starts from a model that is not here, nothing can be said of it.
    """
    for name in dict.fromkeys([*old, *new]):
        was, now = old.get(name, absent), new.get(name, absent)
        if was != now and not (name == "start" and None in (was, now)):
            yield f"{name} was {was}, is {now}"
