"""Where trials run: in this process, or in local processes that share the cores.

`work` runs one trial and leaves its artifacts in its folder; the launchers differ only in where
they call it. A trial that fails, or whose process is killed, does not stop the others.
"""

import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, NamedTuple

from dgm.errors import DgmError
from dgm.grid import TrialSpec
from dgm.progress import Display

PATIENCE = 60.0  # seconds for a process to save and go once it was told to


@dataclass(frozen=True)
class Job:
    """A trial that is to run, and how."""

    experiment: str
    spec: TrialSpec
    directory: Path
    identity: dict[str, Any]  # what its result depends on, as in `dgm.store`
    device: str
    threads: int
    checkpoint_every: float


class Ended(NamedTuple):
    """How a trial ended: `error` is empty when it finished, else one line."""

    label: str
    error: str = ""
    details: str = ""  # the traceback of an error that is not the user's
    interrupted: bool = False


def work(job: Job, display: Any) -> Ended:
    """Run one trial in this process; its artifacts, or its checkpoints, are in its folder then."""
    import torch

    from dgm import data, store
    from dgm.recipe import experiment
    from dgm.trial import Trial

    label = job.spec.label
    try:
        torch.set_num_threads(job.threads)
        torch.set_flush_denormal(True)  # Adagrad's tiny numbers are slow and say nothing
        store.open_trial(job.directory, job.identity)
        trial = Trial(
            label,
            data.load(job.spec.data),
            job.spec.seed,
            store.checkpoints(job.directory),
            job.device,
            job.checkpoint_every,
            lambda phase, step, n: display.update(label, phase, step, n),
        )
        artifacts = experiment(job.experiment).run_trial(job.spec.settings, trial)
        store.finish_trial(job.directory, artifacts, trial)
        return Ended(label)
    except KeyboardInterrupt:
        return Ended(label, "interrupted", interrupted=True)
    except DgmError as error:
        ended = Ended(label, str(error))
    except (RuntimeError, MemoryError, OSError) as error:
        ended = Ended(label, _one_line(error), traceback.format_exc())
    except Exception as error:  # a bug in one trial is not to cost the others
        ended = Ended(label, f"{type(error).__name__}: {_one_line(error)}", traceback.format_exc())
    store.fail_trial(job.directory, ended.error)
    return ended


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


def in_process(jobs: list[Job], display: Display) -> Iterator[Ended]:
    """One after another, here."""
    for job in jobs:
        yield work(job, display)


def in_processes(jobs: list[Job], at_once: int, display: Display) -> Iterator[Ended]:
    """At most `at_once` processes, each of which runs one trial.

    When this generator is closed or interrupted, those that run are told to save and go.
    """
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(jobs[0].threads)  # read by the libraries when a process starts
    context = multiprocessing.get_context("spawn")  # a fork would share torch's thread pools
    waiting = list(reversed(jobs))
    running: dict[Connection, tuple[Any, Job]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                job = waiting.pop()
                ours, theirs = context.Pipe()
                process = context.Process(target=_child, args=(job, theirs), daemon=True)
                process.start()
                theirs.close()
                running[ours] = process, job
            for pipe in wait(list(running)):
                assert isinstance(pipe, Connection)
                process, job = running[pipe]
                try:
                    message = pipe.recv()
                except EOFError:  # it went without a word
                    process.join()
                    message = Ended(job.spec.label, _death(process.exitcode))
                if isinstance(message, Ended):
                    del running[pipe]
                    process.join()
                    yield message
                else:
                    display.update(job.spec.label, *message)
    finally:
        _stop([process for process, _ in running.values()])


def _death(code: int | None) -> str:
    how = f"killed by signal {-code}" if code and code < 0 else f"exited with {code}"
    return f"its process was {how}; the last checkpoint is kept"


def _stop(processes: list[Any]) -> None:
    for process in processes:
        process.terminate()  # SIGTERM, which `Trial.steps` takes as a wish to save
    until = time.monotonic() + PATIENCE
    for process in processes:
        process.join(max(0.0, until - time.monotonic()))
        if process.is_alive():
            process.kill()


class _Pipe:
    """What a child has for a display: says its progress to the parent."""

    def __init__(self, pipe: Connection) -> None:
        self.pipe = pipe

    def update(self, label: str, phase: str, step: int, n: int) -> None:
        try:
            self.pipe.send((phase, step, n))
        except OSError:  # the parent is gone, and with it the lock on the results
            raise KeyboardInterrupt from None


def _child(job: Job, pipe: Connection) -> None:
    # A terminal sends Ctrl-C to all; the parent alone decides, or each would hear of it twice.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        ended = work(job, _Pipe(pipe))
        pipe.send(ended)
    except (KeyboardInterrupt, OSError):
        pass
