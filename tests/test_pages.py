"""README.md and pages: generated blocks agree with results, what is named exists, links lead on."""

import json
import re
import runpy
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from dgm.engine.official import is_official, publish
from dgm.files import read_csv, sha256, write_csv
from dgm.recipe.load import header
from dgm.recipe.schema import Expectation
from dgm.report.summary import summary

ROOT = Path(__file__).parents[1]
RECIPES = sorted(path.stem for path in (ROOT / "recipes").glob("*.yaml"))
OFFICIAL = [name for name in RECIPES if is_official(ROOT / "results" / name / "paper")]
PAGES = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"]
PAGES += sorted(
    str(p.relative_to(ROOT)) for d in ("recipes", "docs") for p in ROOT.glob(f"{d}/*.md")
)

README = """\
# A toy
<!-- recipes -->
<!-- end -->
The end.
"""
SPEED = """\
<!-- benchmarks -->
<!-- end -->
"""
PAGE = """\
# A toy

## Figures

## Verdict

## Numbers

<!-- results:NAME -->
stale
<!-- end -->

## What holds

`score/*` is high, [`as it is`](elsewhere), by `dgm run toy` and `summary.csv`.

## What does not hold, and why

`gap` is wide, with a `batch` of `7`. `slow` is so.

## What differs from the paper

## Equations and files

`Model` and `sample` in [model.py](model.py)

## How to run it

<!-- runs:NAME -->
<!-- end -->
"""
RECIPE = """\
title: A toy
source: Nobody (2024), p(x|z)
experiment: toy
data: digits
settings: {batch: 7}  # which is much
presets:
  quick: {}
expect:
  - {metric: gap, measures: a gap}
"""
README_MADE = """\
# A toy
<!-- recipes -->
| recipe | reproduces | reproduced | seeds per number | bands met | trials | minutes: paper \
| minutes: quick | minutes: embedded |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
| [`later`](recipes/later.md) | Nobody (2024), p(x\\|z) | not run |  |  |  |  |  |  |
| [`toy`](recipes/toy.md) | Nobody (2024), p(x\\|z) | 2 of 4, 1 not, 1 open | 1 to 2 | 2 of 3 \
| 2 of 2 | 90 | 2, of 1 trial | 0.25 |
| all |  | 2 of 4, 1 not, 1 open |  | 2 of 3 |  |  |  |  |
<!-- end -->
The end.
"""
SPEED_MADE = """\
<!-- benchmarks -->
| row | ours, s | peer, s | ratio | limit, s | share | threads |
| --- | --- | --- | --- | --- | --- | --- |
| `toy_step` | 0.5 | 1.5 | 3 | 0.25 | 0.5 | 2 |
| `alone` | 0.125 |  |  |  |  | 1 |
<!-- end -->
"""
RESULTS_MADE = """\
<!-- results:toy -->
| metric | measured | seeds | unit | reported | reproduction | band | band met |
| --- | --- | --- | --- | --- | --- | --- | --- |
| `score/aevb` | -133.5 ± 6.4 | 2 | nats | -130, higher is better | agrees \
(test set's share unknown) | at least -134 | yes |
| `gap` | 0.9 | 1 | nats |  |  | at most 0.5 | no |
| `lead` | 1 | 1 | nats | AEVB is ahead | holds | at least 1 | yes |
| `slow` | 3 | 1 | nats | 2, lower is better | worse (one seed; test set's share unknown) |  |  |
| `later` | not measured |  | nats | 2, lower is better | open |  |  |

<details>
<summary>1 more line</summary>

| metric | measured | seeds | unit |
| --- | --- | --- | --- |
| `share/at1, 3, 7, 15, 31` | 0.5, 0.25, 0.125, 0.0625, 0.03125 | 1 | share |

</details>
<!-- end -->
"""
RUNS_MADE = """\
<!-- runs:toy -->
| preset | command | trials | minutes | processors |
| --- | --- | --- | --- | --- |
| paper | `dgm run toy` | 2 of 2 | 90 | any |
| quick | `dgm run toy --preset quick` | 2 of 3 | 2, of 1 trial | any |

Tables and figures of the paper preset were last written by `dgm run toy --jobs 2` at commit \
0123456, each trial by the commit that `run.json` names; `dgm plot toy` draws the figures again.
<!-- end -->
"""


SERIES = (1, 3, 7, 15, 31)  # of metrics that one line tells


Pages = Callable[..., tuple[int, str]]


