"""What a run was made on: cores, device, versions, commit, speed. Imports torch only to compute."""

import importlib.util
import math
import os
import platform
import re
import resource
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

from dgm.errors import BadInput

PACKAGES = ("torch", "numpy", "scipy", "pandas", "matplotlib", "scikit-learn", "safetensors")
DEVICES = ("cpu", "cuda", "mps", "xpu")  # of torch's, those that can train
MOST_THREADS = 64  # or the cores, if more; OpenMP aborts the process where it cannot start them


def cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def key(device: str, threads: int) -> dict[str, Any]:
    """What an unfinished trial may not change: torch, the kind of device, threads.

    BadInput for a device or a number of threads that no machine could run it with.
    """
    return {
        "torch": torch_version(),
        "device": device_type(device),
        "threads": check_threads(threads),
    }


@cache
def torch_version() -> str:
    """`torch.__version__`, such as "2.13.0+cpu", read from its file without importing it."""
    spec = importlib.util.find_spec("torch")
    assert spec is not None and spec.origin is not None
    text = Path(spec.origin).with_name("version.py").read_text(encoding="utf-8")
    found = re.search(r"^__version__ = ['\"](.+)['\"]$", text, re.MULTILINE)
    assert found is not None
    return found[1]


def device_type(name: str) -> str:
    """ "cuda" of "cuda:1"; BadInput for what is no device of torch's."""
    found = re.fullmatch(rf"({'|'.join(DEVICES)})(:\d+)?", name)
    if not found:
        raise BadInput(f"--device {name!r}: there is {', '.join(DEVICES)}, and by number cuda:1")
    return found[1]


def check_name(name: str) -> str:
    """The device's name itself; BadInput for what is no device of torch's."""
    device_type(name)
    return name


def check_device(name: str) -> None:
    """BadInput when torch knows no such device or this machine has none."""
    device_type(name)
    import torch

    try:
        torch.zeros(1, device=torch.device(name))
    except (RuntimeError, AssertionError) as error:  # the latter from a torch built without CUDA
        reason = " ".join(str(error).split())[:120]
        raise BadInput(f"--device {name}: is not available here ({reason})") from error


def check_threads(threads: int) -> int:
    """The number itself; BadInput for more than a process can start."""
    most = max(MOST_THREADS, cores())
    if not 1 <= threads <= most:
        raise BadInput(f"--threads {threads}: give 1 to {most}; this machine has {cores()} cores")
    return threads


def check_seconds(seconds: float) -> float:
    """The seconds between two checkpoints; BadInput where they are not a finite number."""
    if not 0 <= seconds < math.inf:  # false of nan
        raise BadInput(f"--checkpoint-every {seconds}: give a number of seconds, 0 or more")
    return seconds


def device_name(device: Any) -> str:
    """ "cpu: AMD EPYC 9354, 2 cores", or the accelerator's name."""
    kind = device_type(str(device))
    if kind == "cuda":
        import torch

        return f"cuda: {torch.cuda.get_device_name(device)}"
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next(line.split(": ")[1] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration, IndexError):
        pass
    return f"{kind}: {name}, {cores()} cores"


def versions() -> dict[str, str]:
    import importlib.metadata  # slow: `dgm --help` must not wait for it

    return {
        "dgm": importlib.metadata.version("dgm"),
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in PACKAGES},
    }


@cache
def commit() -> str | None:
    """The commit of the checkout whose dgm-cli/dgm this package is, or None where it is in none.

    "+changes" when the package or the recipes in the tree differ from it.
    """
    package = Path(__file__).resolve().parents[1]
    # A GIT_DIR of the user's, as in a hook, is of another repository.
    clean = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(package), *arguments]
        ran = subprocess.run(command, capture_output=True, text=True, check=True, env=clean)
        return ran.stdout.strip()

    try:
        top = Path(git("rev-parse", "--show-toplevel")).resolve()
        if package != top / "dgm-cli" / "dgm":  # a repository of the user's, dgm installed inside
            return None
        changed = git("status", "--porcelain", "--", str(package), str(top / "recipes/*.yaml"))
        return git("rev-parse", "HEAD") + ("+changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def peak_memory_mb() -> int:
    """The most memory this process has held so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10))


@cache
def reference_seconds() -> float:
    """Seconds for a fixed piece of work on one thread; estimates are scaled by their ratio.

    The best of many short rounds, so that other work beside it hardly counts.
    """
    import numpy as np
    from threadpoolctl import threadpool_limits

    a, b = np.ones((100, 784), np.float32), np.full((784, 100), 0.5, np.float32)
    rounds = []
    with threadpool_limits(1):
        for _ in range(90):
            started = time.perf_counter()
            for _ in range(5):
                np.tanh(a @ b)
            rounds.append(time.perf_counter() - started)
    return 10 * min(rounds)
