"""Write README.md's generated blocks from the official results, or `--check` that they agree.

A block whose results somebody has replaced by others stays as it is.

<!-- results:NAME --> ... <!-- end -->   the summary of results/NAME/paper
<!-- recipes --> ... <!-- end -->        one row a recipe: bands met, and minutes per preset
<!-- benchmarks --> ... <!-- end -->     results/benchmarks.csv
"""

import argparse
import difflib
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from dgm.engine.estimate import cpu_trials
from dgm.engine.official import is_official
from dgm.errors import DgmError
from dgm.files import atomic_write, read_csv
from dgm.recipe.load import header
from dgm.report.summary import band_text, measured_text
from dgm.text import number

BLOCK = re.compile(r"(<!-- (recipes|benchmarks|results:(\S+)) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
LONG = 5  # metrics in a series that one line tells
OPENING = re.compile(r"<!-- (recipes|benchmarks|results:\S+) -->")


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
            seeds = measured_text(of[0]).rpartition("(")[2]
            rest.append((f"`{name}`", f"{measured} ({seeds}", of[0]["unit"]))
            continue
        for row in of:
            cells = (f"`{row['metric']}`", measured_text(row), row["unit"])
            if judged(row):
                rows.append((*cells, number(row["reported"]), band_text(row), row["verdict"]))
            else:
                rest.append(cells)
    head = ("metric", "measured", "unit", "reported", "band", "verdict")
    return (table(head, rows) if rows else "") + folded(table(head[:3], rest), len(rest))


def judged(row: dict[str, Any]) -> bool:
    """Whether a metric has a band or a reported value."""
    return row["verdict"] != "info" or bool(number(row["reported"]))


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
    """What each recipe reproduces, how many bands it meets, and how long it took."""
    presets = ("paper", "quick", "embedded")
    rows = []
    for path in sorted((root / "recipes").glob("*.yaml")):
        results = root / "results" / path.stem
        took = (minutes(results / preset / "official.json") for preset in presets)
        met = bands_met(results / "paper" / "summary.csv")
        recipe = f"[`{path.stem}`](recipes/{path.name})"
        rows.append((recipe, header(path).source, met, *took))
    return table(("recipe", "reproduces", "bands met", *(f"{p}, min" for p in presets)), rows)


def bands_met(path: Path) -> str:
    """How many of a summary's bands pass, and of those that do not, how many are not measured."""
    if not path.exists():
        return ""
    verdicts = Counter(row["verdict"] for row in read_csv(path).to_dict("records"))
    bands = sum(verdicts[verdict] for verdict in ("pass", "fail", "missing"))
    missing = f", {verdicts['missing']} not measured" if verdicts["missing"] else ""
    return f"{verdicts['pass']} of {bands}{missing}"


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


def minutes(run: Path) -> str:
    """The minutes of the trials that a CPU finished, one after another; blank without a run."""
    if not run.exists():
        return ""
    about = json.loads(run.read_text(encoding="utf-8"))
    trials, of = cpu_trials(about), len(about["trials"]) + len(about.get("unfinished", []))
    took = sum(trial.get("seconds") or 0 for trial in trials) / 60
    part = f" ({len(trials)} of {of} trials)" if len(trials) < of else ""
    return (f"{took:.0f}" if took >= 10 else f"{took:.2g}") + part


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Markdown; a bar within a cell is escaped."""
    lines = [head, ["---"] * len(head), *rows]
    cells = ([cell.replace("|", r"\|") for cell in line] for line in lines)
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def sources(root: Path, block: re.Match[str]) -> list[Path]:
    """The folders of results that a block is made from."""
    results = root / "results"
    if block[2] == "recipes":
        return [results / path.stem / "paper" for path in (root / "recipes").glob("*.yaml")]
    return [results / block[3] / "paper" if block[3] else results]


def replaced(folder: Path) -> bool:
    """Whether there are results which are not the official ones."""
    return any(folder.glob("*.csv")) and not is_official(folder)


def regenerate(text: str, root: Path) -> str:
    """A README's text with each block's content made anew."""
    if len(OPENING.findall(text)) != len(BLOCK.findall(text)):
        raise DgmError("README.md: a block lacks its <!-- end -->")

    def anew(block: re.Match[str]) -> str:
        if any(map(replaced, sources(root, block))):
            return block[0]
        if block[3]:
            content = results_table(root, block[3])
        else:
            content = recipes_table(root) if block[2] == "recipes" else benchmarks_table(root)
        return block[1] + content + block[5]

    return BLOCK.sub(anew, text)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if a block is stale")
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[1])
    arguments = parser.parse_args()
    path = arguments.root / "README.md"
    try:
        old = path.read_text(encoding="utf-8")
        new = regenerate(old, arguments.root)
        if not arguments.check and new != old:
            atomic_write(path, new)
    except DgmError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if arguments.check and new != old:
        names = [
            was[2]
            for was, now in zip(BLOCK.finditer(old), BLOCK.finditer(new), strict=True)
            if was[0] != now[0]
        ]
        print(f"README.md: stale: {', '.join(names)}; run scripts/readme.py", file=sys.stderr)
        changes = difflib.unified_diff(
            old.splitlines(), new.splitlines(), "is", "should be", "", "", 0
        )
        print("\n".join(map(str.rstrip, changes)), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
