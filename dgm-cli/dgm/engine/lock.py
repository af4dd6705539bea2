"""One run at a time in a results folder."""

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from dgm.errors import DgmError

BRIEFLY = 1.0  # seconds to wait: `is_locked` holds the lock for a moment


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Hold a results folder; DgmError where another run does.

    The system frees the lock whenever its process ends.
    """
    held, holder = _lock(folder), folder / ".holder"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held.acquire(timeout=BRIEFLY)
        holder.write_text(str(os.getpid()), encoding="utf-8")
    except Timeout as error:
        raise DgmError(
            f"{folder}: another run (process {_read(holder)}) is writing here; "
            f"wait or give --out DIR"
        ) from error
    except OSError as error:
        held.release()
        raise DgmError(
            f"{folder}: cannot be written or locked: {error.strerror or error}; "
            f"give --out DIR on a file system that can"
        ) from error
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            holder.unlink()
        held.release()


def is_locked(folder: Path) -> bool:
    """Whether a run holds a results folder now."""
    if not (folder / ".lock").exists():
        return False
    held = _lock(folder)
    try:
        held.acquire(blocking=False)
    except Timeout:
        return True
    except OSError:  # nobody can write here
        return False
    held.release()
    return False


def _lock(folder: Path) -> FileLock:
    # A soft lock would outlive a process that was killed.
    return FileLock(folder / ".lock", fallback_to_soft=False)


def _read(holder: Path) -> str:
    try:
        return holder.read_text(encoding="utf-8").strip() or "unknown"
    except (OSError, ValueError):
        return "unknown"
