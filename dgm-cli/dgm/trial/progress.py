"""Progress: how many trials are done, and how far each running one is.

Bars on a terminal; elsewhere, such as in a log, a line a minute for each running trial. Either says
how long it will take at the pace so far.
"""

import sys
import time
from typing import Any

from dgm.text import duration

EVERY = 60.0  # seconds between two lines of a trial


class Display:
    """One bar for all trials and one below it for each trial that runs."""

    def __init__(self, total: int, finished: int) -> None:
        from tqdm import tqdm

        self._tqdm = tqdm
        self._all = tqdm(total=total, initial=finished, desc="trials", unit="trial", disable=None)
        self._running: dict[str, Any] = {}
        self._phase: dict[str, str] = {}
        self._is_log = not sys.stderr.isatty()
        self._logged: dict[str, float] = {}
        self._begun: dict[tuple[str, str], tuple[float, int]] = {}  # when, and at which step

    def update(self, label: str, phase: str, step: int, n: int) -> None:
        """Show that a running trial is at `step` of `n` in a phase."""
        if self._is_log:
            self._log(label, phase, step, n)
            return
        if self._phase.get(label) != phase:
            if label in self._running:
                self._running[label].close()
            self._phase[label] = phase
            self._running[label] = self._tqdm(
                total=n, initial=step, desc=f"{label}: {phase}", disable=None, leave=False
            )
        bar = self._running[label]
        bar.update(step - bar.n)

    def _log(self, label: str, phase: str, step: int, n: int) -> None:
        now = time.monotonic()
        begun, first = self._begun.setdefault((label, phase), (now, step))
        if now - self._logged.setdefault(label, now) >= EVERY:
            self._logged[label] = now
            text = f"{label}: {phase}, step {step:,} of {n:,}"
            if step > first:
                text += f", about {duration((now - begun) / (step - first) * (n - step))} left"
            print(text, file=sys.stderr, flush=True)

    def end(self, label: str, message: str = "") -> None:
        """A trial is over; `message`, if any, is the one line that stays on the screen."""
        if label in self._running:
            self._running.pop(label).close()
        self._phase.pop(label, None)
        if message:
            self._tqdm.write(message, file=sys.stderr)
        self._all.update(1)

    def close(self) -> None:
        for bar in [*self._running.values(), self._all]:
            bar.close()
