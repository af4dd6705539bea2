"""The rooms of the package: each imports only from those below it, and the upper ones do without
torch until a trial runs."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "dgm-cli" / "dgm"
# From the top floor down, as CONTRIBUTING.md draws them.
ROOMS = [
    *("__main__", "cli", "engine", "experiments", "protocols", "trial", "report", "recipe"),
    *("learning", "inference", "retrieval", "models", "data", "fast"),
    *("console", "shipped", "files", "state", "text", "errors"),
]
PURE = ("models", "learning", "inference", "retrieval", "fast")  # tensors in, tensors out
IMPURE = {"dgm.trial", "dgm.files", "dgm.recipe", "dgm.report", "dgm.data.files", "pydantic"}
FILES = sorted(PACKAGE.rglob("*.py"))


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path) -> Iterator[str]:
    """The modules that a file imports anywhere, also those it names to `import_module`."""
    package = module_of(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide an arrow"
            yield from (f"{node.module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.Call) and node.args:
            function = node.func
            called = function.attr if isinstance(function, ast.Attribute) else ""
            called = function.id if isinstance(function, ast.Name) else called
            if called in ("import_module", "__import__"):
                yield "".join(_text(part, package) for part in _parts(node.args[0]))


def _parts(node: ast.expr) -> list[ast.expr]:
    return list(node.values) if isinstance(node, ast.JoinedStr) else [node]


def _text(node: ast.expr, package: list[str]) -> str:
    """What of a module's name can be read: `__name__` and text; anything else is a star."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    name = node.value if isinstance(node, ast.FormattedValue) else None
    of_package = isinstance(name, ast.Name) and name.id in ("__name__", "package")
    return ".".join(package) if of_package else "*"


def room_of(module: str) -> str:
    return module.split(".")[1] if module.count(".") else "dgm"


@pytest.mark.parametrize("path", FILES, ids=lambda path: module_of(path))
def test_no_arrow_runs_up(path: Path) -> None:
    room = room_of(module_of(path))
    if room == "dgm":  # the package's own __init__: what a user of the library is given
        return
    assert room in ROOMS, f"{room}: is not one of the rooms"
    for module in imported(path):
        if module.startswith("dgm."):
            below = room_of(module)
            assert below in ROOMS, f"{path.name} imports {module}"
            assert ROOMS.index(room) <= ROOMS.index(below), f"{path.name} imports {module}"


@pytest.mark.parametrize("path", [p for p in FILES if room_of(module_of(p)) in PURE], ids=str)
def test_what_computes_knows_no_files_and_no_settings(path: Path) -> None:
    for module in imported(path):
        assert not any(module == name or module.startswith(f"{name}.") for name in IMPURE), module


def test_experiments_do_not_lean_on_each_other() -> None:
    for path in (PACKAGE / "experiments").glob("*/*.py"):
        own = path.relative_to(PACKAGE / "experiments").parts[0]
        for module in imported(path):
            if module.startswith("dgm.experiments."):
                assert module.split(".")[2] == own, f"{path} imports {module}"


@pytest.mark.parametrize(
    ("source", "modules"),
    [
        ("import os.path", ["os.path"]),
        ("def f():\n    from dgm.engine import run", ["dgm.engine.run"]),
        ('importlib.import_module("dgm.cli")', ["dgm.cli"]),
        ('import_module(f"{__name__}.{name}.trial")', ["dgm.*.trial"]),
        ('__import__(f"dgm.engine.{name}")', ["dgm.engine.*"]),
    ],
)
def test_the_reader_of_imports_sees_all_kinds(
    tmp_path: Path, source: str, modules: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "PACKAGE", tmp_path / "dgm")
    path = tmp_path / "dgm" / "toy.py"
    path.parent.mkdir()
    path.write_text(source)
    assert list(imported(path)) == modules
