"""Whatever a user runs, what the repository says of its published results still holds."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROSE = ["tests/test_pages.py", "tests/engine/test_recipes.py"]
QUICK = "results/aevb_vs_wakesleep/quick"


def run(clone: Path, *command: str, code: int = 0) -> str:
    """A command in the clone, on the clone's own package."""
    environment = os.environ | {"PYTHONPATH": str(clone / "dgm-cli")}
    done = subprocess.run(
        [sys.executable, *command], cwd=clone, env=environment, capture_output=True, text=True
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The committed state, in which a user then works."""
    if not (ROOT / ".git").exists():
        pytest.skip("no git checkout")
    path = tmp_path_factory.mktemp("user") / "dgm"
    subprocess.run(["git", "clone", "-q", "--depth=1", f"file://{ROOT}", str(path)], check=True)
    return path


def status(clone: Path) -> list[str]:
    said = subprocess.run(
        ["git", "status", "--short"], cwd=clone, capture_output=True, text=True, check=True
    )
    return [line[3:] for line in said.stdout.splitlines()]


def test_runs_of_all_kinds_leave_the_suite_green(clone: Path) -> None:
    # An embedded preset anew, with settings of the user's own: other numbers in its place.
    run(clone, "-m", "dgm", "run", "infinite_dbn", "--preset", "embedded", "--jobs", "1", "--fresh",
        "iterations=3", "epochs=1")  # fmt: skip
    # A number changed by hand, in results that are published.
    table = clone / "results/dbn_samples/embedded/summary.csv"
    table.write_text(table.read_text().replace("0.", "1.", 1))
    # A quick run cut short, and one that is asked for what it cannot have.
    start = [sys.executable, "-m", "dgm", "run", "aevb_vs_wakesleep", "--preset", "quick"]
    environment = os.environ | {"PYTHONPATH": str(clone / "dgm-cli")}
    quick = subprocess.Popen([*start, "--jobs", "1", "--checkpoint-every", "0.1", "data=digits",
        "train_size=1000"], cwd=clone, env=environment, stderr=subprocess.DEVNULL)  # fmt: skip
    until = time.monotonic() + 60
    while not list((clone / QUICK).glob("trials/*/state/*")) and time.monotonic() < until:
        time.sleep(0.05)
    quick.send_signal(signal.SIGKILL)
    quick.wait()
    # Benchmarks of the user's machine.
    benchmarks = clone / "results/benchmarks.csv"
    lines = benchmarks.read_text().splitlines()
    benchmarks.write_text("\n".join([lines[0], *reversed(lines[1:])]) + "\n")

    changed = status(clone)
    asked = ("results/infinite_dbn/embedded/", "results/dbn_samples/embedded/summary.csv",
             "results/benchmarks.csv")  # fmt: skip
    assert changed and all(path.startswith(asked) for path in changed), changed
    select = "not embedded_preset and not reproduce_all"
    run(clone, "-m", "pytest", "-q", "-p", "no:cacheprovider", *PROSE, "-k", select)
    run(clone, "-m", "dgm", "check", "infinite_dbn", "--preset", "embedded")
