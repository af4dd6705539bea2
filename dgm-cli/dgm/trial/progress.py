"""Progress bars: how many trials are done, and how far each running one is. Silent off-terminal."""

import sys
from typing import Any


class Display:
    """One bar for all trials and one below it for each trial that runs."""

    def __init__(self, total: int, finished: int) -> None:
        from tqdm import tqdm

        self._tqdm = tqdm
        self._all = tqdm(total=total, initial=finished, desc="trials", unit="trial", disable=None)
        self._running: dict[str, Any] = {}
        self._phase: dict[str, str] = {}

    def update(self, label: str, phase: str, step: int, n: int) -> None:
        """Show that a running trial is at `step` of `n` in a phase."""
        if self._phase.get(label) != phase:
            if label in self._running:
                self._running[label].close()
            self._phase[label] = phase
            self._running[label] = self._tqdm(
                total=n, initial=step, desc=f"{label}: {phase}", disable=None, leave=False
            )
        bar = self._running[label]
        bar.update(step - bar.n)

    def end(self, label: str, message: str) -> None:
        """A trial is over; `message` is the one line that stays on the screen."""
        if label in self._running:
            self._running.pop(label).close()
        self._phase.pop(label, None)
        self._tqdm.write(message, file=sys.stderr)
        self._all.update(1)

    def close(self) -> None:
        for bar in [*self._running.values(), self._all]:
            bar.close()
