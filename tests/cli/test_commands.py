"""What the commands say and their exit codes, of an experiment that takes no time."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dgm.errors import BadInput
from dgm.files import read_csv
from dgm.recipe.schema import PRESETS
from dgm.report.summary import check_table, read_metrics
from tests.engine.toy import FOLDER, RECIPE, experiment, write

__all__ = ["experiment"]
pytestmark = pytest.mark.usefixtures("experiment")
Here = Callable[..., str]
ROOT = Path(__file__).parents[2]
RUN = ("run", "toy", "--jobs", 1)
TRIALS = [f"variant={v},seed={s}" for s in (0, 1) for v in ("None", "small")]


# --- run -------------------------------------------------------------------------------------


def test_finished_trials_are_used_again(here: Here) -> None:
    assert "results: results/toy/paper" in here(*RUN)
    times = [path.stat().st_mtime_ns for path in FOLDER.glob("trials/*/trial.json")]
    assert "4 of 4 trials are finished already" in here(*RUN)
    assert times == [path.stat().st_mtime_ns for path in FOLDER.glob("trials/*/trial.json")]


def test_results_that_would_be_lost_stay(here: Here) -> None:
    here(*RUN)
    before = (FOLDER / "run.json").read_bytes()
    assert f"{FOLDER}: holds 4 trials" in here(*RUN, "hidden=6", code=2)
    shutil.rmtree(FOLDER / "trials" / TRIALS[0])
    line = here(*RUN, "--no-train", code=3)
    assert "the results stay as they are; finish these trials, or keep them by --extend" in line
    assert (FOLDER / "run.json").read_bytes() == before
    assert "1 trial taken from the results" in here(*RUN, "--no-train", "--extend")
    assert len(read_metrics(FOLDER / "metrics.csv")) == 8


def test_results_of_what_is_finished_are_written(here: Here) -> None:
    here(*RUN, "--seeds", 0)
    here(*RUN, "--no-train")
    run = json.loads((FOLDER / "run.json").read_text())
    assert run["unfinished"] == TRIALS[2:]


def test_settings_that_a_trial_refuses_are_bad_input(
    here: Here, experiment: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(settings: Any, trial: Any) -> Any:
        raise BadInput("hidden 99: too many")

    monkeypatch.setattr(experiment["trial"], "run_trial", refuses)
    line = here(*RUN, "hidden=99", "grid.variant=[small]", "--seeds", 0, code=2)
    assert line == f"error: {TRIALS[1]}: hidden 99: too many"


def test_a_figure_that_fails_is_named_and_the_rest_is_there(
    here: Here, experiment: dict[str, ModuleType]
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("no such colour")

    vars(experiment["report"])["draw"] = fail
    for command in (RUN, ("plot", "toy")):
        line = here(*command, code=3)
        assert line == "error: figures could not be drawn: ValueError: no such colour"
    assert "1 pass" in here("check", "toy")


def test_a_dry_run_writes_nothing(here: Here) -> None:
    said = here(*RUN, "--dry-run")
    assert said.splitlines()[:-1] == [f"{label}: to run" for label in TRIALS]
    assert said.splitlines()[-1] == "to run: 4 of 4 trials, never timed"
    here(*RUN, "--out", "elsewhere")
    shutil.rmtree("elsewhere/toy/paper/trials")
    said = here(*RUN, "--dry-run", "--out", "elsewhere", "--seeds", "0:3")
    assert re.search(r"to run: 6 of 6 trials, about \d+ s with 1 job", said)
    assert "(in the results, which --extend keeps)" in said
    said = here(*RUN, "--dry-run", "--out", "elsewhere", "--seeds", "0:3", "--extend")
    assert f"{TRIALS[0]}: held" in said
    assert re.search(r"to run: 2 of 6 trials, about \d+ s with 1 job", said)
    assert not Path("results").exists()


def test_a_dry_run_tells_what_is_run_first(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    said = here("run", "dbn_samples", "--preset", "embedded", "--dry-run")
    assert "the models of dbn_mnist_error that are not there: about" in said


# --- list, show, status ----------------------------------------------------------------------


def test_list_is_a_table_of_recipes(here: Here) -> None:
    long = (
        "A toy whose title is longer than what a line of the table has room for with all the rest"
    )
    write("title: A toy", f"title: {long}")
    head, row = here("list").splitlines()
    assert head.split() == ["recipe", "shows", "reproduced", "paper", "quick"]
    assert (
        row.startswith("toy     A toy whose title is longer than what a line") and len(row) <= 100
    )
    assert "...  not run" in row
    here(*RUN)
    (_, row) = here("list").splitlines()
    assert re.search(r"\.\.\.  1 of 1      \d+ s$", row)
    run = json.loads((FOLDER / "run.json").read_text())
    run["unfinished"] = ["another"]
    (FOLDER / "run.json").write_text(json.dumps(run))
    assert re.search(r"1 of 1      > \d+ s$", here("list").strip())


def test_tables_of_the_repository_fit_a_terminal(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    lines = here("list").splitlines()
    recipes = sorted(path.stem for path in Path("recipes").glob("*.yaml"))
    assert [line.split()[0] for line in lines[1:]] == recipes
    assert max(map(len, lines)) <= 100
    results = {str(path): read_csv(path) for path in Path("results").glob("*/*/summary.csv")}
    assert max(map(len, check_table(results, every=False).splitlines())) <= 120
    for name in recipes:
        shown = here("show", name).splitlines()
        assert max(len(line) for line in shown if " " in line.strip()) <= 100


@pytest.mark.parametrize("command", ["list", "status"])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("recipes/foreign.yaml", "services: {web: {image: nginx}}"),
        ("recipes/broken.yaml", "title: ["),
        ("recipes/binary.yaml", "\x00"),
        (f"{FOLDER}/run.json", "{"),
        (f"{FOLDER}/run.json", '{"a":' * 5000 + "1" + "}" * 5000),
        (f"{FOLDER}/run.json", '{"trials": 3, "jobs": 1}'),
        (f"{FOLDER}/run.json", '{"trials": [{"seconds": "long"}], "jobs": 1}'),
    ],
)
def test_what_cannot_be_read_is_named_and_the_others_are_listed(
    here: Here, command: str, name: str, content: str
) -> None:
    here(*RUN)
    Path("recipes/other.yaml").write_text(RECIPE)
    Path(name).write_text(content)
    said = here(command)
    (line,) = (line for line in said.splitlines() if line.startswith("NOTE: "))
    assert name in line
    assert re.search(r"^other\s", said, re.MULTILINE)
    assert bool(re.search(r"^toy\s", said, re.MULTILINE)) == name.startswith("recipes")


def test_a_summary_that_cannot_be_read_is_named(here: Here) -> None:
    here(*RUN)
    for content in ("a,b\n1,2\n", "\x00\n"):
        (FOLDER / "summary.csv").write_text(content)
        assert "summary.csv: is not the summary of a run" in here("list")


def test_a_run_json_too_large_to_be_one_is_named(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    here(*RUN)
    monkeypatch.setattr("dgm.files.LARGEST", 100)
    assert "run.json: is larger than" in here("list")


def test_show_explains_trials_settings_and_numbers(here: Here) -> None:
    Path("recipes/toy.yaml").write_text(
        "title: A toy\nsource: nobody\nexperiment: toy\ndata: bars_and_stripes\nseeds: [0, 1]\n"
        "grid:\n  - {variant: [null, small]}\n  - {variant: [large], settings: {hidden: 7}}\n"
        "presets: {quick: {seeds: [3]}}\n"
        "expect: [{metric: score/small, measures: the last step, unit: points, reported: 3,\n"
        "  better: higher, recalled: true, source: a table, at_least: 0, presets: [paper]}]\n"
    )
    assert here("show", "toy").splitlines() == [
        "toy",
        "A toy",
        "nobody",
        "recipes/toy.yaml",
        "time: paper not timed, quick not timed",
        "",
        "6 trials of preset paper, 2 seeds:",
        "  - bars_and_stripes; variant null, small",
        "  - bars_and_stripes; variant large; hidden 7",
        "",
        "settings, where a line above has none of its own:",
        "  # Settings",
        "  variant  as above  variant",
        "  hidden   5         hidden",
        "  breaks   false     breaks",
        "",
        "expected:",
        "  score/small, points",
        "      the last step",
        "      reported 3 (a table), recalled, higher is better; band at least 0",
    ]
    here(*RUN)
    shown = here("show", "toy")
    words = " ".join(shown.split())
    assert "higher is better: about (recalled; test set's share unknown); band at least" in words
    assert "band at least 0: pass; measured 7.05 ± 0.64 (2 seeds)" in words
    assert re.search(r"time: paper \d+ s, quick not timed", shown)
    quick = here("show", "toy", "--preset", "quick")
    assert "3 trials of preset quick, 1 seed:" in quick
    assert "expected" not in quick
    assert "hidden: 5" in here("show", "toy", "--yaml")
    assert "no preset scale" in here("show", "toy", "--preset", "scale", code=2)


@pytest.mark.parametrize(
    ("file", "wrong"),
    [
        ("run.json", {"trials": [{"trial": {}}]}),
        ("run.json", {"trials": [{"cell": {}, "device": "cpu", "seconds": None}]}),
        ("run.json", {"trials": 3}),
        ("run.json", {"unfinished": 3, "disk_mb": "x"}),
        ("run.json", {"files": [1]}),
        ("metrics.csv", "metric,seed,value\nscore,99999999999999999999,1\n"),
        ("metrics.csv", "metric\n"),
        ("summary.csv", 'metric,verdict\na\n"\n'),
    ],
)
def test_one_recipes_damaged_file_leaves_the_others(here: Here, file: str, wrong: Any) -> None:
    text = Path("recipes/toy.yaml").read_text()
    here(*RUN)
    Path("recipes/other.yaml").write_text(text)
    found = json.loads((FOLDER / "run.json").read_text())
    content = json.dumps({**found, **wrong}) if isinstance(wrong, dict) else wrong
    (FOLDER / file).write_text(content)
    for command in (["list"], ["status"], ["status", "-v"]):
        said = here(*command)
        assert "other" in said and "bug" not in said
    for command in (["check"], ["show", "toy"], ["run", "toy", "--dry-run"], ["plot", "toy"]):
        assert "bug" not in here(*command, code=None)


def test_status_counts_trials_and_lists_them(here: Here, experiment: dict[str, ModuleType]) -> None:
    assert here("status") == "toy paper: 0 of 4 finished\n"
    here(*RUN, "--seeds", 0)
    assert here("status", "toy") == "toy paper: 2 of 4 finished\n"
    shutil.rmtree(FOLDER / "trials" / TRIALS[0])
    (FOLDER / "trials" / TRIALS[1] / "trial.json").write_text("{")
    (FOLDER / "run.json").unlink()
    assert here("status") == "toy paper: 0 of 4 finished, 1 unreadable\n"
    said = here("status", "-v").splitlines()
    assert said[1:2] + said[3:] == [f"  {TRIALS[0]}: new", *(f"  {x}: new" for x in TRIALS[2:])]
    assert "trial.json: is damaged" in said[2]
    shutil.rmtree(FOLDER)
    here(*RUN)
    shutil.rmtree(FOLDER / "trials" / TRIALS[0])
    assert here("status") == "toy paper: 3 of 4 finished, 1 in the results\n"
    vars(experiment["settings"])["REVISION"] = 2
    assert here("status") == "toy paper: 0 of 4 finished, 3 stale\n"
    assert f"  {TRIALS[3]}: stale: revision was 1, is 2" in here("status", "-v")


# --- check, diff, plot -----------------------------------------------------------------------


def measured(value: float, folder: Path = FOLDER) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.csv").write_text(f"metric,seed,value\nscore/small,0,{value}\n")


def test_check_compares_with_the_bands_and_with_what_was_reported(here: Here) -> None:
    measured(0.0)
    said = here("check", "toy")
    assert "bands: 1 pass, 0 fail" in said  # what is worse than reported is no error
    assert said.endswith("reproduction: 1 worse\n")
    measured(4.0)
    assert here("check", "toy").endswith("reproduction: 1 about\n")  # better, but one seed
    measured(-0.5)
    assert "0 pass, 1 fail" in here("check", code=1)
    measured(float("nan"))
    assert "score/small  nan       1      3: worse  at least 0: fail" in here("check", code=1)


def test_a_check_of_nothing_is_bad_input(here: Here) -> None:
    assert "results: no results of preset paper" in here("check", code=2)
    assert "results/toy/paper: no results" in here("check", "toy", code=2)
    measured(1.0)
    assert "no results of preset embedded" in here("check", "--preset", "embedded", code=2)
    assert "nowhere: no results" in here("check", "--out", "nowhere", code=2)
    Path("recipes/other.yaml").write_text(RECIPE)
    said = here("check")
    assert "NOTE: other: preset paper was not run yet" in said and "1 pass" in said


def test_recipes_without_the_preset_are_left_out_unless_they_are_named(here: Here) -> None:
    Path("recipes/other.yaml").write_text(RECIPE.replace("embedded", "scale"))
    measured(1.0, Path("results/other/scale"))
    said = here("check", "--preset", "scale")
    assert "toy" not in said and "1 pass" in said
    assert "no preset scale" in here("check", "toy", "--preset", "scale", code=2)
    assert here("status", "--preset", "scale") == "other scale: 0 of 4 finished\n"
    assert "no preset scale" in here("status", "toy", "--preset", "scale", code=2)
    assert "no preset scale" in here("plot", "toy", "--preset", "scale", code=2)


def test_other_settings_than_the_recipes_are_not_judged(here: Here) -> None:
    write("at_least: 0", "at_least: 100")
    said = here(*RUN, "hidden=6")
    assert "0 pass, 0 fail, 0 missing, 4 info" in said
    said = here("check", "toy", "--all")
    assert "NOTE: results/toy/paper: was run with overrides, so its bands do not apply" in said
    assert re.search(r"score/small +8.05 ± 0.64  2      3\n", said)
    here(*RUN, "--fresh")
    assert "1 fail" in here("check", "toy", code=1)


def test_results_beside_the_recipe_are_found_from_any_folder(
    here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here(*RUN)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setattr("dgm.recipe.load.FOLDERS", (Path("recipes"), tmp_path / "recipes"))
    assert "1 of 1" in here("list")
    assert "1 pass" in here("check")
    assert here("plot", "toy") == "results/toy/paper/scores.png\n"
    assert (elsewhere / FOLDER / "scores.svg").exists()
    assert here("plot", "toy", "--out", "there") == "there/toy/paper/scores.png\n"
    assert "not run" in here("list", "--out", "nowhere")


def test_diff_compares_means(here: Here) -> None:
    here(*RUN)
    assert here("diff", FOLDER, FOLDER) == "no differences\n"
    measured(1.0, Path("b"))
    assert re.search(r"score/small +7.05 +1 +-6.05", here("diff", FOLDER, "b"))
    assert "| `score/small` | 7.05 | 1 | -6.05 |" in here("diff", FOLDER, "b", "--markdown")
    assert "give two folders or more" in here("diff", FOLDER, code=2)


# --- what a user may get wrong ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "toy", "hiden=3"], "settings.hiden: unknown; did you mean hidden?"),
        (["run", "toy", "hidden=many"], "settings.hidden: should be a valid integer"),
        (["run", "tоy"], "tоy: no such recipe"),
        (["run", "tyo"], "did you mean toy?"),
        (["run", "recipes"], "recipes: is a directory"),
        (["run", "toy", "--seeds", "x"], "seeds 'x'"),
        (["run", "toy", "--seeds", "9" * 20], "seeds"),
        (["run", "toy", "--preset", "quik"], "--preset"),
        (["run", "toy", "--jobs", "0"], "--jobs"),
        (["run", "toy", "--jobs", "1000"], "256"),
        (["run", "toy", "--threads", "0"], "--threads 0"),
        (["run", "toy", "--threads", "100000"], "--threads 100000: give 1 to "),
        (["run", "toy", "--checkpoint-every", "nan"], "--checkpoint-every nan"),
        (["run", "toy", "--checkpoint-every", "inf"], "--checkpoint-every inf"),
        (["run", "toy", "--checkpoint-every", "-1"], "--checkpoint-every -1"),
        (["run", "toy", "--device", "tpu"], "--device 'tpu'"),
        (["run", "toy", "--device", "cuda:9"], "--device cuda:9"),
        (["status", "--device", "gpu"], "--device 'gpu'"),
        (["status", "--threads", "100000"], "--threads 100000"),
        (["run", "toy", "--extend", "--fresh"], "one or the other"),
        (["run", "toy", "data=mnits"], "did you mean mnist?"),
        (["show", "nothing"], "no such recipe"),
        (["data", "fetch", "mnits"], "did you mean mnist?"),
        (["diff", "nowhere", "recipes"], "nowhere"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: list[str], message: str, here: Here
) -> None:
    assert message in here(*arguments, code=2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("title: !!python/object/apply:os.system ['touch made']", "tags are not read"),
        ("- a", "is no recipe"),
    ],
)
def test_files_that_are_no_recipes(content: str, message: str, here: Here) -> None:
    Path("x.yaml").write_text(content)
    assert message in here("run", "x.yaml", code=2)


# --- the rest --------------------------------------------------------------------------------


def test_the_presets_are_the_schemas() -> None:
    from dgm import cli

    assert cli.PRESETS == PRESETS


def test_names_complete_in_a_shell() -> None:
    def complete(**variables: str) -> str:
        env = {**os.environ, **variables}
        command = [sys.executable, "-m", "dgm"]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    assert "_DGM_COMPLETE=bash_complete" in complete(_DGM_COMPLETE="bash_source")
    assert "toy" in complete(_DGM_COMPLETE="bash_complete", COMP_WORDS="dgm run to", COMP_CWORD="2")
