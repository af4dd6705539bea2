"""Kill a run with SIGKILL time and again, let it resume, and compare with one that was not.

Each kill comes once the run has saved two checkpoints since it was last started: the first is that
of its first step, which compiles and takes long. Every CSV must be the same to the byte, and state
must have been restored. Exit code 0 if so, else 1.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def start(recipe: str, arguments: list[str], out: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "dgm", "run", recipe, *arguments, "--out", str(out)]
    # A process group of its own, so that worker processes are killed with it.
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)


def newest_checkpoint(out: Path) -> int:
    """When the last of all checkpoints was written, in ns; 0 before the first."""
    times = [0]
    for path in out.glob("*/*/trials/*/state/*.safetensors"):
        try:
            times.append(path.stat().st_mtime_ns)
        except FileNotFoundError:  # its trial has just finished
            continue
    return max(times)


def run_killed(recipe: str, arguments: list[str], out: Path, kills: int) -> int:
    """Run to the end through up to `kills` kills; how many there were."""
    done = 0
    while True:
        before = newest_checkpoint(out)
        saved: set[int] = set()
        process = start(recipe, arguments, out)
        while process.poll() is None:
            saved.add(max(before, newest_checkpoint(out)))
            if done < kills and len(saved) > 2:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                done += 1
                break
            time.sleep(0.02)
        if process.returncode != -signal.SIGKILL:
            if process.returncode:
                raise SystemExit(f"the run exited with {process.returncode}")
            return done


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", nargs="?", default="aevb_vs_wakesleep")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument(
        "arguments", nargs=argparse.REMAINDER, help="of dgm run; by default --preset quick"
    )
    chosen = parser.parse_args()
    arguments = chosen.arguments or ["--preset", "quick", "--checkpoint-every", "1"]
    with tempfile.TemporaryDirectory() as folder:
        whole, killed = Path(folder, "whole"), Path(folder, "killed")
        if start(chosen.recipe, arguments, whole).wait():
            return 1
        kills = run_killed(chosen.recipe, arguments, killed, chosen.kills)
        tables = sorted(path.relative_to(whole) for path in whole.glob("*/*/*.csv"))
        differ = [
            str(table)
            for table in tables
            if (whole / table).read_bytes() != (killed / table).read_bytes()
        ]
        (manifest,) = killed.glob("*/*/run.json")
        trials = json.loads(manifest.read_text())["trials"]
    restored = sum(trial["restored_steps"] for trial in trials)
    print(f"{kills} kills, {restored} steps restored, {len(tables)} tables, differ: {differ}")
    return 0 if kills == chosen.kills and restored and tables and not differ else 1


if __name__ == "__main__":
    sys.exit(main())
