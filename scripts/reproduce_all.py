"""Run every recipe: first what it will take here, at last the table of `dgm check`.

Finished trials are used again, and a recipe that fails does not stop the others. The exit code
is 3 when one failed, 130 when interrupted, else that of `dgm check`.
"""

import argparse
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from dgm.engine.estimate import Estimate, estimate
from dgm.engine.load import load
from dgm.errors import DgmError
from dgm.recipe.load import all_recipes, parse_seeds
from dgm.text import duration
from dgm.trial import machine

ROOTS = (Path("results"), Path(__file__).resolve().parents[1] / "results")


def plan(preset: str, seeds: list[int] | None, roots: Sequence[Path], jobs: int) -> str:
    """What each recipe takes in this preset and in quick, and the sum of what is known."""
    lines, total, unknown = [], 0.0, False
    for path in all_recipes():
        lines.append(path.stem)
        for each in dict.fromkeys([preset, "quick"]):
            try:
                recipe = load(path, each, seeds=seeds if each == preset else None)
            except DgmError as error:  # the run itself will say so too
                lines.append(f"  {each}: {error}")
                unknown |= each == preset
                continue
            found: Estimate = estimate(recipe, roots)
            lines.append(f"  {each}: {found.text(jobs)}")
            if each == preset:
                total += found.seconds / jobs
                unknown |= found.unknown > 0
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    more = " and what was never timed" if unknown else ""
    lines.append(f"In all about {duration(total)}{more}; {free:.0f} GB of disk are free here.")
    return "\n".join(lines)


def dgm(*arguments: str) -> int:
    """Run it; a Ctrl-C reaches it too, and is left for it to answer by saving and exit code 130."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        return subprocess.run([sys.executable, "-m", "dgm", *arguments], check=False).returncode
    finally:
        signal.signal(signal.SIGINT, before)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="paper", choices=["paper", "quick", "embedded"])
    parser.add_argument("--seeds")
    parser.add_argument("--jobs", type=int, default=machine.cores())
    parser.add_argument("--out", type=Path, default=Path("results"))
    chosen = parser.parse_args()
    try:
        seeds = parse_seeds(chosen.seeds) if chosen.seeds else None
        print(plan(chosen.preset, seeds, [chosen.out, *ROOTS], chosen.jobs), flush=True)
        options = ["--preset", chosen.preset, "--out", str(chosen.out)]
        run = [*options, "--jobs", str(chosen.jobs)]
        run += ["--seeds", chosen.seeds] if chosen.seeds else []
        failed = []
        for path in all_recipes():
            print(f"\n== {path.stem}", flush=True)
            code = dgm("run", str(path), *run)
            if code == 130:
                return 130
            if code:
                failed.append(path.stem)
    except KeyboardInterrupt:
        return 130
    except DgmError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print("\n== check", flush=True)
    checked = dgm("check", *options)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 3 if failed else checked


if __name__ == "__main__":
    sys.exit(main())
