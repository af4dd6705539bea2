"""Write the generated blocks of README.md, recipes/*.md and docs/*.md from the official results.

`--check` writes nothing: it says which blocks are stale. A block whose results somebody has
replaced by others stays as it is.

<!-- results:NAME --> ... <!-- end -->   the summary of results/NAME/paper: reproduction, band met
<!-- runs:NAME --> ... <!-- end -->      a command a preset, the trials run, and their minutes
<!-- recipes --> ... <!-- end -->        one row a recipe: reproduced, bands met, trials, minutes;
                                         and all
<!-- benchmarks --> ... <!-- end -->     results/benchmarks.csv

Either way a recipe's page is refused that lacks one of the HEADINGS, or does not name a metric that
misses its band, is worse than reported or tells against a claim, or has a text in backticks that is
neither a metric or a file of results/NAME/paper, nor a setting of the recipe or a value of one, nor
a command.
"""

import argparse
import difflib
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatchcase
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from dgm.engine.estimate import cpu_trials
from dgm.engine.official import is_official
from dgm.errors import DgmError
from dgm.files import atomic_write, read_csv, read_json
from dgm.recipe.load import header
from dgm.report.markdown import table
from dgm.report.reproduction import DISSENTING, reproduced_text
from dgm.report.summary import band_text, measured_text, seeds_text
from dgm.text import as_given, counted, number

MISSES = "What does not hold, and why"
OPTIONAL = "Changed after a look at test data"
HEADINGS = (
    "Figures",
    "Verdict",
    "Numbers",
    "What holds",
    MISSES,
    "What differs from the paper",
    OPTIONAL,
    "Equations and files",
    "How to run it",
)
WRONG = {"worse": "is worse than reported", "fails": "tells against its claim"}
PRESETS = ("paper", "quick", "embedded")
BLOCK = re.compile(
    r"(<!-- (recipes|benchmarks|(results|runs):(\S+)) -->\n)(.*?)(<!-- end -->)", re.DOTALL
)
OPENING = re.compile(r"<!-- (recipes|benchmarks|(results|runs):\S+) -->")
MET = {"pass": "yes", "fail": "no", "missing": "not measured"}
LONG = 5  # metrics in a series that one line tells
COMMAND = re.compile("(dgm|make) .+")
# Where backticks name no metric: generated blocks, code, and links, whose targets a test follows.
ASIDE = re.compile(rf"{BLOCK.pattern}|^```.*?^```$|\[[^\]]*\]\([^)]*\)", re.DOTALL | re.MULTILINE)


def results_table(root: Path, name: str) -> str:
    """The summary of a recipe's paper preset, as Markdown: what is judged or was reported, and
    folded below it the rest."""
    path = root / "results" / name / "paper" / "summary.csv"
    if not (root / "recipes" / f"{name}.yaml").exists():
        raise DgmError(f"results:{name}: there is no recipes/{name}.yaml")
    if not path.exists():
        return "Not run yet.\n"
    rows, rest = [], []
    for _, series in groupby(read_csv(path).to_dict("records"), key=series_of):
        of = list(series)
        if len(of) >= LONG:
            ends = ", ".join(row["metric"].removeprefix(series_of(row)) for row in of)
            name, measured = f"{series_of(of[0])}{ends}", ", ".join(number(r["mean"]) for r in of)
            rest.append((f"`{name}`", measured, seeds_text(of[0]), of[0]["unit"]))
            continue
        for row in of:
            cells = (f"`{row['metric']}`", measured_text(row), seeds_text(row), row["unit"])
            if judged(row):
                band = (band_text(row), MET[row["verdict"]] if band_text(row) else "")
                rows.append((*cells, reported(row), reproduction(row), *band))
            else:
                rest.append(cells)
    head = ("metric", "measured", "seeds", "unit", "reported", "reproduction", "band", "band met")
    return (table(head, rows) if rows else "") + folded(table(head[:4], rest), len(rest))


