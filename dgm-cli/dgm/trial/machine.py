"""What a run was made on: cores, device, versions, commit, speed."""

import os
import platform
import resource
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

from dgm.errors import BadInput

PACKAGES = ("torch", "numpy", "scipy", "pandas", "matplotlib", "scikit-learn", "safetensors")


def cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def device_name(device: Any) -> str:
    """ "cpu: AMD EPYC 9354, 2 cores", or the accelerator's name."""
    import torch

    device = torch.device(device)
    if device.type == "cuda":
        return f"cuda: {torch.cuda.get_device_name(device)}"
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next(line.split(": ")[1] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration, IndexError):
        pass
    return f"{device.type}: {name}, {cores()} cores"


def key(device: str, threads: int) -> dict[str, Any]:
    """What an unfinished trial may not change: torch, the kind of device, threads."""
    import importlib.metadata

    kind = device.partition(":")[0]
    return {"torch": importlib.metadata.version("torch"), "device": kind, "threads": threads}


def check_device(name: str) -> None:
    """BadInput when torch knows no such device or this machine has none."""
    import torch

    try:
        torch.zeros(1, device=torch.device(name))
    except (RuntimeError, AssertionError) as error:  # the latter from a torch built without CUDA
        said = " ".join(str(error).split())[:120]
        raise BadInput(f"--device {name}: is not to be had here ({said})") from error


def versions() -> dict[str, str]:
    import importlib.metadata  # not for `dgm --help` to wait for

    return {
        "dgm": importlib.metadata.version("dgm"),
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in PACKAGES},
    }


@cache
def commit() -> str | None:
    """The commit of the package's checkout, with "+changes" when the package or the recipes in the
    tree differ from it."""
    here = Path(__file__).resolve().parent

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(here), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        recipes = str(Path(git("rev-parse", "--show-toplevel")) / "recipes")
        changed = git("status", "--porcelain", "--", str(here), recipes)
        return git("rev-parse", "HEAD") + ("+changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def peak_memory_mb() -> int:
    """The most memory this process has held so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10))


@cache
def reference_seconds() -> float:
    """Seconds for a fixed piece of work on one thread; estimates are scaled by their ratio."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    a, b = torch.ones(100, 784), torch.full((784, 100), 0.5)
    rounds = []
    for _ in range(9):
        started = time.perf_counter()
        for _ in range(50):
            torch.tanh(a @ b)
        rounds.append(time.perf_counter() - started)
    torch.set_num_threads(threads)
    return min(rounds)
