"""What holds for every recipe: presets, expectations, committed results, and CI's regression."""

import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from dgm import experiments
from dgm.engine.load import load
from dgm.engine.official import is_official
from dgm.engine.plan import Options, plan
from dgm.engine.results import Store, saved
from dgm.engine.verify import verify
from dgm.files import read_csv
from dgm.recipe.load import all_recipes, header
from dgm.report.summary import read_metrics, summary

ROOT = Path(__file__).parents[2]
RECIPES = sorted(path.stem for path in (ROOT / "recipes").glob("*.yaml"))

# A recipe whose page says so was not run at the paper's size yet.
MEASURED = [(name, "embedded") for name in RECIPES] + [
    (name, "paper")
    for name in RECIPES
    if "\nNot measured yet.\n" not in (ROOT / "recipes" / f"{name}.md").read_text()
]

# Recipes with trials whose numbers `dgm verify` measures again without a trained model.
MEASURED_AGAIN = [
    path.stem
    for path in all_recipes()
    if hasattr(experiments.trial(header(path).experiment), "anew")
]


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
    public = {
        experiments.settings: ("Settings", "REVISION"),
        experiments.trial: ("run_trial",),
        experiments.report: ("AXES", "summarise", "draw"),
    }
    for part, names in public.items():
        assert all(hasattr(part(head.experiment), name) for name in names)


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """results/ as it is committed, whatever somebody has run since."""
    if not (ROOT / ".git").exists():
        pytest.skip("no git checkout")
    folder = tmp_path_factory.mktemp("head")
    command = ["git", "-C", str(ROOT), "archive", "HEAD", "results"]
    content = subprocess.run(command, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        archive.extractall(folder, filter="data")
    return folder / "results"


@pytest.mark.parametrize(("name", "preset"), MEASURED)
def test_committed_results_are_official_and_whole(name: str, preset: str, head: Path) -> None:
    folder = head / name / preset
    assert is_official(folder)
    metrics = read_metrics(folder / "metrics.csv")
    expect = header(ROOT / "recipes" / f"{name}.yaml").expect
    fresh, saved = summary(metrics, expect, preset), read_csv(folder / "summary.csv")
    assert list(saved["metric"]) == list(fresh["metric"])
    assert saved["mean"].tolist() == pytest.approx(fresh["mean"].tolist(), nan_ok=True)
    assert saved["verdict"].tolist() == fresh["verdict"].tolist()
    run = json.loads((folder / "run.json").read_text())
    assert run["trials"] and not run["failed"]
    assert all((folder / file).exists() for file in run["files"])
    figures = [file for file in run["files"] if file.endswith((".png", ".svg"))]
    assert figures
    assert all((folder / figure).stat().st_size < 500_000 for figure in figures)


@pytest.mark.parametrize(("name", "preset"), MEASURED)
def test_committed_trials_still_count(name: str, preset: str, head: Path) -> None:
    """Their cells are those of the recipe, their code today's: --extend takes all, trains none."""
    run = json.loads((head / name / preset / "run.json").read_text())
    recipe = load(ROOT / "recipes" / f"{name}.yaml", preset, seeds=run["seeds"])
    store = Store(head / name / preset, extend=True)
    planned = plan(recipe, Options(out=head))
    held = [p.label for p in planned if store.state(p).name == "held"]
    assert sorted(held) == sorted(trial["label"] for trial in run["trials"])
    assert len(saved(head / name / preset).cells) == len(held)


def reproduce_all(out: Path, cwd: Path) -> "subprocess.CompletedProcess[str]":
    script = [sys.executable, str(ROOT / "scripts" / "reproduce_all.py"), "--preset", "embedded"]
    # Other tests ask for the same tables from two jobs; here they would only import torch again.
    command = [*script, "--jobs", "1", "--out", str(out)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Every recipe's embedded preset, run anew; and what `make reproduce-all` said."""
    out = tmp_path_factory.mktemp("reproduced")
    ran = reproduce_all(out, ROOT)
    assert ran.returncode in (0, 1), ran.stderr  # 1: a band was missed, which a test below names
    return out, ran.stdout


@pytest.mark.parametrize("name", RECIPES)
def test_the_embedded_preset_meets_its_bands(
    name: str, reproduced: tuple[Path, str], head: Path, here: Callable[..., str]
) -> None:
    """CI's regression: fresh values within the recipe's bands, and for the metrics committed."""
    out, _ = reproduced
    here("check", name, "--preset", "embedded", "--out", out)
    metrics = Path(name) / "embedded" / "metrics.csv"
    fresh, committed = (read_metrics(base / metrics) for base in (out, head))
    assert fresh[["metric", "seed"]].equals(committed[["metric", "seed"]])


@pytest.mark.parametrize("name", MEASURED_AGAIN)
def test_what_needs_no_model_is_measured_again_as_it_was(
    name: str, reproduced: tuple[Path, str]
) -> None:
    """On the machine that measured it first nothing may differ."""
    target = reproduced[0] / name / "embedded"
    recipe = load(ROOT / "recipes" / f"{name}.yaml", "embedded")
    steps = list(verify(recipe, target, Options(threads=1)))
    assert [step.text() for step in steps if not step.agrees] == []
    anew = experiments.trial(recipe.experiment).anew
    again = {p.label for p in plan(recipe, Options()) if anew(p.spec, False)}
    assert again == {step.label for step in steps[1:-1] if not step.skipped} != set()


def test_reproduce_all_begins_with_an_estimate_and_ends_with_the_check(
    reproduced: tuple[Path, str],
) -> None:
    _, said = reproduced
    before, _, after = said.partition("\n== ")
    for name in RECIPES:
        assert f"{name}\n  embedded: about " in before
    assert "\n  quick: " in before
    assert "In all about " in before
    assert after.partition("== check\n")[2].startswith("  metric ")


def test_reproduce_all_goes_on_after_a_recipe_that_fails(tmp_path: Path) -> None:
    recipe = """\
title: {0}
source: nobody
experiment: aevb_vs_wakesleep
data: digits
settings: {{samples: 1000, first_evaluation: 500, pilot_samples: 200, train_size: 500,
  evaluated_images: 10, rates: {1}}}
presets: {{embedded: {{}}, quick: {{}}}}
expect: [{{metric: test_log_likelihood/aevb/n500, measures: nats, at_least: -100}}]
"""
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "a_bad.yaml").write_text(recipe.format("bad", "[1e30]"))
    (tmp_path / "recipes" / "b_good.yaml").write_text(recipe.format("good", "[0.1]"))
    ran = reproduce_all(tmp_path / "out", tmp_path)
    assert ran.returncode == 3
    assert "failed: a_bad\n" in ran.stderr
    assert "never timed" in ran.stdout
    assert "1 pass, 0 fail" in ran.stdout
    assert not (tmp_path / "out" / "a_bad" / "embedded" / "metrics.csv").exists()