def judged(row: dict[str, Any]) -> bool:
    """Whether a metric has a band, a reported value or a claim."""
    return row["verdict"] != "info" or not pd.isna(row["reproduction"])


def reported(row: dict[str, Any]) -> str:
    """ "1.25, lower is better", or the claim."""
    if not pd.isna(row["claim"]):
        return str(row["claim"])
    value = as_given(row["reported"])
    return f"{value}, {row['better']} is better" if value else ""


def reproduction(row: dict[str, Any]) -> str:
    """The verdict, and in brackets what limits it."""
    if pd.isna(row["reproduction"]):
        return ""
    note = "" if pd.isna(row["note"]) else f" ({row['note']})"
    return f"{row['reproduction']}{note}"


def series_of(row: dict[str, Any]) -> str:
    """What a metric shares with those that differ from it in a last number only, which one line of
    the table tells; of one with a band or a reported value, its whole name."""
    return row["metric"] if judged(row) else row["metric"].rstrip("0123456789")


def folded(content: str, rows: int) -> str:
    """A table that a reader opens; nothing where it has no rows."""
    if not rows:
        return ""
    label = f"{rows} more line" + ("s" if rows > 1 else "")
    return f"\n<details>\n<summary>{label}</summary>\n\n{content}\n</details>\n"


def recipes_table(root: Path) -> str:
    """What each recipe reproduces and how well, with how many seeds and trials, and how long it
    took; and the sums over all recipes."""
    rows, sums = [], Tally(Counter(), Counter())
    for path in sorted((root / "recipes").glob("*.yaml")):
        results = root / "results" / path.stem
        took = (minutes(results / preset / "official.json") for preset in PRESETS)
        tally = tally_of(results / "paper" / "summary.csv")
        sums = Tally(sums.reported + tally.reported, sums.bands + tally.bands)
        page = f"recipes/{path.stem}.md"
        if not (root / page).exists():
            raise DgmError(f"recipes/{path.name}: has no page; write {page}")
        run = trials(results / "paper" / "official.json")
        name = f"[`{path.stem}`]({page})"
        rows.append((name, header(path).source, *tally.cells, run, *took))
    rows.append(("all", "", *sums._replace(seeds="").cells, "", *[""] * len(PRESETS)))
    head = ("recipe", "reproduces", "reproduced", "seeds per number", "bands met", "trials")
    return table((*head, *(f"minutes: {preset}" for preset in PRESETS)), rows)


class Tally(NamedTuple):
    """How many numbers of a summary have which verdict, and how many seeds the reported ones."""

    reported: Counter[str]
    bands: Counter[str]
    seeds: str = ""

    @property
    def cells(self) -> tuple[str, str, str]:
        """ "3 of 11, 7 about, 1 not", "1 to 3", "4 of 7"; "not judged" where numbers have bands
        alone, and "not run" where there are none."""
        reproduced = reproduced_text(self.reported) or ("not judged" if self.bands else "not run")
        of = sum(self.bands[verdict] for verdict in ("pass", "fail", "missing"))
        missing = self.bands["missing"]
        met = f"{self.bands['pass']} of {of}" if of else ""
        met += f", {missing} not measured" if missing else ""
        return reproduced, self.seeds, met


def tally_of(path: Path) -> Tally:
    """Of a summary; of none where there is none."""
    if not path.exists():
        return Tally(Counter(), Counter())
    rows = read_csv(path).to_dict("records")
    reported = [row for row in rows if not pd.isna(row["reproduction"])]
    ends = sorted({row["n"] for row in reported if row["n"]})
    seeds = " to ".join(str(n) for n in dict.fromkeys((ends[0], ends[-1]))) if ends else ""
    verdicts = Counter(row["reproduction"] for row in reported)
    return Tally(verdicts, Counter(row["verdict"] for row in rows), seeds)


