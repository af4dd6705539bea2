"""The one rule: cells that results hold are among those of a new run, or nothing is touched."""

import errno
import json
import shutil
from threading import Timer
from types import ModuleType
from typing import Any

import pytest
from filelock import FileLock

from dgm.engine import status
from dgm.engine.load import load
from dgm.engine.lock import is_locked, lock
from dgm.engine.plan import Options
from dgm.errors import BadInput, DgmError
from tests.engine.test_results import content, metrics, run_json
from tests.engine.toy import FOLDER, experiment, go, write

__all__ = ["experiment"]
pytestmark = pytest.mark.usefixtures("experiment")


@pytest.mark.parametrize("extend", [False, True])
@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize(
    ("overrides", "seeds", "lost"),
    [
        ((), [1], "2 trials (variant=None,seed=0, ...)"),
        ((), [2, 3], "4 trials (variant=None,seed=0, ...)"),
        (("hidden=6",), None, "4 trials"),
        (("grid.variant=[small]",), None, "2 trials (variant=None,seed=0, ...)"),
        (("grid.variant=[large]",), None, "4 trials"),
    ],
)
def test_results_do_not_give_way_to_others(
    overrides: tuple[str, ...], seeds: list[int] | None, lost: str, kept: bool, extend: bool
) -> None:
    """Whether the trials' folders are there or not, with --extend or without."""
    go()
    if not kept:
        shutil.rmtree(FOLDER / "trials")
    before, run = content(), run_json()
    with pytest.raises(BadInput) as caught:
        go(*overrides, seeds=seeds, extend=extend)
    assert f"{FOLDER}: holds {lost}" in str(caught.value)
    assert "that this run would drop; run them too (--extend keeps them" in str(caught.value)
    assert content() == before and run_json() == run
    go(*overrides, seeds=seeds, fresh=True)
    assert run_json() != run


def test_more_cells_may_come_beside_those_that_are_held() -> None:
    go()
    before = metrics()
    report = go("grid.variant=[null, small, large]", seeds=[0, 1, 2])
    assert (report.reused, report.ran) == (4, 5)
    assert before.keys() <= metrics().keys() and "score/large" in metrics()


@pytest.mark.parametrize("extend", [False, True])
def test_results_are_not_replaced_by_fewer_trials_that_finished(extend: bool) -> None:
    go(seeds=[0])
    shutil.rmtree(FOLDER / "trials")
    before, run = content(), run_json()
    write("variant: [null, small]", "breaks: [true], variant: [null]")
    with pytest.raises(BadInput):  # other cells
        go(seeds=[0], extend=extend)
    write()
    report = go(seeds=[0], extend=extend, train=False)
    if extend:
        assert report.kept == "" and content() == before
    else:
        assert report.kept.startswith(f"{FOLDER}: holds 2 trials")
        assert content() == before and run_json() == run


def test_other_code_makes_a_finished_trial_stale(experiment: dict[str, ModuleType]) -> None:
    go()
    vars(experiment["settings"])["REVISION"] = 2
    for extend in (False, True):
        with pytest.raises(BadInput, match="revision was 1, is 2"):
            go(extend=extend)
    shutil.rmtree(FOLDER / "trials")
    report = go(extend=True)  # the results' trials do not count either
    assert (report.reused, report.ran) == (0, 4)


def test_another_machine_counts_for_unfinished_trials_only() -> None:
    go()
    assert go(threads=2).ran == 0
    about = json.loads((FOLDER / "trials/variant=small,seed=1/trial.json").read_text())
    about["state"] = "started"
    (FOLDER / "trials/variant=small,seed=1/trial.json").write_text(json.dumps(about))
    with pytest.raises(BadInput, match="threads was 1, is 2"):
        go(threads=2)
    assert go().ran == 1


def test_a_trial_that_cannot_be_read_is_not_trained_again_unasked() -> None:
    go()
    broken = FOLDER / "trials/variant=small,seed=1/trial.json"
    broken.write_text("{")
    with pytest.raises(BadInput, match=r"variant=small,seed=1: .*trial\.json: is damaged"):
        go()
    assert broken.read_text() == "{"
    assert go(extend=True).ran == 0  # the results hold it
    found = status.of(load("toy"), Options())
    assert found.count("finished") == 3 and found.count("held") == 1
    shutil.rmtree(FOLDER)
    go(seeds=[0])
    (FOLDER / "trials/variant=small,seed=0/trial.json").write_text("[]")
    (FOLDER / "run.json").unlink()
    found = status.of(load("toy", seeds=[0]), Options())
    assert [trial.state for trial in found.trials] == ["finished", "unreadable"]


def test_a_failure_is_reported_and_the_others_are_written() -> None:
    write("grid: {variant: [null, small]}", "grid: {variant: [null], breaks: [false, true]}")
    report = go(seeds=[0])
    assert report.errors == {"variant=None,breaks=True,seed=0": "broken"}
    assert report.unfinished == ["variant=None,breaks=True,seed=0"]
    assert len(run_json()["trials"]) == 1
    again = go(seeds=[0])
    assert (again.reused, again.ran) == (1, 0)


