"""What holds for every recipe: presets, expectations, committed results, and CI's regression."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dgm.recipe import all_recipes, experiment, header, load
from dgm.results import read_csv, read_metrics, summary

ROOT = Path(__file__).parents[1]
RECIPES = sorted(path.stem for path in (ROOT / "recipes").glob("*.yaml"))


def test_recipes_are_found() -> None:
    assert [path.stem for path in all_recipes()] == RECIPES
    assert "aevb_vs_wakesleep" in RECIPES


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_whole(name: str) -> None:
    head = header(ROOT / "recipes" / f"{name}.yaml")
    assert {"paper", "quick", "embedded"} <= set(head.presets)
    assert head.expect
    for preset in head.presets:
        assert load(head.path, preset).trials
    for public in ("Settings", "run_trial", "summarise", "draw", "REVISION"):
        assert hasattr(experiment(head.experiment), public)
    assert f"| `{name}` |" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("preset", ["paper", "embedded"])
def test_committed_results_are_whole(name: str, preset: str) -> None:
    folder = ROOT / "results" / name / preset
    head = header(ROOT / "recipes" / f"{name}.yaml")
    metrics = read_metrics(folder / "metrics.csv")
    fresh = summary(metrics, head.expect, preset)
    saved = read_csv(folder / "summary.csv")
    assert list(saved["metric"]) == list(fresh["metric"])
    assert saved["mean"].tolist() == pytest.approx(fresh["mean"].tolist(), nan_ok=True)
    assert saved["verdict"].tolist() == fresh["verdict"].tolist()
    run = json.loads((folder / "run.json").read_text())
    assert run["trials"] and not run["failed"]
    figures = list(folder.glob("*.png"))
    assert figures
    for figure in [*figures, *folder.glob("*.svg")]:
        assert figure.stat().st_size < 500_000


@pytest.mark.parametrize("name", RECIPES)
def test_the_embedded_preset_meets_its_bands(name: str, tmp_path: Path) -> None:
    """CI's regression: a fresh run, judged by `dgm check`, whose metrics are the committed ones."""
    options = ["--preset", "embedded", "--out", str(tmp_path)]
    run = [sys.executable, "-m", "dgm", "run", name, *options, "--jobs", "2", "--no-fallback"]
    ran = subprocess.run(run, capture_output=True, text=True, cwd=ROOT, check=False)
    assert ran.returncode == 0, ran.stderr
    check = [sys.executable, "-m", "dgm", "check", name, *options]
    checked = subprocess.run(check, capture_output=True, text=True, cwd=ROOT, check=False)
    assert checked.returncode == 0, checked.stdout
    folder = Path(name) / "embedded" / "metrics.csv"
    fresh, committed = (read_metrics(base / folder) for base in (tmp_path, ROOT / "results"))
    assert fresh[["metric", "seed"]].equals(committed[["metric", "seed"]])