def benchmarks_table(root: Path) -> str:
    """What was timed against what, in seconds."""
    path = root / "results" / "benchmarks.csv"
    if not path.exists():
        return "Not run yet.\n"
    names = ("ours", "peer", "ratio", "limit", "share")
    rows = [
        (f"`{row['name']}`", *(number(row[name]) for name in names), str(row["threads"]))
        for row in read_csv(path).to_dict("records")
    ]
    head = ("row", "ours, s", "peer, s", "ratio", "limit, s", "share", "threads")
    return table(head, rows)


def runs_table(root: Path, name: str) -> str:
    """How each preset of a recipe is run, how many of its trials were, and for how long a CPU ran
    them."""
    recipe = root / "recipes" / f"{name}.yaml"
    if not recipe.exists():
        raise DgmError(f"runs:{name}: there is no recipes/{name}.yaml")
    rows = []
    for preset in header(recipe).presets:
        run = root / "results" / name / preset / "official.json"
        command = f"`dgm run {name}" + ("`" if preset == "paper" else f" --preset {preset}`")
        took = minutes(run) or "not timed yet"
        rows.append((preset, command, trials(run), took, processors(run)))
    runs = table(("preset", "command", "trials", "minutes", "processors"), rows)
    return runs + origin(root / "results" / name / "paper" / "official.json", name)


def origin(official: Path, name: str) -> str:
    """The command and the commit that wrote the paper preset's tables and figures."""
    about = read_json(official)
    if not about.get("command"):
        return ""
    at = f" at commit {about['commit'][:7]}" if about.get("commit") else ""
    return (
        f"\nTables and figures of the paper preset were last written by `{about['command']}`{at}, "
        f"each trial by the commit that `run.json` names; `dgm plot {name}` draws the "
        f"figures again.\n"
    )


def processors(run: Path) -> str:
    """On what the timed trials ran."""
    if not run.exists():
        return ""
    on_cpu = cpu_trials(json.loads(run.read_text(encoding="utf-8")))
    return "; ".join(sorted({trial["device"].removeprefix("cpu: ") for trial in on_cpu}))


def trials(run: Path) -> str:
    """ "10 of 30", the trials that were run of those that there are; blank without a run."""
    if not run.exists():
        return ""
    about = json.loads(run.read_text(encoding="utf-8"))
    done = len(about["trials"])
    return f"{done} of {done + len(about.get('unfinished', []))}"


def minutes(run: Path) -> str:
    """ "90", the minutes of the trials that a CPU ran, one after another; "90, of 41 trials" where
    a GPU ran others; blank without a run."""
    if not run.exists():
        return ""
    about = json.loads(run.read_text(encoding="utf-8"))
    on_cpu = cpu_trials(about)
    took = sum(trial.get("seconds") or 0 for trial in on_cpu) / 60
    all_of_them = len(on_cpu) == len(about["trials"])
    part = "" if all_of_them else f", of {counted(len(on_cpu), 'trial')}"
    return (f"{took:.0f}" if took >= 10 else f"{took:.2g}") + part


def sources(root: Path, block: re.Match[str]) -> list[Path]:
    """The folders of results that a block is made from, where a user's run may replace them."""
    results = root / "results"
    if block[2] == "recipes":
        return [results / path.stem / "paper" for path in (root / "recipes").glob("*.yaml")]
    if block[2] == "benchmarks":
        return [results]
    return [results / block[4] / "paper"] if block[3] == "results" else []


def replaced(folder: Path) -> bool:
    """Whether there are results which are not the official ones."""
    return any(folder.glob("*.csv")) and not is_official(folder)


def content(root: Path, block: re.Match[str]) -> str:
    """What a block should hold."""
    if any(map(replaced, sources(root, block))):
        return block[5]
    if block[3]:
        return (results_table if block[3] == "results" else runs_table)(root, block[4])
    return recipes_table(root) if block[2] == "recipes" else benchmarks_table(root)


def regenerate(page: Path, text: str, root: Path) -> str:
    """A page's text with each block's content made anew."""
    if len(OPENING.findall(text)) != len(BLOCK.findall(text)):
        raise DgmError(f"{page.relative_to(root)}: a block lacks its <!-- end -->")
    return BLOCK.sub(lambda block: block[1] + content(root, block) + block[6], text)


