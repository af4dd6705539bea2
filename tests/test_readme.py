"""README.md's generated blocks: made from the results, and told when they are stale."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from dgm.engine.official import publish
from dgm.files import write_csv
from dgm.recipe.schema import Expectation
from dgm.report.summary import summary

ROOT = Path(__file__).parents[1]
README = """\
# A toy
<!-- recipes -->
<!-- end -->
In between.
<!-- results:toy -->
stale
<!-- end -->
<!-- results:later -->
<!-- end -->
<!-- benchmarks -->
<!-- end -->
The end.
"""
RECIPE = """\
title: A toy
source: Nobody (2024), p(x|z)
experiment: toy
data: digits
"""
GENERATED = r"""# A toy
<!-- recipes -->
| recipe | reproduces | bands met | paper, min | quick, min | embedded, min |
| --- | --- | --- | --- | --- | --- |
| [`later`](recipes/later.yaml) | Nobody (2024), p(x\|z) |  |  |  |  |
| [`toy`](recipes/toy.yaml) | Nobody (2024), p(x\|z) | 1 of 2 | 90 | 2 (1 of 3 trials) | 0.25 |
<!-- end -->
In between.
<!-- results:toy -->
| metric | measured | unit | reported | band | verdict |
| --- | --- | --- | --- | --- | --- |
| `score/aevb` | -133.5 ± 0.5 (2 seeds) | nats | -130 | at least -134 | pass |
| `gap` | 0.9 (1 seed) | nats |  | at most 0.5 | fail |

<details>
<summary>1 more line</summary>

| metric | measured | unit |
| --- | --- | --- |
| `share/at1, 3, 7, 15, 31` | 0.5, 0.25, 0.125, 0.0625, 0.03125 (1 seed) | share |

</details>
<!-- end -->
<!-- results:later -->
Not run yet.
<!-- end -->
<!-- benchmarks -->
| row | ours, s | peer, s | ratio | limit, s | share | threads |
| --- | --- | --- | --- | --- | --- | --- |
| `toy_step` | 0.5 | 1.5 | 3 | 0.25 | 0.5 | 2 |
| `alone` | 0.125 |  |  |  |  | 1 |
<!-- end -->
The end.
"""


SERIES = (1, 3, 7, 15, 31)  # of metrics that one line tells


def readme(root: Path, *arguments: str) -> tuple[int, str]:
    command = [sys.executable, str(ROOT / "scripts" / "readme.py"), "--root", str(root), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "README.md").write_text(README)
    (tmp_path / "recipes").mkdir()
    for name in ("toy", "later"):
        (tmp_path / "recipes" / f"{name}.yaml").write_text(RECIPE)
    metrics = pd.DataFrame(
        {
            "metric": ["score/aevb", "score/aevb", "gap", *(f"share/at{k}" for k in SERIES)],
            "seed": [0, 1, 0, *[0] * 5],
            "value": [-133.0, -134.0, 0.9, 0.5, 0.25, 0.125, 0.0625, 0.03125],
        }
    )
    expect = [
        Expectation.model_validate({"metric": metric, "measures": "per image", **keys})
        for metric, keys in (
            ("score/aevb", {"reported": -130, "at_least": -134}),
            ("gap", {"at_most": 0.5}),
            ("share/*", {"unit": "share"}),
        )
    ]
    write_csv(summary(metrics, expect, "paper"), tmp_path / "results/toy/paper/summary.csv")
    (tmp_path / "results" / "benchmarks.csv").write_text(
        "name,ours,peer,unit,ratio,limit,share,threads\n"
        "toy_step,0.5,1.5,s,3,0.25,0.5,2\nalone,0.125,,s,,,,1\n"
    )
    took: dict[str, list[float | None]] = {
        "paper": [3600.0, 1800.0],
        "quick": [120.0],  # and what a GPU took
        "embedded": [15.0, None],
    }
    for preset, seconds in took.items():
        folder = tmp_path / "results" / "toy" / preset
        folder.mkdir(parents=True, exist_ok=True)
        run: dict[str, list[object]] = {
            "trials": [
                {"cell": {}, "seconds": s, "reference_seconds": 1.0, "device": "cpu: any"}
                for s in seconds
            ],
            "unfinished": [],
        }
        if preset == "quick":
            run["trials"].append({"cell": {}, "seconds": 9.0, "device": "cuda: any"})
            run["unfinished"].append("seed=2")
        run_json = {**run, "files": [path.name for path in folder.glob("*.csv")]}
        (folder / "run.json").write_text(json.dumps(run_json))
        if preset == "paper":
            publish(folder)
        else:
            (folder / "official.json").write_text(json.dumps(run))
    publish(tmp_path / "results")
    return tmp_path


def test_blocks_are_made_from_results_and_then_agree(root: Path) -> None:
    code, said = readme(root, "--check")
    assert code == 1
    assert said.startswith("README.md: stale: recipes, results:toy, results:later, benchmarks; run")
    assert "-stale" in said
    assert "+| `score/aevb` | -133.5 ± 0.5 (2 seeds) | nats | -130 | at least -134 | pass |" in said
    assert (root / "README.md").read_text() == README  # --check writes nothing

    assert readme(root) == (0, "")
    assert (root / "README.md").read_text() == GENERATED
    assert readme(root, "--check") == (0, "")
    assert readme(root) == (0, "")
    assert (root / "README.md").read_text() == GENERATED


def test_one_changed_number_is_named(root: Path) -> None:
    (root / "README.md").write_text(GENERATED.replace("-133.5", "-123.5"))
    code, said = readme(root, "--check")
    assert code == 1
    assert said.startswith("README.md: stale: results:toy; run scripts/readme.py\n")


@pytest.mark.parametrize("table", ["toy/paper/summary.csv", "benchmarks.csv"])
def test_results_that_are_not_official_change_nothing(root: Path, table: str) -> None:
    """A user's run replaces tables; what the README says of the published ones stays."""
    assert readme(root) == (0, "")
    path = root / "results" / table
    path.write_text(path.read_text().replace("0.5", "0.7"))
    assert readme(root, "--check") == (0, "")
    assert readme(root) == (0, "")
    assert (root / "README.md").read_text() == GENERATED
    publish(path.parent)
    assert readme(root, "--check")[0] == 1


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("<!-- end -->\nIn", "In", "error: README.md: a block lacks its <!-- end -->"),
        ("results:toy", "results:tyo", "error: results:tyo: there is no recipes/tyo.yaml"),
    ],
)
def test_markers_that_cannot_be_meant(root: Path, old: str, new: str, said: str) -> None:
    (root / "README.md").write_text(README.replace(old, new))
    assert readme(root) == (1, f"{said}\n")
    assert (root / "README.md").read_text() == README.replace(old, new)


def test_the_readme_agrees_with_the_committed_results() -> None:
    assert readme(ROOT, "--check") == (0, "")


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_no_link_is_dead(page: str) -> None:
    targets = re.findall(r"\]\(([^)\s#]+)[^)]*\)", (ROOT / page).read_text(encoding="utf-8"))
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (ROOT / target).exists()] == []