@pytest.fixture
def pages(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Pages:
    """`scripts/pages.py ARGUMENTS` in this process: its exit code, and what it said."""

    def call(root: Path, *arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["pages.py", "--root", str(root), *arguments])
        with pytest.raises(SystemExit) as stop:
            runpy.run_path(str(ROOT / "scripts" / "pages.py"), run_name="__main__")
        assert isinstance(stop.value.code, int)
        return stop.value.code, capsys.readouterr().err

    return call


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "README.md").write_text(README)
    for below in ("recipes", "docs"):
        (tmp_path / below).mkdir()
    (tmp_path / "docs" / "speed.md").write_text(SPEED)
    (tmp_path / "recipes" / "model.py").write_text("class Model:\n    def sample(self): ...\n")
    for name in ("toy", "later"):
        (tmp_path / "recipes" / f"{name}.yaml").write_text(RECIPE)
        (tmp_path / "recipes" / f"{name}.md").write_text(PAGE.replace("NAME", name))
    metrics = pd.DataFrame(
        {
            "metric": ["score/aevb", "score/aevb", "gap", "lead", "slow"]
            + [f"share/at{k}" for k in SERIES],
            "seed": [0, 1, *[0] * 8],
            "value": [-133.0, -134.0, 0.9, 1.0, 3.0, 0.5, 0.25, 0.125, 0.0625, 0.03125],
        }
    )
    expect = [
        Expectation.model_validate({"metric": metric, "measures": "per image", **keys})
        for metric, keys in (
            ("score/aevb", {"reported": -130, "better": "higher", "at_least": -134}),
            ("gap", {"at_most": 0.5}),
            ("lead", {"claim": "AEVB is ahead", "at_least": 1}),
            ("slow", {"reported": 2, "better": "lower"}),
            ("later", {"reported": 2, "better": "lower"}),
            ("share/*", {"unit": "share"}),
        )
    ]
    write_csv(metrics, tmp_path / "results/toy/paper/metrics.csv")
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
        timed = {"cell": {}, "reference_seconds": 1.0, "device": "cpu: any"}
        trials = [{**timed, "seconds": each} for each in seconds]
        unfinished = []
        if preset == "quick":
            trials.append({**timed, "seconds": 9.0, "device": "cuda: any"})
            unfinished.append("seed=2")
        run = {"trials": trials, "unfinished": unfinished}
        (folder / "official.json").write_text(json.dumps(run))
    left = {
        "trial": "t",
        "label": "",
        "axes": {},
        "seed": 0,
        "code": {},
        "tables": {},
        "arrays": [],
    }
    paper = tmp_path / "results" / "toy" / "paper"
    run = json.loads((paper / "official.json").read_text())
    run["trials"] = [{**left, **trial} for trial in run["trials"]]
    run["files"] = {path.name: sha256(path) for path in paper.glob("*.csv")}
    run |= {"recipe": "toy", "command": "dgm run toy --jobs 2", "commit": "0123456789"}
    (paper / "run.json").write_text(json.dumps(run))
    publish(paper)
    publish(tmp_path / "results")
    return tmp_path


def texts(root: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in root.rglob("*.md")}


def test_blocks_are_made_from_results_and_then_agree(root: Path, pages: Pages) -> None:
    before = texts(root)
    code, said = pages(root, "--check")
    assert code == 1
    assert "README.md: stale: recipes; run `make pages`" in said
    assert "recipes/toy.md: stale: results:toy, runs:toy; run" in said
    assert "-stale" in said
    assert "+| `score/aevb` | -133.5 ± 6.4 | 2 | nats | -130, higher is better | agrees (" in said
    assert texts(root) == before  # --check writes nothing

    assert pages(root) == (0, "")
    made = texts(root)
    assert made["README.md"] == README_MADE
    assert made["speed.md"] == SPEED_MADE
    assert RESULTS_MADE in made["toy.md"]
    assert RUNS_MADE in made["toy.md"]
    assert "<!-- results:later -->\nNot run yet.\n<!-- end -->" in made["later.md"]
    assert "| `dgm run later` |  | not timed yet |  |" in made["later.md"]
    assert pages(root, "--check") == (0, "")
    assert pages(root) == (0, "")
    assert texts(root) == made


def test_bands_alone_are_told_apart_from_nothing(root: Path, pages: Pages) -> None:
    """Where the paper reports no number, bands are met, and nothing is judged."""
    path = root / "results/toy/paper/summary.csv"
    frame = read_csv(path)
    write_csv(frame.assign(reproduction=None), path)
    publish(path.parent)
    assert pages(root) == (0, "")
    made = texts(root)["README.md"]
    assert "| not judged |  | 2 of 3 | 2 of 2 | 90 |" in made
    assert "| [`later`](recipes/later.md) | Nobody (2024), p(x\\|z) | not run |  |" in made


def test_one_changed_number_is_named(root: Path, pages: Pages) -> None:
    assert pages(root) == (0, "")
    page = root / "recipes" / "toy.md"
    page.write_text(page.read_text().replace("-133.5", "-123.5"))
    code, said = pages(root, "--check")
    assert code == 1
    assert said.startswith("recipes/toy.md: stale: results:toy; run `make pages`\n")


