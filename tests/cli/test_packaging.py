"""Wheel, source distribution and editable install: recipes and tables come with each of them."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
R = "infinite_dbn"
RECIPES = sorted(path.stem for path in (ROOT / "recipes").glob("*.yaml"))


def run(*command: str, cwd: Path, path: Path | None = None) -> "subprocess.CompletedProcess[str]":
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    env |= {"PYTHONPATH": str(path)} if path else {}
    return subprocess.run(
        [sys.executable, *command], cwd=cwd, env=env, capture_output=True, text=True, check=False
    )


def built(kind: str, source: Path, out: Path) -> Path:
    """What setuptools makes of the source, as pip asks it to."""
    code = f"import sys; from setuptools import build_meta as b; b.build_{kind}(sys.argv[1])"
    out.mkdir()
    ran = run("-c", code, str(out), cwd=source)
    assert ran.returncode == 0, ran.stderr
    (file,) = out.iterdir()
    return file


def installed(wheel: Path, target: Path) -> Path:
    pip = ("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(target))
    ran = run(*pip, str(wheel), cwd=target.parent)
    assert ran.returncode == 0, ran.stderr
    return target


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkout, with a user's run in it, which is not shipped."""
    source = tmp_path_factory.mktemp("source")
    unneeded = shutil.ignore_patterns("*.png", "*.svg", "*.gif", "trials", "__pycache__", "*.egg-*")
    for name in ("dgm-cli", "recipes", "results"):
        shutil.copytree(ROOT / name, source / name, ignore=unneeded)
    for name in ("setup.py", "setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    (source / "results" / R / "quick").mkdir(exist_ok=True)
    (source / "results" / R / "quick" / "metrics.csv").write_text("metric,seed,value\n")
    return source


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel made from the source distribution."""
    place = tmp_path_factory.mktemp("wheel")
    with tarfile.open(built("sdist", source, place / "sdist")) as archive:
        archive.extractall(place / "unpacked", filter="data")
    (unpacked,) = (place / "unpacked").iterdir()
    return built("wheel", unpacked, place / "from_sdist")


def test_recipes_and_tables_are_in_the_wheel(source: Path, wheel: Path, tmp_path: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    shipped = {name.removeprefix("dgm/_shipped/") for name in names if "_shipped" in name}
    assert {f"recipes/{name}.{kind}" for name in RECIPES for kind in ("yaml", "md")} <= shipped
    official = [path.parent for path in (ROOT / "results").glob("*/*/official.json")]
    for folder in (path for path in official if path.name in ("paper", "embedded")):
        assert f"{folder.relative_to(ROOT)}/metrics.csv" in shipped
        assert f"{folder.relative_to(ROOT)}/run.json" in shipped
    assert f"results/{R}/embedded/fantasies.npz" in shipped
    assert f"results/{R}/quick/metrics.csv" not in shipped
    assert not [name for name in shipped if name.endswith((".png", ".svg", ".gif"))]
    assert wheel.stat().st_size < 15_000_000
    straight = built("wheel", source, tmp_path / "straight")
    assert set(zipfile.ZipFile(straight).namelist()) == names


def test_a_wheel_in_an_empty_folder(wheel: Path, tmp_path: Path) -> None:
    target, empty = installed(wheel, tmp_path / "site"), tmp_path / "empty"
    empty.mkdir()

    def dgm(*arguments: str) -> str:
        ran = run("-m", "dgm", *arguments, cwd=empty, path=target)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    assert [line.split()[0] for line in dgm("list").splitlines()[1:]] == RECIPES
    assert "0 fail" in dgm("check", R, "--preset", "embedded")
    shown = dgm("show", R, "--preset", "embedded")
    assert str(target / "dgm" / "_shipped" / "recipes" / f"{R}.yaml") in shown
    assert "measured" in shown
    assert not list(empty.iterdir())
    assert f"results/{R}/embedded/exact.png" in dgm("plot", R, "--preset", "embedded")
    assert (empty / "results" / R / "embedded" / "fantasies.svg").exists()
    assert "0 of 2 finished" in dgm("status", R, "--preset", "embedded")


def test_an_editable_install_reads_the_checkout(source: Path, tmp_path: Path) -> None:
    target = installed(built("editable", source, tmp_path / "wheel"), tmp_path / "site")
    (link,) = target.glob("*.pth")
    assert link.read_text().strip() == str(source / "dgm-cli")
    assert not list((source / "dgm-cli").rglob("_shipped"))
    empty = tmp_path / "empty"
    empty.mkdir()
    listed = run("-m", "dgm", "list", cwd=empty, path=source / "dgm-cli")
    assert [line.split()[0] for line in listed.stdout.splitlines()[1:]] == RECIPES
    assert str(source / "recipes" / f"{R}.yaml") in run(
        "-m", "dgm", "show", R, cwd=empty, path=source / "dgm-cli"
    ).stdout  # fmt: skip
