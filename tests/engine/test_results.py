"""Results are read back trial by trial, typed, and never lost unasked."""

import json
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dgm.engine import official
from dgm.engine.results import Held, saved
from dgm.errors import BadInput, DgmError
from dgm.files import read_csv, read_npz
from dgm.report.tables import Artifacts
from tests.engine.toy import FOLDER, experiment, go, write

__all__ = ["experiment"]
pytestmark = pytest.mark.usefixtures("experiment")


def metrics() -> dict[str, float]:
    return read_csv(FOLDER / "metrics.csv").set_index("metric")["value"].to_dict()


def run_json() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / "run.json").read_text())
    return found


def content() -> dict[str, bytes]:
    """Every file of the results but run.json, whose timings differ."""
    files = (path for path in FOLDER.iterdir() if path.is_file() and path.name != "run.json")
    return {path.name: path.read_bytes() for path in files if not path.name.startswith(".")}


def test_tables_and_arrays_carry_the_trials_key_and_are_read_back_with_types() -> None:
    go()
    keys = [about["trial"] for about in run_json()["trials"]]
    scores = read_csv(FOLDER / "scores.csv")
    assert list(scores.columns) == ["trial", "variant", "seed", "step", "score"]
    assert list(dict.fromkeys(scores["trial"])) == keys and len(set(keys)) == 4
    assert list(read_npz(FOLDER / "vector.npz")) == keys

    results = saved(FOLDER)
    assert [cell for cell, _ in results.rows("scores")] == [
        {"variant": None, "seed": 0},
        {"variant": "small", "seed": 0},
        {"variant": None, "seed": 1},
        {"variant": "small", "seed": 1},
    ]
    assert [cell for cell, _ in results.each("vector")] == [c for c, _ in results.rows("scores")]
    assert [len(rows) for _, rows in results.rows("words")] == [1, 1]  # what some trials left
    assert results.tables["words"]["word"].tolist() == ["NA", "NA"]
    assert list(results.rows("none")) == [] and list(results.each("none")) == []


@pytest.mark.parametrize("values", ["None, small", "NA, null", "'1', '1.0'", "'True', nan"])
def test_values_of_an_axis_stay_what_they_are(values: str) -> None:
    """Text that looks like a number, a blank or a truth is read back as that text."""
    write("[null, small]", f"[{values}]")
    go()
    before, files = metrics(), content()
    shutil.rmtree(FOLDER / "trials")
    go(extend=True)
    assert metrics() == before
    assert content() == files


def test_to_extend_keeps_what_is_held_and_adds_the_rest() -> None:
    go(seeds=[0])
    files = content()
    shutil.rmtree(FOLDER / "trials")
    report = go(seeds=[0, 1], extend=True)
    assert (report.reused, report.ran) == (2, 2)
    assert len(run_json()["trials"]) == 4
    shutil.rmtree(FOLDER / "trials")
    whole = content()
    go(fresh=True)
    assert content() == whole != files


def test_a_trial_that_is_taken_from_the_results_keeps_its_provenance() -> None:
    go(threads=2)
    before = run_json()["trials"]
    shutil.rmtree(FOLDER / "trials")
    go(seeds=[0, 1, 2], extend=True)
    after = run_json()["trials"]
    assert [t for t in after if t["seed"] < 2] == before
    assert {t["machine"]["threads"] for t in after if t["seed"] == 2} == {1}


@pytest.mark.parametrize("name", ["scores.csv", "words.csv", "vector.npz"])
def test_what_is_gone_is_refused_and_nothing_is_written(name: str) -> None:
    go()
    shutil.rmtree(FOLDER / "trials")
    (FOLDER / name).unlink()
    before, run = content(), run_json()
    with pytest.raises(DgmError, match=f"{name}: is gone"):
        go(extend=True, train=False)
    assert content() == before and run_json() == run


