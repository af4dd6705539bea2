"""A trial: one cell of the grid with one seed, in a loop that can be killed and taken up again."""

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from dgm.data.dataset import Dataset
from dgm.errors import BadInput, DgmError, Diverged
from dgm.files import atomic_write

CHECK_EVERY = 1000  # steps between two looks for numbers that are not finite
SAY_EVERY = 0.2  # seconds between two words on progress
Progress = Callable[[str, int, int], None]  # phase, steps done, steps in all


class Stateful(Protocol):
    """What a loop can save and restore."""

    def state_dict(self) -> dict[str, Tensor]: ...

    def load_state_dict(self, state: dict[str, Tensor]) -> None: ...


class Trial:
    """Data, device, a seeded generator, and `steps`: the loop that saves itself.

    `seconds` is the wall-clock time spent in the current phase and `total_seconds` that in all
    the phases so far; both are saved, and neither counts the saving.
    """

    def __init__(
        self,
        label: str,
        data: Dataset,
        seed: int,
        directory: Path,
        device: torch.device | str = "cpu",
        checkpoint_every: float = 30.0,
        progress: Progress | None = None,
        start: Path | None = None,
    ) -> None:
        self.label, self.data, self.seed, self.directory = label, data, seed, directory
        self.device = torch.device(device)
        self.generator = torch.Generator(self.device).manual_seed(seed)
        self.checkpoint_every, self.progress, self.start = checkpoint_every, progress, start
        self.seconds = self.total_seconds = 0.0
        self.restored = 0  # steps that were not taken again
        self.chosen: dict[str, Any] = {}
        self._rows: dict[str, list[dict[str, Any]]] = {}
        self._phases: set[str] = set()

    def model(self, name: str) -> Any:
        """A trained model of the trial that this one starts from, as the recipe's `uses` says."""
        from dgm.trial import models

        if self.start is None:
            raise BadInput(f"{self.label}: needs a recipe with uses, for the model {name}")
        return models.load(self.start / f"{name}.safetensors", self.device)

    def choose(self, **what: Any) -> None:
        """Note what the trial settled itself, e.g. rate=0.1, for the manifest and for errors."""
        self.chosen |= what

    def record(self, table: str, **row: Any) -> None:
        """Append a row to a table; rows travel in the checkpoint."""
        self._rows.setdefault(table, []).append(row)

    def tables(self) -> dict[str, pd.DataFrame]:
        """All that was recorded."""
        return {name: pd.DataFrame(rows) for name, rows in self._rows.items()}

    def steps(self, n: int, phase: str = "train", **state: Stateful) -> Iterator[int]:
        """Yield 0 .. n - 1, going on from the phase's checkpoint if there is one.

        A phase that was finished restores its end state and yields nothing: the code between two
        loops is computed again, the loops are not.
        """
        if phase in self._phases:  # it would restore the end of the first and yield nothing
            raise ValueError(f"two loops of one trial are both called {phase}")
        self._phases.add(phase)
        path = self.directory / f"{phase}.safetensors"
        first = self._restore(path, state) if path.exists() else 0
        self.restored += first
        before = self.seconds if first else 0.0
        self.seconds = before
        started = saved = said = time.monotonic()
        outside = 0.0  # seconds spent on checkpoints, which are not the algorithm's
        try:
            with _interrupts_deferred() as interrupted:
                for step in range(first, n):
                    yield step
                    now = time.monotonic()
                    self.seconds = before + now - started - outside
                    stop = interrupted()  # once: what comes after this look waits for the next step
                    due = stop or step == n - 1 or now - saved >= self.checkpoint_every
                    if due or step % CHECK_EVERY == CHECK_EVERY - 1:
                        self._check_finite(phase, step, state)
                    if due:
                        self._save(path, state, step + 1)
                        saved = time.monotonic()
                        outside += saved - now
                    if stop:
                        break
                    if self.progress and now - said >= SAY_EVERY:
                        self.progress(phase, step + 1, n)
                        said = now
        finally:  # the caller may have seen enough
            self.total_seconds += self.seconds

    def _check_finite(self, phase: str, step: int, state: dict[str, Stateful]) -> None:
        for name, thing in state.items():
            for key, tensor in thing.state_dict().items():
                if tensor.is_floating_point() and not torch.isfinite(tensor).all():
                    chosen = "".join(f", {key}={value}" for key, value in self.chosen.items())
                    raise Diverged(
                        f"{phase}, step {step + 1}{chosen}: {name}.{key} is not finite; "
                        f"the last checkpoint before it is kept"
                    )

    def _tensors(self, state: dict[str, Stateful]) -> dict[str, Tensor]:
        tensors = {
            f"{name}/{key}": tensor.detach().cpu().contiguous()
            for name, thing in state.items()
            for key, tensor in thing.state_dict().items()
        }
        return tensors | {"generator": self.generator.get_state()}

    def _save(self, path: Path, state: dict[str, Stateful], step: int) -> None:
        about = {"step": step, "seconds": self.seconds, "rows": self._rows}
        atomic_write(path, save(self._tensors(state), {"about": json.dumps(about)}))

    def _restore(self, path: Path, state: dict[str, Stateful]) -> int:
        try:
            with safe_open(path, framework="pt") as file:
                about = json.loads(file.metadata()["about"])
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            # Compared first, for `copy_` spreads a smaller tensor over a larger one.
            if _shapes(tensors) != _shapes(self._tensors(state)):
                raise ValueError("it holds other tensors or other shapes")
            for name, thing in state.items():
                head = f"{name}/"
                thing.load_state_dict(
                    {k.removeprefix(head): v for k, v in tensors.items() if k.startswith(head)}
                )
            self.generator.set_state(tensors["generator"])
            self._rows, self.seconds = about["rows"], about["seconds"]
            return int(about["step"])
        except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
            said = " ".join(str(error).split())
            raise DgmError(
                f"{path}: not a checkpoint of this trial ({said}); "
                f"without {self.directory} it starts anew"
            ) from error


def _shapes(tensors: dict[str, Tensor]) -> dict[str, tuple[torch.Size, torch.dtype]]:
    return {key: (tensor.shape, tensor.dtype) for key, tensor in tensors.items()}


@contextmanager
def _interrupts_deferred() -> Iterator[Any]:
    """Within, SIGINT and SIGTERM only set a flag; a second one takes its usual course.

    At the end, or where an error comes between, a first one is a KeyboardInterrupt. A caller that
    leaves the loop early loses it.
    """
    received: list[int] = []
    previous: dict[signal.Signals, Any] = {}

    def note(number: int, frame: Any) -> None:
        received.append(number)
        for each, handler in previous.items():
            signal.signal(each, handler)

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            # None: set by a program that Python is part of, and not for us to put back.
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                previous[number] = signal.signal(number, note)
    try:
        yield lambda: bool(received)
    except Exception as error:
        if received:
            raise KeyboardInterrupt from error
        raise
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    if received:
        raise KeyboardInterrupt
