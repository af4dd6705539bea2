"""Readers that go away, full disks and closed streams: no traceback, and never exit code 1."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
R = "infinite_dbn"
LISTING = {
    "help": ["--help"],
    "list": ["list"],
    "show": ["show", R],
    "check": ["check", R, "--preset", "embedded"],
    "status": ["status", R, "--preset", "embedded"],
    "diff": ["diff", f"results/{R}/paper", f"results/{R}/embedded"],
    "data list": ["data", "list"],
    "dry run": ["run", R, "--preset", "embedded", "--dry-run"],
}


def dgm(*arguments: object, **keys: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "dgm", *map(str, arguments)]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | keys
    return subprocess.run(command, text=True, cwd=ROOT, check=False, **streams)  # type: ignore[call-overload]


@pytest.fixture
def nobody() -> Iterator[int]:
    """The writing end of a pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)


@pytest.mark.parametrize("command", LISTING)
def test_a_listing_that_nobody_reads_ends_as_other_commands_in_a_pipe_do(
    command: str, nobody: int
) -> None:
    cut = dgm(*LISTING[command], stdout=nobody)
    assert (cut.returncode, cut.stderr) == (141, "")


def test_an_error_that_nobody_reads_keeps_its_code(nobody: int) -> None:
    assert dgm("show", "nothing", stdout=nobody, stderr=nobody).returncode == 2


def test_a_run_that_nobody_listens_to_is_finished(nobody: int, tmp_path: Path) -> None:
    of = ("run", R, "--preset", "embedded", "grid.part=[exact]", "--out", tmp_path)
    assert dgm(*of, stdout=nobody, stderr=nobody).returncode == 141
    assert (tmp_path / R / "embedded" / "run.json").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_an_error() -> None:
    with open("/dev/full", "w") as full:
        cut = dgm("--help", stdout=full)
    assert cut.returncode == 3
    assert cut.stderr == "error: the output cannot be written: No space left on device\n"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_streams_closed_from_the_start(closed: str) -> None:
    """No file takes the place of a closed stream, and no stream is missed."""
    command = f"'{sys.executable}' -m dgm --help {closed}"
    ran = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("Usage: dgm") == (">&-" not in closed.replace("2>&-", ""))


def test_characters_that_the_terminal_does_not_have() -> None:
    shown = dgm("check", R, "--preset", "embedded", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert (shown.returncode, shown.stderr) == (0, "")
