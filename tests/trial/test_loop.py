"""Trials: a loop stopped anywhere and taken up again ends where an uninterrupted one does."""

import errno
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pandas as pd
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

import dgm.trial.checkpoint
import dgm.trial.loop
import dgm.trial.progress
from dgm.data.batches import Minibatches
from dgm.data.dataset import Dataset
from dgm.errors import DgmError, Diverged
from dgm.files import atomic_write
from dgm.learning.aevb import AEVB
from dgm.models.vae import VAE
from dgm.protocols.spacing import log_spaced
from dgm.trial.loop import Trial
from dgm.trial.snapshots import Best, Snapshots

IMAGES = torch.rand(22, 6, generator=torch.Generator().manual_seed(1))
DATA = Dataset("toy", IMAGES, IMAGES[:4], IMAGES[:4], (2, 3))
TRAIN, EVALUATE = 10, 4  # steps of the two phases
NEVER = 1e9  # seconds between two checkpoints
Hook = Callable[[str, int], None]  # called in the loop's body with phase and step


class End(NamedTuple):
    """All that a trial may carry on to, and the steps that it took."""

    tensors: dict[str, Tensor]
    tables: dict[str, pd.DataFrame]
    taken: list[tuple[str, int]]


def new_trial(folder: Path, checkpoint_every: float = NEVER, **options: Any) -> Trial:
    return Trial("seed=7", DATA, 7, folder, checkpoint_every=checkpoint_every, **options)


def learn(trial: Trial, hook: Hook = lambda phase, step: None) -> End:
    """Two phases, with draws and rows in either and between them."""
    model = VAE(visible=6, hidden=5, latent_dim=2)
    model.initialise(0.3, trial.generator)
    batches = Minibatches(trial.data.train, 4, trial.generator, dynamic=True)
    learner = AEVB(model, 22, 0.1, trial.generator)
    path = Snapshots(model.flat, [1, 6, TRAIN])
    taken = []
    for step in trial.steps(TRAIN, model=model, batches=batches, learner=learner, path=path):
        learner.update(*batches.draw())
        path.keep(step + 1, trial.seconds)
        trial.record("norms", step=step, norm=model.flat.norm().item(), whole=step == 3)
        taken.append(("train", step))
        hook("train", step)
    trial.record("between", draw=torch.rand((), generator=trial.generator).item())
    for step in trial.steps(EVALUATE, phase="evaluate"):
        draw = torch.randn((), generator=trial.generator).item()
        trial.record("norms", step=step, norm=draw * path.vectors.norm().item())
        taken.append(("evaluate", step))
        hook("evaluate", step)
    tensors = {
        "model": model.flat,
        "order": batches.order,
        "position": torch.tensor(batches.position),
        "squares": learner.optimiser.squares,
        "snapshots": path.vectors,
        "generator": trial.generator.get_state(),
    }
    return End(tensors, trial.tables(), taken)


def assert_same(a: End, b: End) -> None:
    """Bit for bit, but for the steps that were not taken again."""
    for name, tensor in a.tensors.items():
        assert torch.equal(tensor, b.tensors[name]), name
    for name, table in a.tables.items():
        pd.testing.assert_frame_equal(table, b.tables[name], check_exact=True)


def step_of(checkpoint: Path) -> str:
    with safe_open(checkpoint, framework="pt") as file:
        about: str = file.metadata()["about"]
    return about.split(",")[0]


@pytest.fixture
def handlers() -> Iterator[None]:
    """SIGTERM is made harmless to pytest, and both signals are put back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class FakeTime:
    """Stands for the module `time`; advances only when told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        for module in (dgm.trial.loop, dgm.trial.progress):
            monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: self.now))

    def advance(self, seconds: float) -> None:
        self.now += seconds


# --- stopping and going on --------------------------------------------------------------------