def test_a_trial_refuses_its_settings(
    experiment: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a trial that has done nothing yet no folder is left, so that the corrected run starts."""
    run_trial = experiment["trial"].run_trial

    def refuses(settings: Any, trial: Any) -> Any:
        if settings.hidden == 99 and settings.variant:
            list(trial.steps(2))  # work that is worth keeping
        if settings.hidden == 99:
            raise BadInput("hidden 99: too many")
        return run_trial(settings, trial)

    monkeypatch.setattr(experiment["trial"], "run_trial", refuses)
    report = go("hidden=99", seeds=[0])
    none, small = "variant=None,seed=0", "variant=small,seed=0"
    assert report.errors == dict.fromkeys([none, small], "hidden 99: too many")
    assert report.refused == {none, small}
    assert [path.name for path in (FOLDER / "trials").iterdir()] == [small]
    shutil.rmtree(FOLDER / "trials" / small)
    assert go(seeds=[0]).ran == 2


def test_nothing_finished_is_an_error() -> None:
    with pytest.raises(DgmError, match="no trial is finished"):
        go(train=False)


def test_status_of_new_held_and_finished_trials() -> None:
    assert status.of(load("toy"), Options()).count("new") == 4
    go(seeds=[0])
    assert status.of(load("toy"), Options()).count("finished") == 2
    shutil.rmtree(FOLDER / "trials")
    found = status.of(load("toy"), Options())
    assert (found.count("held"), found.count("new"), found.running) == (2, 2, False)
    with lock(FOLDER):
        assert status.of(load("toy"), Options()).running


def test_one_trial_under_two_names_is_refused() -> None:
    """An axis that has the default's value makes the same trial as none."""
    write("{variant: [null, small]}", "[{variant: [null]}, {hidden: [5]}]")
    with pytest.raises(BadInput, match="variant=None,seed=0 and hidden=5,seed=0 are the same"):
        go()


def test_a_file_system_without_locks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", missing)
    with pytest.raises(DgmError, match="cannot be written or locked: Function not implemented"):
        go()
    assert not is_locked(FOLDER)


def test_a_look_at_the_lock_stops_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """`dgm status` holds the lock for a moment, and a folder that nobody can lock is not in use."""
    go(seeds=[0])
    peek = FileLock(FOLDER / ".lock", thread_local=False)
    peek.acquire()
    Timer(0.2, peek.release).start()
    assert go(seeds=[0]).reused == 2

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(30, "Read-only file system")

    monkeypatch.setattr(FileLock, "acquire", refuse)
    assert not is_locked(FOLDER)


def test_two_runs_do_not_write_to_one_folder() -> None:
    with lock(FOLDER), pytest.raises(DgmError, match=r"another run \(process \d+\)"):
        go()
    assert go().ran == 4


def offline(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """A machine that lacks these data sets."""
    from dgm import data
    from dgm.errors import MissingData

    real = data.load

    def load_or_lack(name: str) -> object:
        if name in names:
            raise MissingData(f"{name}: no mirror answered")
        return real(name)

    monkeypatch.setattr(data, "load", load_or_lack)
    monkeypatch.setattr(data, "fetch", load_or_lack)


def test_fresh_gives_up_nothing_that_cannot_be_run_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = "grid: [{data: digits, variant: [null]}, {variant: [small]}]"
    write("grid: {variant: [null, small]}", blocks)
    go()
    before, run = content(), run_json()
    for missing in (["digits"], ["digits", "bars_and_stripes"]):
        with monkeypatch.context() as patch:
            offline(patch, *missing)
            with pytest.raises(DgmError, match="digits: no mirror answered"):
                go(fresh=True)
        assert content() == before and run_json() == run
        assert len(list(FOLDER.glob("trials/*/scores.csv"))) == 4


def test_trials_without_data_are_listed_as_unfinished(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = "grid: [{data: digits, variant: [null]}, {variant: [small]}]"
    write("grid: {variant: [null, small]}", blocks)
    offline(monkeypatch, "digits")
    assert go(seeds=[0]).unfinished == ["variant=None,seed=0"] == run_json()["unfinished"]


def test_fresh_does_not_reach_the_preset_that_stands_in(monkeypatch: pytest.MonkeyPatch) -> None:
    write("presets: {embedded: {}}", "presets: {embedded: {}, quick: {data: digits}}")
    go(preset="embedded")
    embedded = FOLDER.parent / "embedded"
    before = (embedded / "run.json").read_bytes()
    offline(monkeypatch, "digits")
    with pytest.raises(BadInput, match="that this run would drop"):
        go(preset="quick", seeds=[0], fresh=True)
    assert (embedded / "run.json").read_bytes() == before


@pytest.mark.parametrize("damage", ["missing", "{}", "Finished"])
def test_a_finished_trial_that_does_not_say_so_is_not_erased(damage: str) -> None:
    go(seeds=[0])
    trial = FOLDER / "trials/variant=small,seed=0"
    (trial / "mynotes.txt").write_text("mine")
    about = trial / "trial.json"
    if damage == "missing":
        about.unlink()
    elif damage == "{}":
        about.write_text("{}")
    else:
        about.write_text(about.read_text().replace('"finished"', '"Finished"'))
    with pytest.raises(BadInput, match="variant=small,seed=0"):
        go(seeds=[0])
    assert (trial / "scores.csv").exists() and (trial / "mynotes.txt").exists()