def check_page(page: Path, text: str, root: Path) -> None:
    """DgmError if a recipe's page lacks a heading or a missed band, or names what is not there."""
    name, label = page.stem, page.relative_to(root)
    found = re.findall(r"^## (.+)$", text, re.MULTILINE)
    wanted = [each for each in HEADINGS if each != OPTIONAL or each in found]
    if found != wanted:
        raise DgmError(f"{label}: the headings are {found}; they should be {wanted}")
    folder = root / "results" / name / "paper"
    if not (folder / "summary.csv").exists() or replaced(folder):
        return
    told = text.partition(f"## {MISSES}\n")[2].partition("\n## ")[0]
    for row in read_csv(folder / "summary.csv").to_dict("records"):
        faults = ["misses its band"] if row["verdict"] == "fail" else []
        faults += [WRONG[row["reproduction"]]] if row["reproduction"] in DISSENTING else []
        if faults and f"`{row['metric']}`" not in told:
            fault = " and ".join(faults)
            raise DgmError(f'{label}: {row["metric"]} {fault}; say why under "{MISSES}"')
    metrics = list(read_csv(folder / "metrics.csv")["metric"])
    recipe = (root / "recipes" / f"{name}.yaml").read_text(encoding="utf-8")
    words = set(re.findall(r"[\w=.]+", re.sub("#.*", "", recipe.split("\nexpect:")[0])))
    words |= defined(page, text)
    for line, quoted in names(text):
        known = quoted in words or (folder / quoted).is_file() or COMMAND.fullmatch(quoted)
        if not known and not any(fnmatchcase(metric, quoted) for metric in metrics):
            raise DgmError(
                f"{label}:{line}: `{quoted}` is no metric or file of results/{name}/paper, "
                "no setting of the recipe, no function of a linked file, and no command"
            )


def defined(page: Path, text: str) -> set[str]:
    """Functions and classes of the Python files that a page links to."""
    found: set[str] = set()
    for target in re.findall(r"\]\(([^)#]+\.py)\)", text):
        source = (page.parent / target).read_text(encoding="utf-8")
        found.update(re.findall(r"^ *(?:def|class) (\w+)", source, re.MULTILINE))
    return found


def names(text: str) -> Iterator[tuple[int, str]]:
    """What stands in backticks, with its line."""
    prose = ASIDE.sub(lambda aside: "\n" * aside[0].count("\n"), text)
    for found in re.finditer("`([^`]+)`", prose):
        yield prose.count("\n", 0, found.start()) + 1, " ".join(found[1].split())


def pages(root: Path) -> list[Path]:
    """README.md, the recipes' pages and those of docs/."""
    below = (page for folder in ("recipes", "docs") for page in sorted(root.glob(f"{folder}/*.md")))
    return [root / "README.md", *below]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if a block is stale")
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[1])
    arguments = parser.parse_args()
    root = arguments.root
    try:
        old = {page: page.read_text(encoding="utf-8") for page in pages(root)}
        new = {page: regenerate(page, text, root) for page, text in old.items()}
        for page in root.glob("recipes/*.md"):
            check_page(page, old[page], root)
    except DgmError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    stale = [page for page in old if new[page] != old[page]]
    for page in stale:
        if arguments.check:
            tell(str(page.relative_to(root)), old[page], new[page])
        else:
            atomic_write(page, new[page])
    return int(arguments.check and bool(stale))


def tell(page: str, old: str, new: str) -> None:
    """Which blocks of a page are stale, and how."""
    both = zip(BLOCK.finditer(old), BLOCK.finditer(new), strict=True)
    blocks = ", ".join(was[2] for was, now in both if was[0] != now[0])
    print(f"{page}: stale: {blocks}; run `make pages`", file=sys.stderr)
    lines = old.splitlines(), new.splitlines()
    changes = difflib.unified_diff(*lines, "is", "should be", "", "", 0)
    print("\n".join(map(str.rstrip, changes)), file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