def test_all_steps_are_yielded_once(tmp_path: Path) -> None:
    trial = new_trial(tmp_path)
    end = learn(trial)
    expected = [("train", step) for step in range(TRAIN)]
    assert end.taken == expected + [("evaluate", step) for step in range(EVALUATE)]
    assert list(end.tables["norms"]["step"]) == [step for _, step in end.taken]
    assert trial.restored == 0
    assert list(trial.steps(0, phase="none")) == []
    assert not (tmp_path / "none.safetensors").exists()


STOPS = [("train", 1), ("train", 4), ("train", 9), ("evaluate", 1), ("evaluate", 3)]


@pytest.mark.parametrize("at", STOPS)
@pytest.mark.parametrize("how", ["exception", "SIGINT", "SIGTERM"])
def test_a_stopped_loop_goes_on(
    tmp_path: Path, handlers: None, how: str, at: tuple[str, int]
) -> None:
    """Oracle: the same trial, uninterrupted. A signal saves; before an exception, time did."""
    stop: type[BaseException] = ZeroDivisionError if how == "exception" else KeyboardInterrupt

    def hook(phase: str, step: int) -> None:
        if (phase, step) == at and how == "exception":
            raise ZeroDivisionError
        if (phase, step) == at:
            os.kill(os.getpid(), signal.Signals[how])

    with pytest.raises(stop):
        learn(new_trial(tmp_path / "a", 0.0 if how == "exception" else NEVER), hook)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is signal.default_int_handler
    phase, step = at
    done = step + (how != "exception") + (TRAIN if phase == "evaluate" else 0)

    trial = new_trial(tmp_path / "a")
    again = learn(trial)
    whole = learn(new_trial(tmp_path / "b"))
    assert (trial.restored, again.taken) == (done, whole.taken[done:])
    assert_same(again, whole)


def test_a_loop_stopped_again_and_again_goes_on(tmp_path: Path, handlers: None) -> None:
    def interrupt(phase: str, step: int) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    for done in range(TRAIN + EVALUATE):
        trial = new_trial(tmp_path / "a")
        with pytest.raises(KeyboardInterrupt):
            learn(trial, interrupt)
        assert trial.restored == done
    finished = new_trial(tmp_path / "a")
    end = learn(finished)
    assert (finished.restored, end.taken) == (TRAIN + EVALUATE, [])
    assert_same(end, learn(new_trial(tmp_path / "b")))


def test_a_closed_generator_leaves_its_last_checkpoint(tmp_path: Path, handlers: None) -> None:
    model = VAE(visible=6, hidden=5, latent_dim=2)
    loop = new_trial(tmp_path, 0.0).steps(5, model=model)
    for _ in range(3):
        model.flat.add_(next(loop) + 1)
    loop.close()  # type: ignore[attr-defined]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    trial, again = new_trial(tmp_path), VAE(visible=6, hidden=5, latent_dim=2)
    assert next(trial.steps(5, model=again)) == 2
    assert trial.restored == 2
    assert torch.equal(again.flat, torch.full_like(again.flat, 1 + 2))  # without the third


def test_a_thread_runs_trials_too(tmp_path: Path) -> None:
    """Signals are the main thread's; the loop does without them elsewhere."""
    ends: list[End] = []
    thread = threading.Thread(target=lambda: ends.append(learn(new_trial(tmp_path / "a"))))
    thread.start()
    thread.join()
    assert_same(ends[0], learn(new_trial(tmp_path / "b")))


def test_two_loops_of_one_name_are_refused(tmp_path: Path) -> None:
    trial = new_trial(tmp_path)
    assert list(trial.steps(2)) == [0, 1]
    with pytest.raises(ValueError, match="two loops of one trial are both called train"):
        next(trial.steps(2))


# --- signals ----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_takes_its_usual_course(
    tmp_path: Path, handlers: None, number: signal.Signals
) -> None:
    reached = []
    with pytest.raises(KeyboardInterrupt):  # by the handler, amid the step
        for step in new_trial(tmp_path).steps(3):
            os.kill(os.getpid(), signal.SIGTERM)
            reached.append(step)
            os.kill(os.getpid(), number)
            reached.append(-1)
    assert reached == [0]
    assert list(tmp_path.iterdir()) == []  # nothing was saved


