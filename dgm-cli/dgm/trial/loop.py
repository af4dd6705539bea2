"""A trial: one cell of the grid with one seed, in a loop that can be killed and resumed."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
import torch
from safetensors import SafetensorError
from torch import Tensor

from dgm.data.dataset import Dataset
from dgm.errors import BadInput, DgmError, Diverged
from dgm.trial import checkpoint

CHECK_EVERY = 1000  # steps between two searches for numbers that are not finite
PROGRESS_EVERY = 0.2  # seconds between two reports of progress
Progress = Callable[[str, int, int], None]  # phase, steps done, steps in all


class Stateful(Protocol):
    """What a loop can save and restore: flat models, `torch.nn` modules, optimisers, samplers.

    A state may nest dicts, lists and tuples of tensors and plain values in any way. Tensors that
    appear only with the first step, such as Adam's moments, are restored too.
    """

    def state_dict(self) -> Any: ...

    def load_state_dict(self, state_dict: Any, /) -> Any: ...


class Trial:
    """Data, device, a seeded generator, and `steps`: the loop that saves itself.

    Draw from `generator` wherever a function takes one. Dropout, the initialisation of
    `torch.nn` modules and `torch.randn` without a generator draw from torch's global one; it is
    seeded here from the trial's seed, with a stream of its own, and saved too.

    `seconds` is the wall-clock time spent in the current phase; it is saved, and does not count the
    saving. `total_seconds` is that of the whole trial: all loops, those resumed included, and the
    work between them.
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
        torch.manual_seed(~seed % 2**32)  # not the seed itself: both would draw the same numbers
        self._generators = _Generators(self.generator)
        self.checkpoint_every, self.progress, self.start = checkpoint_every, progress, start
        self.seconds = 0.0
        self._begun = time.monotonic()
        self._in_loops = 0.0  # by the algorithm, in this and in earlier processes
        self._looping = 0.0  # in this process, with the saving
        self.restored = 0  # steps that were not repeated
        self.chosen: dict[str, Any] = {}
        self._rows: dict[str, list[dict[str, Any]]] = {}
        self._phases: set[str] = set()

    @property
    def total_seconds(self) -> float:
        return self._in_loops + time.monotonic() - self._begun - self._looping

    def model(self, name: str) -> Any:
        """A trained model of the trial that this one starts from, as the recipe's `uses` says."""
        from dgm.trial import models

        if self.start is None:
            raise BadInput(
                f"{self.label}: needs the model {name}; name the recipe that trains it in `uses`"
            )
        return models.load(self.start / f"{name}.safetensors", self.device)

    def choose(self, **what: Any) -> None:
        """Note what the trial chose by itself, e.g. rate=0.1, for the manifest and for errors."""
        self.chosen |= what

    def record(self, table: str, **row: Any) -> None:
        """Append a row to a table; rows travel in the checkpoint."""
        self._rows.setdefault(table, []).append(row)

    def tables(self) -> dict[str, pd.DataFrame]:
        """All recorded rows, by table."""
        return {name: pd.DataFrame(rows) for name, rows in self._rows.items()}

    def steps(self, n: int, phase: str = "train", **state: Stateful) -> Iterator[int]:
        """Yield 0 .. n - 1, resuming from the phase's checkpoint if there is one.

        A finished phase restores its last state and yields nothing: on resuming, the code between
        two loops runs again, the loops do not. A constant with infinities, such as an attention
        mask, belongs in a buffer with `persistent=False`: what is saved must be finite.
        """
        if phase in self._phases:  # it would restore the end of the first and yield nothing
            raise ValueError(f"two loops of one trial are both called {phase}")
        self._phases.add(phase)
        state = dict(generators=self._generators, **state)
        path = self.directory / f"{phase}.safetensors"
        first = self._restore(path, state) if path.exists() else 0
        self.restored += first
        before = self.seconds if first else 0.0
        self.seconds = before
        started = saved = reported = time.monotonic()
        saving = 0.0  # seconds spent on checkpoints, which are not the algorithm's
        try:
            with _interrupts_deferred() as interrupted:
                for step in range(first, n):
                    yield step
                    now = time.monotonic()
                    self.seconds = before + now - started - saving
                    stop = interrupted()  # asked once: a later signal waits for the next step
                    due = stop or step == n - 1 or now - saved >= self.checkpoint_every
                    if due or step % CHECK_EVERY == CHECK_EVERY - 1:
                        self._check_finite(phase, step, state)
                    if due:
                        self._save(path, state, step + 1)
                        saved = time.monotonic()
                        saving += saved - now
                    if stop:
                        break
                    if self.progress and now - reported >= PROGRESS_EVERY:
                        self.progress(phase, step + 1, n)
                        reported = now
        finally:  # also where the caller leaves the loop early
            self._in_loops += self.seconds
            self._looping += time.monotonic() - started

    def _check_finite(self, phase: str, step: int, state: dict[str, Stateful]) -> None:
        for place, tensor in _tensors(_states(state)).items():
            if tensor.is_floating_point() and not torch.isfinite(tensor).all():
                chosen = "".join(f", {key}={value}" for key, value in self.chosen.items())
                raise Diverged(
                    f"{phase}, step {step + 1}{chosen}: {place.replace('/', '.')} is not finite"
                    f"{self.kept(phase)}"
                )

    def kept(self, phase: str) -> str:
        """The end of an error's line: that a phase has a checkpoint, if it has one."""
        there = (self.directory / f"{phase}.safetensors").exists()
        return "; the last checkpoint before it is kept" if there else ""

    def _save(self, path: Path, state: dict[str, Stateful], step: int) -> None:
        checkpoint.write(path, _states(state), step=step, seconds=self.seconds, rows=self._rows)

    def _restore(self, path: Path, state: dict[str, Stateful]) -> int:
        try:
            saved, about = checkpoint.read(path)
            fresh = _states(state)
            if saved.keys() != fresh.keys() or not _fits(_tensors(saved), _tensors(fresh)):
                raise ValueError("it holds other tensors or other shapes")
            for name, thing in state.items():
                thing.load_state_dict(saved[name])
            self._rows, self.seconds = about["rows"], about["seconds"]
            return int(about["step"])
        except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise DgmError(
                f"{path}: not a checkpoint of this trial ({reason}); "
                f"remove {self.directory} to start it anew"
            ) from error


