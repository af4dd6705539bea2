"""Runs that are killed, interrupted or started twice."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dgm.report.summary import read_metrics
from tests.cli.tiny import LONG, ONE, R

ROOT = Path(__file__).parents[2]


def test_ten_kills_and_resumes_leave_the_same_tables() -> None:
    """SIGKILL after each new checkpoint; what is compared is every CSV, to the byte."""
    script = [sys.executable, str(ROOT / "scripts" / "kill_and_resume.py"), "--kills", "10", R]
    arguments = ["--preset", "embedded", "--checkpoint-every", "0.1", "--jobs", "1"]
    arguments += ["samples=60_000", "grid.train_size=[500]", "grid.binarization=[dynamic]"]
    arguments += ["evaluated_images=20", "importance_samples=20", "hmc_samples=6", "evaluations=3"]
    ran = subprocess.run([*script, *arguments], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    kills, restored = ran.stdout.split()[0], int(ran.stdout.split()[2])
    assert kills == "10"
    assert restored > 10  # more than the first step of each start
    assert ran.stdout.endswith("5 tables, differ: []\n")


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Start a long run whose results go to tmp_path; it is gone when the test is over."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: object, trials: int = 1) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "dgm", "run", R, *LONG, *map(str, arguments)]
        process = subprocess.Popen(
            [*command, "--checkpoint-every", "0.2", "--out", str(tmp_path)],
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        wait_for(lambda: process.poll() is not None or len(checkpoints(tmp_path)) >= trials)
        assert process.poll() is None
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def checkpoints(out: Path) -> list[Path]:
    return list(out.glob("*/*/trials/*/state/train.safetensors"))


def wait_for(condition: Callable[[], object], seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_saves_and_says_how_to_go_on(
    running: Callable[..., "subprocess.Popen[str]"],
    here: Callable[..., str],
    jobs: int,
    number: signal.Signals,
    tmp_path: Path,
) -> None:
    earlier = tmp_path / R / "embedded" / "run.json"
    earlier.parent.mkdir(parents=True)
    earlier.write_text('{"overrides": [], "trials": [{"label": "seed=7", "seed": 7}]}')
    process = running("--jobs", jobs, "--fresh", trials=jobs)
    moment = tmp_path / "moment"
    moment.touch()
    os.kill(process.pid, number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted; 0 of 3 trials are finished" in said
    assert f"go on with:\n  dgm run {R}" in said
    assert "--fresh" not in said
    assert "Traceback" not in said
    saved = [path.stat().st_mtime for path in checkpoints(tmp_path)]
    assert len(saved) == jobs
    assert min(saved) >= moment.stat().st_mtime
    again = shlex.split(said.rpartition("go on with:")[2])
    assert "no trial is finished" in here(*again[1:], "--no-train", code=3)  # not refused


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_verify_says_what_it_compared(number: signal.Signals) -> None:
    """After the tables of a recipe that needs no data, while its trials are measured again."""
    command = [sys.executable, "-m", "dgm", "verify", "boltzmann_machine", "infinite_dbn"]
    process = subprocess.Popen(
        [*command, "--full", "--threads", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        lines = [process.stdout.readline() for _ in range(2)]
        assert lines[0] == "boltzmann_machine\n"
        tables = re.fullmatch(r"  tables: (\d+) of \1 numbers agree\n", lines[1])
        assert tables is not None, lines
        os.kill(process.pid, number)
        said, error = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    assert process.returncode == 130, error
    compared = re.search(r"^interrupted in \w+; (\d+) numbers compared: all agree$", said, re.M)
    assert compared is not None, said
    assert int(compared[1]) >= int(tables[1])
    assert "Traceback" not in error


def test_a_second_run_of_the_same_recipe_is_refused(
    running: Callable[..., "subprocess.Popen[str]"], here: Callable[..., str], tmp_path: Path
) -> None:
    same = ("grid.method=[aevb]", "samples=300_000_000")
    process = running(*same)
    line = here("run", R, *LONG, *same, "--out", tmp_path, code=3)
    assert f"another run (process {process.pid}) is writing here" in line
    here("run", R, *ONE, "--out", tmp_path / "elsewhere")


def test_a_killed_worker_costs_only_its_trial(
    running: Callable[..., "subprocess.Popen[str]"], tmp_path: Path
) -> None:
    process = running("--jobs", 2, "samples=200_000", "grid.method=[aevb, wake_sleep]")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    workers = [pid for pid in children if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()]
    os.kill(int(workers[0]), signal.SIGKILL)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 3
    assert "its process was killed by signal 9; the last checkpoint is kept" in said
    assert sum(line.startswith("finished: ") for line in said.splitlines()) == 1
    metrics = read_metrics(tmp_path / R / "embedded" / "metrics.csv")
    assert sum(metrics["metric"].str.startswith("test_log_likelihood")) == 1