@pytest.mark.parametrize("table", ["toy/paper/summary.csv", "benchmarks.csv"])
def test_results_that_are_not_official_change_nothing(root: Path, pages: Pages, table: str) -> None:
    """A user's run replaces tables; what pages say of the published ones stays."""
    assert pages(root) == (0, "")
    made = texts(root)
    path = root / "results" / table
    path.write_text(path.read_text().replace("0.5", "0.7"))
    assert pages(root, "--check") == (0, "")
    assert pages(root) == (0, "")
    assert texts(root) == made
    publish(path.parent)
    assert pages(root, "--check")[0] == 1


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("<!-- end -->\n\n## What holds", "## What holds", ": a block lacks its <!-- end -->"),
        ("results:toy", "results:tyo", "results:tyo: there is no recipes/tyo.yaml"),
        ("runs:toy", "runs:tyo", "runs:tyo: there is no recipes/tyo.yaml"),
        ("## Verdict\n", "", ": the headings are ['Figures', 'Numbers', "),
        ("## Verdict", "## Opinion", ": the headings are ['Figures', 'Opinion', "),
        ("`score/*`", "`scor/*`", ":15: `scor/*` is no metric or file of results/toy/paper, "),
        ("`score/*`", "`score`", ":15: `score` is no metric"),
        ("`summary.csv`", "`summery.csv`", ":15: `summery.csv` is no metric"),
        ("`batch`", "`much`", ":19: `much` is no metric"),
        ("`sample`", "`simple`", ":25: `simple` is no metric"),
        ("`dgm run toy`", "`dmg run toy`", ":15: `dmg run toy` is no metric"),
        ("`gap`", "The gap", ": gap misses its band; say why under "),
        ("`slow`", "It", ": slow is worse than reported; say why under "),
    ],
)
def test_pages_that_are_refused(root: Path, pages: Pages, old: str, new: str, said: str) -> None:
    page = root / "recipes" / "toy.md"
    assert old in page.read_text()
    page.write_text(page.read_text().replace(old, new))
    before = texts(root)
    code, error = pages(root)
    assert code == 1
    assert error.startswith("error: ") and said in error
    assert texts(root) == before


def test_a_recipe_without_a_page(root: Path, pages: Pages) -> None:
    (root / "recipes" / "later.md").unlink()
    assert pages(root) == (1, "error: recipes/later.yaml: has no page; write recipes/later.md\n")


# --- the pages of this repository --------------------------------------------------------------


def test_the_pages_agree_with_the_committed_results(pages: Pages) -> None:
    assert pages(ROOT, "--check") == (0, "")


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


@pytest.mark.parametrize("name", OFFICIAL)
def test_every_expectation_matches_a_metric(name: str) -> None:
    """But for those named after a cell of the paper preset of which no seed is run yet."""
    folder = ROOT / "results" / name / "paper"
    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    held = {trial["label"].rpartition(",seed=")[0] for trial in run["trials"]}
    lacking = {label.rpartition(",seed=")[0] for label in run["unfinished"]} - held
    values = [axis.partition("=")[2] for cell in lacking for axis in cell.split(",")]
    metrics = list(read_csv(folder / "metrics.csv")["metric"])
    expect = [e for e in header(ROOT / "recipes" / f"{name}.yaml").expect if e.applies_to("paper")]
    assert expect
    unmatched = [e.metric for e in expect if not any(map(e.describes, metrics))]
    assert [metric for metric in unmatched if not any(v in metric for v in values)] == []


@pytest.mark.parametrize("name", OFFICIAL)
def test_every_figure_is_shown(name: str) -> None:
    figures = [*(ROOT / "results" / name / "paper").glob("*.png")]
    figures += (ROOT / "results" / name / "paper").glob("*.gif")
    text = (ROOT / "recipes" / f"{name}.md").read_text(encoding="utf-8")
    assert figures
    assert [f.name for f in figures if f"](../results/{name}/paper/{f.name})" not in text] == []


def links(text: str) -> list[str]:
    """Targets of links and images, but not those in code."""
    return re.findall(r"\]\(([^)\s]+)\)", re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.M))


def anchors(text: str) -> set[str]:
    """The names that GitHub gives to headings."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_no_link_is_dead(page: str) -> None:
    path = ROOT / page
    text = path.read_text(encoding="utf-8")
    dead = []
    for link in links(text):
        if "://" in link:
            continue
        target, _, anchor = link.partition("#")
        to = path.parent / target if target else path
        if not to.exists() or (anchor and anchor not in anchors(to.read_text(encoding="utf-8"))):
            dead.append(link)
    assert dead == []
    assert re.findall(r"!\[\s*\]", text) == []  # every image says what it shows


# --- snippets ------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))])
def test_the_python_of_a_page_runs(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    text = page.read_text(encoding="utf-8")
    for _, code in re.findall(r"^( *)```python\n(.*?)^\1```", text, re.DOTALL | re.MULTILINE):
        names: dict[str, Any] = {}
        exec(textwrap.dedent(code), names)
        assert len(names) > 2
