"""Standard output and error that a command can always write to.

The reader may go away (`dgm list | head -1`), the disk may be full (`dgm list > file`), or a stream
may be closed from the start (`dgm list >&-`). A command goes on without it: the work of a run is in
its files, not in what it prints.
"""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

CUT = 141  # 128 + SIGPIPE, what a shell reports for a closed pipe


class Stream:
    """A text stream. From the first error on, which it keeps, what is written to it is dropped."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.error: OSError | None = None

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError as error:
            self._drop(error)
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self._drop(error)

    def _drop(self, error: OSError) -> None:
        self.error = error
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self._stream.fileno())  # where the rest of the buffer goes, at exit too
        os.close(null)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def streams() -> Iterator[tuple[Stream, Stream]]:
    """sys.stdout and sys.stderr as such streams; characters they cannot encode become `?`."""
    before = sys.stdout, sys.stderr
    for number in range(3):  # or else the next file that is opened would be taken for the stream
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    files = (of or os.fdopen(number, "w", closefd=False) for number, of in enumerate(before, 1))
    safe = Stream(next(files)), Stream(next(files))
    for stream in safe:
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    sys.stdout, sys.stderr = safe  # type: ignore[assignment]
    try:
        yield safe
    finally:
        for stream in safe:
            stream.flush()
        sys.stdout, sys.stderr = before


def exit_code(code: int, written: tuple[Stream, Stream]) -> int:
    """The exit code once all is written: that of an error stands, 0 and 1 ask for whole output."""
    error = next((stream.error for stream in written if stream.error), None)
    if error is None or code > 1:
        return code
    if error.errno == errno.EPIPE:
        return CUT
    print(f"error: the output cannot be written: {error.strerror}", file=sys.stderr)
    return 3