@pytest.mark.parametrize("name", ["scores.csv", "words.csv", "vector.npz"])
def test_what_was_changed_since_is_refused_and_nothing_is_written(name: str) -> None:
    go()
    shutil.rmtree(FOLDER / "trials")
    whole = (FOLDER / name).read_bytes()
    changed = whole[:-2] + bytes([whole[-2] ^ 1]) + whole[-1:]
    for damaged in (changed, whole[: len(whole) // 2]):
        (FOLDER / name).write_bytes(damaged)
        before, run = content(), run_json()
        for refused in (lambda: go(extend=True), lambda: go(extend=True, train=False)):
            with pytest.raises(DgmError, match=f"{name}: was changed after the run that wrote it"):
                refused()
        with pytest.raises(DgmError):
            saved(FOLDER)
        assert content() == before and run_json() == run


@pytest.mark.parametrize("left", [None, "{}"])
def test_results_of_which_no_run_json_says_what_they_are_stay(left: str | None) -> None:
    go(seeds=[0, 1])
    shutil.rmtree(FOLDER / "trials")
    (FOLDER / "run.json").unlink()
    if left:
        (FOLDER / "run.json").write_text(left)
    before = content()
    for extend in (False, True):
        with pytest.raises(BadInput, match=r"holds results, and no run\.json says of what"):
            go(seeds=[0], extend=extend)
    assert content() == before
    go(seeds=[0], fresh=True)
    assert len(run_json()["trials"]) == 2


def test_only_what_an_earlier_run_wrote_is_removed() -> None:
    go()
    mine = {"thesis_figure.png": b"x", "mine.csv": b"a,b\n", "own.npz": b"", "film.gif": b"gif"}
    for name, bytes_ in mine.items():
        (FOLDER / name).write_bytes(bytes_)
    go("variant=null", fresh=True)
    assert not (FOLDER / "words.csv").exists()  # nobody left it this time
    assert all((FOLDER / name).read_bytes() == bytes_ for name, bytes_ in mine.items())


def test_run_json_cannot_name_files_elsewhere(tmp_path: Path) -> None:
    go()
    (tmp_path / "precious").write_text("x")
    run = run_json()
    official.publish(FOLDER)
    precious = ("../../../precious", str(tmp_path / "precious"), "", "..", "trials")
    run["files"] |= dict.fromkeys([*precious, "official.json"])
    (FOLDER / "run.json").write_text(json.dumps(run))
    go(fresh=True)
    assert (tmp_path / "precious").exists() and (FOLDER / "official.json").exists()


def test_a_figure_that_fails_costs_neither_tables_nor_run_json(
    experiment: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    go()
    numbers = {k: v for k, v in content().items() if k.endswith((".csv", ".npz"))}

    def fail(*_: Any, **__: Any) -> Any:
        raise ValueError("no such colour")

    for broken in ("draw", "savefig"):
        with monkeypatch.context() as patch:
            if broken == "draw":
                patch.setattr(experiment["report"], "draw", fail)
            else:
                patch.setattr("matplotlib.figure.Figure.savefig", fail)
            report = go(fresh=True)
        (why,) = report.undrawn.values()
        assert "no such colour" in why
        assert content() == numbers  # and the earlier figure, of other numbers perhaps, is gone
        assert len(run_json()["trials"]) == 4
    assert go().undrawn == {}


def test_figures_tell_the_run_that_left_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dgm.trial.machine.commit", lambda: "1f")
    go(command="dgm run toy")
    told = Image.open(FOLDER / "scores.png").info
    assert told["Title"] == "toy, preset paper"
    assert (told["Description"], told["Source"]) == ("dgm run toy", "commit 1f")
    monkeypatch.setattr("dgm.trial.machine.commit", lambda: None)
    go(command="", fresh=True)
    assert not {"Description", "Source"} & Image.open(FOLDER / "scores.png").info.keys()


def test_a_figure_that_cannot_be_written_costs_no_run_json() -> None:
    (FOLDER / "scores.png").mkdir(parents=True)
    report = go()
    assert list(report.undrawn) == ["scores.png"]
    assert len(run_json()["trials"]) == 4 and (FOLDER / "scores.csv").exists()


def test_run_json_that_cannot_be_read_protects_the_results() -> None:
    go()
    for damaged in ("{", "[" * 100_000, "[]"):
        (FOLDER / "run.json").write_text(damaged)
        with pytest.raises(DgmError, match=r"run\.json: is damaged"):
            go()
        with pytest.raises(DgmError, match=r"run\.json: is damaged"):
            saved(FOLDER)
    go(fresh=True)
    assert len(run_json()["trials"]) == 4


def test_results_of_an_earlier_version_are_named() -> None:
    go()
    run = run_json()
    for about in run["trials"]:
        del about["trial"]
    (FOLDER / "run.json").write_text(json.dumps(run))
    with pytest.raises(DgmError, match="an earlier version of dgm wrote it"):
        Held(FOLDER)


def test_results_are_official_as_long_as_they_are_the_published_ones() -> None:
    go()
    assert not official.is_official(FOLDER)
    official.publish(FOLDER)
    assert official.is_official(FOLDER)
    shutil.rmtree(FOLDER / "trials")
    go(fresh=True)
    assert official.is_official(FOLDER)  # the same numbers
    table = FOLDER / "scores.csv"
    table.write_text(table.read_text().replace("5.0", "6.0"))
    assert not official.is_official(FOLDER)
    table.unlink()
    assert not official.is_official(FOLDER)


def test_what_is_gone_shows_before_training(monkeypatch: pytest.MonkeyPatch) -> None:
    go(seeds=[0])
    shutil.rmtree(FOLDER / "trials")
    (FOLDER / "words.csv").unlink()
    with pytest.raises(DgmError, match=r"words\.csv: is gone"):
        go(seeds=[0, 1], extend=True)
    assert not list(FOLDER.glob("trials/*"))


@pytest.mark.parametrize("key", ["label", "code", "tables", "arrays", "axes"])
def test_an_entry_of_run_json_that_lacks_something(key: str) -> None:
    go()
    run = run_json()
    del run["trials"][0][key]
    (FOLDER / "run.json").write_text(json.dumps(run))
    for refused in (lambda: go(seeds=[0]), lambda: go(extend=True), lambda: saved(FOLDER)):
        with pytest.raises(DgmError, match=rf"run\.json: is damaged: trials\.0\.{key}: Field req"):
            refused()


@pytest.mark.parametrize("key", ["trial", "code", "tables", "arrays", "seed", "cell", "axes"])
def test_an_entry_of_run_json_of_another_type(key: str) -> None:
    go()
    for wrong in (None, 7.5, [[1]], {} if key == "trial" else "x"):
        run = run_json()
        run["trials"][0][key] = wrong
        (FOLDER / "run.json").write_text(json.dumps(run))
        for refused in (lambda: go(seeds=[0]), lambda: go(extend=True), lambda: saved(FOLDER)):
            with pytest.raises(DgmError, match=rf"run\.json: is damaged: trials\.0\.{key}"):
                refused()


def test_only_the_recipes_own_settings_can_be_official() -> None:
    go("hidden=6")
    with pytest.raises(BadInput, match="is not a run of the recipe's own settings"):
        official.publish(FOLDER)
    with pytest.raises(BadInput, match="no such results"):
        official.publish(Path("results"))


def test_no_results() -> None:
    with pytest.raises(BadInput, match="no such results"):
        saved(FOLDER)


def test_a_tables_column_cannot_be_an_axis(experiment: dict[str, ModuleType]) -> None:
    vars(experiment["report"])["AXES"] = ["variant", "hidden"]

    def run_trial(settings: Any, trial: Any) -> Artifacts:
        trial.record("scores", hidden=1)
        return Artifacts(trial.tables())

    vars(experiment["trial"])["run_trial"] = run_trial
    with pytest.raises(DgmError, match=r"hidden: is a column of scores\.csv"):
        go()


def test_arrays_are_kept_as_they_are() -> None:
    go()
    arrays = read_npz(FOLDER / "vector.npz")
    np.testing.assert_array_equal(next(iter(arrays.values())), [0, 5])
