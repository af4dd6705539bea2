"""A recipe cut down to seconds, and `dgm` as a process."""

import subprocess
import sys

R = "aevb_vs_wakesleep"
TINY = [
    *("--preset", "embedded", "--jobs", "1"),
    *("samples=3000", "pilot_samples=500", "first_evaluation=1000", "evaluations=2"),
    *("evaluated_images=20", "importance_samples=20", "hmc_samples=6", "hidden=10"),
    *("grid.train_size=[500]", "grid.binarization=[none]"),
]
ONE = [*TINY, "grid.method=[aevb]"]
LONG = [argument.replace("samples=3000", "samples=3_000_000") for argument in TINY]


def dgm(*arguments: object, **keys: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "dgm", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, **keys)  # type: ignore[call-overload]
    assert "Traceback" not in done.stderr
    return done