class _Generators:
    """A trial's generator, and torch's global ones of the CPU and of the trial's GPU."""

    def __init__(self, trial: torch.Generator) -> None:
        self.trial = trial

    def state_dict(self) -> dict[str, Tensor]:
        states = {"trial": self.trial.get_state(), "cpu": torch.get_rng_state()}
        if self.trial.device.type == "cuda":
            states["cuda"] = torch.cuda.get_rng_state(self.trial.device)
        return states

    def load_state_dict(self, states: dict[str, Tensor], /) -> None:
        self.trial.set_state(states["trial"])
        torch.set_rng_state(states["cpu"])
        if self.trial.device.type == "cuda":
            torch.cuda.set_rng_state(states["cuda"], self.trial.device)


def _states(state: dict[str, Stateful]) -> dict[str, checkpoint.Nested]:
    return {name: thing.state_dict() for name, thing in state.items()}


def _tensors(state: checkpoint.Nested) -> dict[str, Tensor]:
    """Every tensor of a state by its place."""
    tensors: dict[str, Tensor] = {}
    checkpoint.flatten(state, tensors)
    return tensors


def _fits(saved: dict[str, Tensor], fresh: dict[str, Tensor]) -> bool:
    """Whether each tensor that is there before the first step was saved with its shape and type.

    They are compared first, for `copy_` spreads a smaller tensor over a larger one.
    """
    return all(
        place in saved and (saved[place].shape, saved[place].dtype) == (tensor.shape, tensor.dtype)
        for place, tensor in fresh.items()
    )


@contextmanager
def _interrupts_deferred() -> Iterator[Any]:
    """Inside, a first SIGINT or SIGTERM only sets a flag; a second one is handled as usual.

    The first raises KeyboardInterrupt at the end, or when an error ends the block. It is lost where
    the caller leaves the loop early.
    """
    received: list[int] = []
    previous: dict[signal.Signals, Any] = {}

    def note(number: int, frame: Any) -> None:
        received.append(number)
        for each, handler in previous.items():
            signal.signal(each, handler)

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            # None: set by a program that embeds Python; we could not put it back.
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