def test_an_ignored_signal_stays_ignored(tmp_path: Path, handlers: None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for _ in new_trial(tmp_path).steps(3):
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    assert step_of(tmp_path / "train.safetensors") == '{"step": 3'


def test_no_signal_is_lost_after_the_last_step(
    tmp_path: Path, handlers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that comes after the last save, here while progress is told."""
    monkeypatch.setattr(dgm.trial.loop, "PROGRESS_EVERY", 0.0)

    def progress(phase: str, done: int, n: int) -> None:
        if done == n:
            os.kill(os.getpid(), signal.SIGINT)

    trial = new_trial(tmp_path, progress=progress)
    with pytest.raises(KeyboardInterrupt):
        list(trial.steps(3))
    assert step_of(tmp_path / "train.safetensors") == '{"step": 3'


def test_a_signal_never_stops_the_loop_unsaved(
    tmp_path: Path, handlers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that comes while the state is looked at, after it was settled not to save."""
    monkeypatch.setattr(dgm.trial.loop, "CHECK_EVERY", 1)

    class Interrupting(VAE):
        def state_dict(self) -> dict[str, Tensor]:
            if not (tmp_path / "sent").exists():
                (tmp_path / "sent").touch()
                os.kill(os.getpid(), signal.SIGINT)
            return super().state_dict()

    with pytest.raises(KeyboardInterrupt):
        list(new_trial(tmp_path).steps(5, model=Interrupting(6, 5, 2)))
    assert step_of(tmp_path / "train.safetensors") == '{"step": 2'


# --- time -------------------------------------------------------------------------------------


def test_seconds_add_up_and_leave_out_the_saving(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock by hand: a step takes 1 s, a checkpoint 100, what lies between two runs 1000."""
    clock = FakeTime(monkeypatch)

    def slow_write(path: Path, content: bytes | str) -> None:
        clock.advance(100)
        atomic_write(path, content)

    def hook(phase: str, step: int) -> None:
        clock.advance(1)
        if step == stop:
            raise ZeroDivisionError

    monkeypatch.setattr(dgm.trial.checkpoint, "atomic_write", slow_write)
    stop = 6
    trial = new_trial(tmp_path, 2.0)
    with pytest.raises(ZeroDivisionError):
        learn(trial, hook)
    assert (clock.now, trial.seconds) == (100 + 7 + 300, 6)  # saved after steps 2, 4 and 6
    clock.advance(1000)
    stop = -1
    trial = new_trial(tmp_path, 2.0)
    learn(trial, hook)
    assert (trial.restored, trial.seconds, trial.total_seconds) == (6, EVALUATE, TRAIN + EVALUATE)
    finished = new_trial(tmp_path, 2.0)
    learn(finished)
    assert (finished.seconds, finished.total_seconds) == (EVALUATE, TRAIN + EVALUATE)


def test_seconds_of_a_loop_that_is_left_early_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeTime(monkeypatch)
    trial = new_trial(tmp_path)
    for step in trial.steps(10, model=VAE(6, 5, 2)):
        if step == 3:
            break
        clock.advance(1)
    assert trial.total_seconds == 3


def test_seconds_of_a_trial_count_the_work_outside_its_loops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeTime(monkeypatch)
    trial = new_trial(tmp_path)
    clock.advance(20)
    for _ in trial.steps(3, model=VAE(6, 5, 2)):
        clock.advance(1)
    clock.advance(300)
    assert trial.total_seconds == 323
    resumed = new_trial(tmp_path)
    clock.advance(20)
    assert not list(resumed.steps(3, model=VAE(6, 5, 2)))
    assert resumed.total_seconds == 23


@pytest.mark.parametrize(
    ("every", "saved"),
    [(0.0, [1, 2, 3, 4, 5]), (2.0, [2, 4, 5]), (3.0, [3, 5]), (NEVER, [5])],
)
def test_checkpoints_follow_the_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: float, saved: list[int]
) -> None:
    clock = FakeTime(monkeypatch)
    written = []
    monkeypatch.setattr(Trial, "_save", lambda self, path, state, step: written.append(step))
    for _ in new_trial(tmp_path, every).steps(5):
        clock.advance(1)
    assert written == saved


def test_progress_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most every 0.2 s, with the steps that are done in all, those restored among them."""
    clock = FakeTime(monkeypatch)
    said: list[tuple[str, int, int]] = []

    def run() -> None:
        trial = new_trial(tmp_path, 0.0, progress=lambda *word: said.append(word))
        for step in trial.steps(6, phase="walk"):
            clock.advance(0.125)
            if step == 2 and trial.restored == 0:
                break

    run()
    assert said == [("walk", 2, 6)]
    run()
    assert said[1:] == [("walk", 4, 6), ("walk", 6, 6)]


# --- what may go wrong ------------------------------------------------------------------------


def test_a_checkpoint_is_named_only_where_there_is_one(tmp_path: Path) -> None:
    trial = new_trial(tmp_path / "state", float("inf"))
    model = VAE(visible=6, hidden=5, latent_dim=2)
    with pytest.raises(Diverged, match=r"^train, step 2: model\.parameters is not finite$"):
        for _ in trial.steps(2, model=model):
            model.flat[3] = torch.nan


def test_a_state_that_is_not_finite_is_not_saved(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    trial = new_trial(folder, 0.0)
    trial.choose(rate=0.1)
    trial.choose(batch=4)
    model = VAE(visible=6, hidden=5, latent_dim=2)
    before = b""
    message = (
        r"^train, step 4, rate=0\.1, batch=4: model\.parameters is not finite; "
        r"the last checkpoint before it is kept$"
    )
    with pytest.raises(Diverged, match=message) as caught:
        for step in trial.steps(6, model=model):
            if step == 3:
                before = (folder / "train.safetensors").read_bytes()
                model.flat[5] = torch.nan
    assert caught.value.exit_code == 3
    assert (folder / "train.safetensors").read_bytes() == before
    assert step_of(folder / "train.safetensors") == '{"step": 3'


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_divergence_is_seen_without_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    monkeypatch.setattr(dgm.trial.loop, "CHECK_EVERY", 3)
    for n, step in ((20, 6), (5, 5)):  # every third step, and the last
        model = VAE(visible=6, hidden=5, latent_dim=2)
        with pytest.raises(Diverged, match=f"^train, step {step}: model.parameters"):
            for i in new_trial(tmp_path).steps(n, model=model):
                if i == 3:
                    model.flat[0] = value
    assert list(tmp_path.iterdir()) == []


def loop(folder: Path, model: VAE, checkpoint_every: float = NEVER) -> Trial:
    trial = new_trial(folder, checkpoint_every)
    for step in trial.steps(3, model=model):
        model.flat.fill_(step + 1)
    return trial


@pytest.mark.parametrize("name", ["truncated", "empty", "text", "pickle", "bare", "folder"])
def test_a_damaged_checkpoint(tmp_path: Path, name: str) -> None:
    path = tmp_path / "train.safetensors"
    loop(tmp_path, VAE(visible=6, hidden=5, latent_dim=2))
    whole = path.read_bytes()
    path.unlink()
    if name == "truncated":
        path.write_bytes(whole[:-7])
    elif name == "pickle":
        torch.save({"generator": torch.Generator().get_state()}, path)
    elif name == "bare":
        save_file({"generator": torch.Generator().get_state()}, path)
    elif name == "folder":
        path.mkdir()
    else:
        path.write_text("step 3\n" if name == "text" else "")
    with pytest.raises(DgmError) as caught:
        loop(tmp_path, VAE(visible=6, hidden=5, latent_dim=2))
    said = str(caught.value)
    assert said.startswith(f"{path}: not a checkpoint of this trial (")
    assert said.endswith(f"); remove {tmp_path} to start it anew")
    assert "\n" not in said


def test_a_checkpoint_of_other_shapes(tmp_path: Path) -> None:
    """Also where `Tensor.copy_` would spread one number over all."""
    one = Snapshots(torch.zeros(1), [1])
    list(new_trial(tmp_path).steps(2, path=one))
    three, model = Snapshots(torch.zeros(3), [1]), VAE(visible=6, hidden=5, latent_dim=2)
    for state in ({"path": three}, {"path": one, "model": model}, {"model": model}, {}):
        with pytest.raises(DgmError, match="other tensors or other shapes") as caught:
            list(new_trial(tmp_path).steps(2, **state))
        assert "\n" not in str(caught.value)
    assert list(new_trial(tmp_path).steps(2, path=one)) == []


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_keeps_the_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def fill(phase: str, step: int) -> None:
        if (phase, step) == ("train", 6):
            monkeypatch.setattr(os, call, fail)

    path = tmp_path / "a" / "train.safetensors"
    with pytest.raises(DgmError) as caught:
        learn(new_trial(tmp_path / "a", 0.0), fill)
    assert str(caught.value) == f"{path}: cannot be written: No space left on device"
    monkeypatch.undo()
    assert list(path.parent.iterdir()) == [path]
    assert step_of(path) == '{"step": 6'
    assert_same(learn(new_trial(tmp_path / "a")), learn(new_trial(tmp_path / "b")))


# --- snapshots --------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_snapshots_are_copies_at_the_chosen_steps(dtype: torch.dtype) -> None:
    vector = torch.zeros(3, dtype=dtype)
    path = Snapshots(vector, [2, 3, 7])
    for step in range(1, 8):
        vector.fill_(step / 3)
        path.keep(step, 0.1 * step)
    expected = torch.tensor([2.0, 3.0, 7.0], dtype=dtype)[:, None].expand(3, 3) / 3
    assert torch.equal(path.vectors, expected)
    assert path.seconds.tolist() == [0.1 * step for step in (2, 3, 7)]

    again = Snapshots(vector, [2, 3, 7])
    again.load_state_dict(path.state_dict())
    again.keep(3, 5.0)  # its own again, not the other's
    assert torch.equal(path.vectors, expected)
    assert torch.equal(again.vectors[[0, 2]], expected[[0, 2]])
    assert torch.equal(again.vectors[1], vector)
    assert again.seconds.tolist() == [0.1 * 2, 5.0, 0.1 * 7]


def test_the_best_is_kept_over_a_restart() -> None:
    vector = torch.zeros(3)
    best = Best(vector)
    assert torch.isfinite(best.score)  # or no checkpoint would take it
    for step, score in enumerate([-5.0, -2.0, float("nan"), -3.0], start=1):
        vector.fill_(step)
        best.offer(score, step)
    again = Best(vector)
    again.load_state_dict({name: tensor.clone() for name, tensor in best.state_dict().items()})
    again.offer(-2.0, 5)  # not above
    for kept in (best, again):
        assert (kept.vector.tolist(), kept.score.item(), int(kept.step)) == ([2.0] * 3, -2.0, 2)
    again.offer(-1.0, 6)
    assert (again.vector[0].item(), int(again.step)) == (4.0, 6)
    assert best.vector[0].item() == 2.0


def test_log_spaced() -> None:
    assert log_spaced(10, 1000, 3) == [10, 100, 1000]
    assert log_spaced(0, 100, 3) == [1, 10, 100]
    assert log_spaced(7, 3, 5) == [3]
    assert log_spaced(1, 4, 40) == [1, 2, 3, 4]
    assert log_spaced(1, 100, 1) == [100]
