"""A working directory with one recipe."""

import sys
from pathlib import Path
from types import ModuleType

import pytest

from .toy import RECIPE, Settings


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    module = ModuleType("dgm.experiments.toy")
    module.Settings = Settings  # type: ignore[attr-defined]
    for part in ("settings", "trial", "report"):
        monkeypatch.setitem(sys.modules, f"dgm.experiments.toy.{part}", module)
    monkeypatch.chdir(tmp_path)
    Path("recipes").mkdir()
    Path("recipes/toy.yaml").write_text(RECIPE)
    return tmp_path
