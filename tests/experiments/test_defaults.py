"""Defaults are frozen within a REVISION: a cell leaves out what is at its default.

Were a default changed, trials of the old one would pass for trials of the new one.
`python -m tests.experiments.test_defaults` writes the snapshot anew.
"""

import json
import pkgutil
from pathlib import Path
from typing import Any

import pytest

from dgm import experiments
from dgm.recipe.union import members

SNAPSHOT = Path(__file__).with_name("defaults.json")
NAMES = sorted(module.name for module in pkgutil.iter_modules(experiments.__path__))


def revision(snapshot: dict[str, Any], learner: str) -> object:
    """The REVISION of a class: one number, or one for each class."""
    given = snapshot["revision"]
    return given.get(learner) if isinstance(given, dict) else given


def defaults(name: str) -> dict[str, Any]:
    """An experiment's REVISION, and the defaults of each class of its Settings."""
    module = experiments.settings(name)
    by_class = {
        each.__name__: {
            field: "required" if info.is_required() else info.get_default(call_default_factory=True)
            for field, info in each.model_fields.items()
        }
        for each in members(module.Settings)
    }
    found: dict[str, Any] = json.loads(json.dumps({"revision": module.REVISION, **by_class}))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_default_changes_only_with_its_revision(name: str) -> None:
    frozen = json.loads(SNAPSHOT.read_text())
    assert name in frozen, f"{name}: is new; write the snapshot anew"
    now, then = defaults(name), frozen[name]
    for each, fields in then.items():
        if each == "revision" or revision(now, each) != revision(then, each):
            continue
        for field, value in fields.items():
            assert now.get(each, {}).get(field, "gone") == value, (
                f"{name}: {each}.{field} was {value}; raise REVISION, or committed trials of the "
                f"old default will pass for trials of the new one"
            )
    assert now == then, f"{name}: has a new setting or revision; write the snapshot anew"


if __name__ == "__main__":
    SNAPSHOT.write_text(json.dumps({name: defaults(name) for name in NAMES}, indent=1) + "\n")
