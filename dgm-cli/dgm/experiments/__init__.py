"""One folder an experiment: settings.py (what is set), trial.py (how), report.py (what it shows).

`settings` and `report` import no torch; `trial` does.
"""

import importlib
import pkgutil
from types import ModuleType

from dgm.errors import BadInput
from dgm.text import did_you_mean


def settings(name: str) -> ModuleType:
    """`Settings` and `REVISION` of an experiment; BadInput where there is none of that name."""
    return _part(name, "settings")


def revision(module: ModuleType, learner: type) -> int:
    """The REVISION of a class of an experiment's `Settings`: one number, or one for each class."""
    given: int | dict[str, int] = module.REVISION
    return given[learner.__name__] if isinstance(given, dict) else given


def trial(name: str) -> ModuleType:
    """`run_trial` of an experiment."""
    return _part(name, "trial")


def report(name: str) -> ModuleType:
    """`AXES`, `summarise` and `draw` of an experiment."""
    return _part(name, "report")


def _part(name: str, part: str) -> ModuleType:
    package = f"{__name__}.{name}"
    if name.isidentifier():
        try:
            return importlib.import_module(f"{package}.{part}")
        except ModuleNotFoundError as error:
            if error.name not in (package, f"{package}.{part}"):
                raise
    known = [found.name for found in pkgutil.iter_modules(__path__)]
    raise BadInput(f"experiment: no {name}{did_you_mean(name, known)}")
