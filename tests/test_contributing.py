"""CONTRIBUTING.md, followed to the letter: five files make a recipe, and nothing else is edited."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```\w+ (\S+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package with the five files that CONTRIBUTING.md has."""
    house = tmp_path_factory.mktemp("house")
    for name in ("dgm-cli/dgm", "recipes"):
        shutil.copytree(ROOT / name, house / name, ignore=shutil.ignore_patterns("__pycache__"))
    blocks = BLOCK.findall((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    assert len(blocks) == 5
    for name, content in blocks:
        path = house / name
        assert not path.exists(), f"{name}: is edited, not new"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return house


def dgm(house: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "dgm", *arguments],
        cwd=house,
        env=os.environ | {"PYTHONPATH": str(house / "dgm-cli")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_five_files_make_a_recipe(house: Path) -> None:
    ran = dgm(house, "run", "pixel_means", "--preset", "embedded", "--jobs", "1")
    assert "1 pass, 0 fail, 0 missing" in ran
    folder = house / "results" / "pixel_means" / "embedded"
    assert {path.name for path in folder.glob("*.*")} >= {
        "likelihood.csv", "mean.npz", "means.png", "means.svg", "metrics.csv", "run.json"
    }  # fmt: skip
    assert "pixel_means" in dgm(house, "list")
    assert "pseudo_count" in dgm(house, "show", "pixel_means")
    assert "1 of 1" in dgm(house, "status", "pixel_means", "--preset", "embedded")
    assert "means.png" in dgm(house, "plot", "pixel_means", "--preset", "embedded")


def test_make_pages_adds_it_to_the_readme(house: Path) -> None:
    shutil.copy(ROOT / "README.md", house)
    for arguments in ([], ["--check"]):
        done = subprocess.run(
            [sys.executable, str(ROOT / "scripts" / "pages.py"), "--root", str(house), *arguments],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    assert "| [`pixel_means`](recipes/pixel_means.md) | nobody (2026), an example |" in (
        house / "README.md"
    ).read_text(encoding="utf-8")
    page = (house / "recipes" / "pixel_means.md").read_text(encoding="utf-8")
    assert "<!-- results:pixel_means -->\nNot run yet.\n" in page
    assert "`dgm run pixel_means --preset embedded`" in page


def test_its_code_passes_the_checks_of_the_house(house: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", house)
    for check in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *check, "dgm-cli/dgm/experiments/pixel_means"],
            cwd=house, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
