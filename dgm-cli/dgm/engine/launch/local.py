"""Where trials run: in this process, or in local processes that share the cores.

`work` runs one trial and leaves its artifacts in its folder; the launchers differ only in where
they call it. A trial that fails, or whose process is killed, does not stop the others.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Generator, Iterator
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple

from dgm.engine.plan import Planned
from dgm.errors import BadInput, DgmError
from dgm.trial import folder
from dgm.trial.progress import Display

PATIENCE = 60.0  # seconds that a process has to save its state and end


class How(NamedTuple):
    """How trials are run."""

    device: str
    threads: int
    checkpoint_every: float


class Ended(NamedTuple):
    """How a trial ended: `error` is empty when it finished, else one line."""

    label: str
    error: str = ""
    details: str = ""  # the traceback of an error that is not the user's
    interrupted: bool = False
    refused: bool = False  # its settings make no sense


@contextlib.contextmanager
def limited(threads: int) -> Iterator[None]:
    """As trials run: on so many threads, without gradients.

    A learner that differentiates says `torch.enable_grad()`.
    """
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)  # Adagrad's tiny numbers cost time and do not matter
    # BLAS is numpy's, which torch's number of threads does not bind.
    with threadpool_limits(threads, "blas"), torch.no_grad():
        yield


def work(p: Planned, how: How, display: Any) -> Ended:
    """Run one trial in this process. It leaves its artifacts, or its checkpoints, in its folder."""
    from dgm import data, experiments
    from dgm.trial.loop import Trial

    label = p.label
    try:
        folder.open_trial(p.directory, p.keys)
        trial = Trial(
            label,
            data.load(p.spec.data),
            p.spec.seed,
            folder.checkpoints(p.directory),
            how.device,
            how.checkpoint_every,
            lambda phase, step, n: display.update(label, phase, step, n),
            p.start,
        )
        with limited(how.threads):
            artifacts = experiments.trial(p.experiment).run_trial(p.spec.settings, trial)
        settings = p.spec.settings.model_dump(mode="json")
        folder.finish_trial(p.directory, p.keys, settings, artifacts, trial)
        return Ended(label)
    except KeyboardInterrupt as stop:  # its cause: why the state could not be saved
        return Ended(label, str(stop.__cause__ or ""), interrupted=True)
    except DgmError as error:
        ended = Ended(label, str(error), refused=isinstance(error, BadInput))
        if ended.refused and not folder.checkpoints(p.directory).exists():
            folder.discard(p.directory)  # nothing is lost, and it would bar the corrected run
            return ended
    except (RuntimeError, MemoryError, OSError) as error:
        ended = Ended(label, _one_line(error), traceback.format_exc())
    except Exception as error:  # a bug in one trial must not cost the others
        ended = Ended(label, f"{type(error).__name__}: {_one_line(error)}", traceback.format_exc())
    folder.fail_trial(p.directory, p.keys, ended.error)
    return ended


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


def in_process(planned: list[Planned], how: How, display: Display) -> Generator[Ended, None, None]:
    """One after another, here."""
    for p in planned:
        yield work(p, how, display)


def in_processes(
    planned: list[Planned], how: How, at_once: int, display: Display
) -> Generator[Ended, None, None]:
    """At most `at_once` processes, each of which runs one trial after another.

    A process that dies fails its trial alone and is replaced. When this generator is closed or
    interrupted, the running processes are asked to save and end.
    """
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(how.threads)  # read by the libraries when a process starts
    waiting = list(reversed(planned))
    workers: dict[Connection, _Worker] = {}
    try:
        while waiting or workers:
            while waiting and len(workers) < at_once:
                worker = _Worker(waiting.pop(), how)
                workers[worker.pipe] = worker
            for pipe in wait(list(workers)):
                assert isinstance(pipe, Connection)
                worker = workers[pipe]
                message = worker.message()
                if not isinstance(message, Ended):
                    display.update(worker.planned.label, *message)
                    continue
                if worker.process.is_alive() and waiting:
                    worker.give(waiting.pop())
                else:
                    del workers[pipe]
                    worker.dismiss()
                yield message
    finally:
        _stop([worker.process for worker in workers.values()])


class _Worker:
    """A process and the parent's end of its pipe: jobs go in, progress and endings come out."""

    def __init__(self, planned: Planned, how: How) -> None:
        self.how = how
        context = multiprocessing.get_context("spawn")  # a fork would share torch's thread pools
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_child, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()  # else the pipe would stay open after the process died
        self.give(planned)

    def give(self, planned: Planned) -> None:
        self.planned = planned
        with contextlib.suppress(OSError):  # it died meanwhile: `message` reports that
            self.pipe.send((planned, self.how))

    def message(self) -> Any:
        """(phase, step, n) or how the trial ended."""
        try:
            return self.pipe.recv()
        except (EOFError, OSError):  # it died
            self.process.join()
            p = self.planned
            if p.state().name == "finished":
                return Ended(p.label)  # it died after the work
            code = self.process.exitcode
            how = f"was killed by signal {-code}" if code and code < 0 else f"exited with {code}"
            error = f"its process {how}; the last checkpoint is kept"
            folder.fail_trial(p.directory, p.keys, error)
            return Ended(p.label, error)

    def dismiss(self) -> None:
        self.pipe.close()
        self.process.join()


def _stop(processes: list[Any]) -> None:
    for process in processes:
        process.terminate()  # SIGTERM: `Trial.steps` saves and stops
    until = time.monotonic() + PATIENCE
    for process in processes:
        process.join(max(0.0, until - time.monotonic()))
        if process.is_alive():
            process.kill()


class _Progress:
    """A worker's display: sends its progress to the parent."""

    def __init__(self, pipe: Connection) -> None:
        self.pipe = pipe

    def update(self, label: str, phase: str, step: int, n: int) -> None:
        try:
            self.pipe.send((phase, step, n))
        except OSError:  # the parent died, and its lock on the results is free
            raise KeyboardInterrupt from None


def _end_with_the_parent() -> None:
    """A killed parent's lock is free: no worker may write while the next run does."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _child(pipe: Connection) -> None:
    # A terminal sends Ctrl-C to every process; the parent alone acts on it, and asks each to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    with contextlib.suppress(EOFError, OSError):  # the parent has no more jobs, or died
        while True:
            planned, how = pipe.recv()
            ended = work(planned, how, _Progress(pipe))
            if ended.interrupted:
                break
            pipe.send(ended)
