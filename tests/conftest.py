"""One thread for the tests and what they start: tiny products gain nothing from more."""

import os
import signal
import sys
from collections.abc import Callable

import pytest

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = "1"

LONGEST = ("test_recipes.py", "test_interrupted.py")  # minutes, and a file is one process's work


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, so that at the end no process waits for another."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


# A shell that starts the tests in the background ignores it, and so would all that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """`dgm ARGUMENTS` in this process: checks the exit code (None: any), returns what was said."""
    from dgm import cli

    def call(*arguments: object, code: int | None = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["dgm", *map(str, arguments)])
        before = signal.getsignal(signal.SIGTERM)
        with pytest.raises(SystemExit) as stop:
            cli.main()
        signal.signal(signal.SIGTERM, before)
        captured = capsys.readouterr()
        said = captured.out + captured.err
        assert code in (None, stop.value.code), said
        assert "Traceback" not in said
        if code in (2, 3):
            (line,) = (x for x in captured.err.splitlines() if x.lower().startswith("error: "))
            return line
        return said

    return call
