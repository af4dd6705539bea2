"""What each part of an experiment needs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.test_rooms import PACKAGE, imported

TRIALS = sorted(PACKAGE.glob("experiments/*/trial.py"))


def reached(path: Path, seen: set[Path]) -> Iterator[str]:
    """The modules that a file imports, and those that its imports from the package do."""
    seen.add(path)
    for name in imported(path):
        yield name
        parts = name.split(".")[1:] if name.startswith("dgm.") else []
        for n in range(1, len(parts) + 1):
            file = PACKAGE.joinpath(*parts[:n]).with_suffix(".py")
            if file.exists() and file not in seen:
                yield from reached(file, seen)


@pytest.mark.parametrize("path", TRIALS, ids=lambda path: path.parent.name)
def test_a_trial_draws_nothing(path: Path) -> None:
    """A worker that runs trials needs no matplotlib."""
    modules = set(reached(path, set()))
    assert "dgm.trial.loop.Trial" in modules and "torch" in modules
    assert not [name for name in modules if name.startswith("matplotlib")]


@pytest.mark.parametrize("path", TRIALS, ids=lambda path: path.parent.name)
def test_settings_and_reports_do_without_torch(path: Path) -> None:
    for part in ("settings.py", "report.py"):
        modules = set(reached(path.with_name(part), set()))
        assert not [name for name in modules if name.split(".")[0] == "torch"], part
