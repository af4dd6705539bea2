"""Models are published and measured as stored; `verify` notices whatever was altered since."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

import dgm
from dgm.engine import verify
from dgm.engine.load import load
from dgm.engine.plan import Options, plan
from dgm.engine.published import Published
from dgm.engine.run import run
from dgm.errors import BadInput, DgmError, MissingData
from dgm.files import atomic_write, read_csv, sha256
from dgm.models.pca import PCA
from dgm.models.rbm import RBM
from dgm.recipe.schema import TrialSettings
from dgm.report.summary import Metric
from dgm.report.tables import Artifacts, Results
from dgm.trial import models
from dgm.trial.measured import Rows

RECIPE = """\
title: a
source: nobody
experiment: net
data: bars_and_stripes
seeds: [0, 1]
grid: {row: [half, third]}
publish: [{row: half}, {row: third}]
expect:
  - {metric: mean/half, measures: none, at_least: 0.4}
  - {metric: mean/third, measures: none, at_least: 0.3}
"""
USER = """\
title: b
source: nobody
experiment: net
uses: net row=half
data: bars_and_stripes
seeds: [0, 1]
grid: {row: [user]}
expect: [{metric: mean/user, measures: none, at_least: 0}]
"""
Here = Callable[..., str]
TARGET = Path("results/net/paper")
HALF = TARGET / "models/row=half,seed=0/net.safetensors"


class Settings(TrialSettings):
    row: str = "half"


def run_trial(settings: Settings, trial: Any) -> Artifacts:
    """A net whose mean is 1/2 or 1/3; the latter is no number in half precision."""
    if settings.row == "user":
        return Artifacts(measure(settings, trial, trial.model("net")).tables)
    net = PCA(9, 2)
    net.mean += {"half": 1 / 2, "third": 1 / 3}[settings.row]
    trial.record("steps", step=1)
    trial.choose(of=settings.row)
    return Artifacts(measure(settings, trial, net).tables, models={"net": net})


def measure(settings: Settings, trial: Any, model: PCA, full: bool = True) -> Artifacts:
    assert settings.row == "user" or trial.chosen["of"] == settings.row
    for split in ("train", "test") if full else ("test",):
        trial.record("means", split=split, mean=model.mean.mean().item())
    return Artifacts(trial.tables())


def summarise(results: Results) -> Iterator[Metric]:
    for cell, rows in results.rows("means"):
        yield Metric(f"mean/{cell['row']}", cell["seed"], rows["mean"].iloc[-1])


@pytest.fixture(autouse=True)
def recipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts: dict[str, dict[str, Any]] = {
        "settings": {"Settings": Settings, "REVISION": 1},
        "trial": {
            "run_trial": run_trial,
            "measure": measure,
            "MEASURED": {"means": Rows(("split",), ("mean",))},
        },
        "report": {"AXES": ["row"], "summarise": summarise, "draw": lambda *_: {}},
    }
    for part, content in parts.items():
        module = ModuleType(f"dgm.experiments.net.{part}")
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.chdir(tmp_path)
    Path("recipes").mkdir()
    Path("recipes/net.yaml").write_text(RECIPE)
    Path("recipes/user.yaml").write_text(USER)


def go(name: str = "net", **options: Any) -> str:
    said: list[str] = []
    run(load(name), Options(**options), say=said.append)
    return "\n".join(said)


def published() -> None:
    """Two seeds in the results, models of the first one, no trials' folders."""
    go()
    go(extend=True, publish=True)
    shutil.rmtree(TARGET / "trials")


def differing(full: bool = False) -> list[str]:
    found = list(verify.verify(load("net"), TARGET, Options(), full))
    problems = [each.problem for each in found if each.problem]
    return problems + [one.name for each in found for one in each.compared if not one.agrees]


# --- publishing ------------------------------------------------------------------------------


def test_what_is_committed_is_measured_on_the_stored_model() -> None:
    go()
    before = read_csv(TARGET / "metrics.csv")
    said = go(extend=True, publish=True)
    assert said.count("stored in half precision") == said.count("stored in single precision") == 1
    kinds = {
        row: models.load(TARGET / f"models/row={row},seed=0/net.safetensors").mean[0].item()
        for row in ("half", "third")
    }
    assert kinds == {"half": 0.5, "third": pytest.approx(1 / 3, rel=1e-7)}
    assert read_csv(TARGET / "metrics.csv").equals(before)
    steps = read_csv(TARGET / "steps.csv")
    assert len(steps) == 4  # what learning left stays
    manifest = json.loads((TARGET / "models/manifest.json").read_text())
    assert {entry["label"] for entry in manifest["trials"].values()} == {
        "row=half,seed=0",
        "row=third,seed=0",
    }
    assert "publishing" not in go(extend=True, publish=True)


def test_a_model_that_is_not_there_yet_is_trained_though_results_hold_its_trial() -> None:
    go()
    shutil.rmtree(TARGET / "trials")
    said = go(extend=True, publish=True)
    assert "4 trials taken from the results" in said and said.count("publishing") == 2
    trained = {path.name for path in (TARGET / "trials").iterdir()}
    assert trained == {path.parent.name for path in TARGET.glob("models/*/*.safetensors")}
    assert len(read_csv(TARGET / "metrics.csv")) == 4


def test_a_dry_run_says_what_publishing_would_train(here: Here) -> None:
    go()
    assert "nothing to run" in here("run", "net", "--publish", "--dry-run")  # all have their models
    shutil.rmtree(TARGET / "trials")
    said = here("run", "net", "--publish", "--dry-run").splitlines()
    assert said[:3] == [
        "row=half,seed=0: to run (in the results, which --extend keeps)",
        "row=third,seed=0: to run (in the results, which --extend keeps)",
        "row=half,seed=1: held",
    ]
    assert said[4].startswith("to run: 2 of 4 trials")


def test_a_recipe_that_publishes_nothing(here: Here) -> None:
    assert "publish: names no cell" in here("run", "user", "--publish", code=2)


# --- reading ---------------------------------------------------------------------------------


def test_a_published_model_by_recipe_and_cell() -> None:
    published()
    assert dgm.load("net").mean[0].item() == 0.5
    assert dgm.load("net", row="third").about["settings"] == {"row": "third"}
    assert dgm.load(HALF).about["seed"] == 0
    there = "published: row=half,seed=0; row=third,seed=0$"
    for cell, said in (
        ({"row": "fourth"}, f"no published model of net has row=fourth; {there}"),
        ({"seed": 0}, f"several models of net have seed=0; {there}"),
    ):
        with pytest.raises(BadInput, match=said):
            dgm.load("net", **cell)
    with pytest.raises(BadInput, match="ent: no such recipe; did you mean net"):
        dgm.load("ent")
    tables = dgm.results("net")
    assert set(tables) == {"means", "metrics", "steps", "summary"}
    assert tables["metrics"]["value"].iloc[0] == 0.5


def test_a_loaded_model_says_what_it_is() -> None:
    published()
    assert repr(dgm.load("net")).splitlines() == [
        "PCA(visible=9, code=2)",
        "  trained on bars_and_stripes with seed 0",
        "  recipe net: row=half,seed=0",
        "  mean/half = 0.5",
    ]
    assert repr(dgm.load(HALF)).splitlines()[1:] == ["  trained on bars_and_stripes with seed 0"]
    assert dgm.load("net", row="third").about["metrics"] == {
        "mean/third": pytest.approx(1 / 3, abs=1e-7)
    }
    assert repr(PCA(9, 2)) == "PCA(visible=9, code=2)"


def test_results_that_no_longer_hold_the_trial_tell_no_metrics() -> None:
    published()
    with (TARGET / "means.csv").open("a") as table:
        table.write("\n")
    assert dgm.load("net").about["metrics"] == {}
    shutil.move(TARGET / "models", "models")
    shutil.rmtree(TARGET)
    TARGET.mkdir()
    shutil.move("models", TARGET / "models")
    assert dgm.load("net").about["metrics"] == {}


def test_a_model_that_is_named_and_not_published_yet() -> None:
    published()
    Path("recipes/net.yaml").write_text(RECIPE.replace("[half, third]", "[half, third, user]"))
    named = Path("recipes/net.yaml").read_text().replace("{row: third}]", "{row: user}]")
    Path("recipes/net.yaml").write_text(named)
    with pytest.raises(BadInput, match=r"has row=user; published: .*; `dgm run net .* trains it$"):
        dgm.load("net", row="user")
    Path("recipes/net.yaml").write_text(named.replace("publish: [{row: half}, {row: user}]\n", ""))
    with pytest.raises(BadInput, match=r"net publishes no model; .* results/net/PRESET/trials/"):
        dgm.load("net", row="user")


def test_arrays_of_results_are_by_the_keys_of_their_trials() -> None:
    found = dgm.results("dbn_samples")
    assert set(found.arrays["clamped"]) == set(found["judged"]["trial"])


def test_a_list_of_models(here: Here) -> None:
    assert "no published models" in here("models", code=2)
    published()
    lines = [line for line in here("models", "net").splitlines() if line.startswith("net ")]
    assert [line.split()[1] for line in lines] == ["row=half,seed=0", "row=third,seed=0"]
    assert lines[0].endswith(sha256(HALF)[:12])
    HALF.unlink()
    (line, _) = (line for line in here("models", "net").splitlines() if "row=" in line)
    assert "not here" in line


def test_a_recipe_starts_from_the_published_model() -> None:
    published()
    said = go("user")
    assert "not run: 1 trial (row=user,seed=1): no model of net with this seed" in said
    metrics = read_csv(Path("results/user/paper/metrics.csv"))
    assert (metrics["seed"].tolist(), metrics["value"].tolist()) == ([0], [0.5])
    (first, _) = plan(load("user"), Options())
    assert first.start == HALF.parent
    assert not (TARGET / "trials").exists()
    assert "1 of 2" in go("user")
    go("user", train_used=True)
    assert len(read_csv(Path("results/user/paper/metrics.csv"))) == 2


def test_a_user_starts_from_the_model_that_comes_with_the_recipe() -> None:
    published()
    go("user", out=Path("mine"))
    assert [path.name for path in Path("mine").iterdir()] == ["user"]


# --- verify ------------------------------------------------------------------------------------


def test_untouched_results_agree(here: Here) -> None:
    published()
    assert differing() == differing(full=True) == []
    said = here("verify", "-v")
    assert "means mean (split=test): 0.5, now 0.5, within 5e-05: agrees" in said
    assert "not measured again: 2 trials without a model" in said
    assert "compared: all agree" in said


def test_data_that_are_not_here(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    published()

    def missing(name: str) -> Any:
        raise MissingData(f"{name}: is not here; `dgm data fetch {name}` gets it")

    with monkeypatch.context() as patch:
        patch.setattr("dgm.data.load", missing)
        assert "`dgm data fetch bars_and_stripes`" in here("verify", "net", code=2)
        assert "`dgm data fetch bars_and_stripes`" in here("verify", "--require-data", code=2)
        assert "NOT VERIFIED: bars_and_stripes: is not here" in here("verify")
    assert "NOT VERIFIED" not in here("verify")


def renew(path: Path, before: str) -> None:
    """Let all hashes of a file be those that it has now."""
    for manifest in (TARGET / "models/manifest.json", TARGET / "run.json"):
        manifest.write_text(manifest.read_text().replace(before, sha256(path)))


def edit(name: str, old: str, new: str) -> None:
    """Alter a table, and its hash too."""
    path = TARGET / name
    before, text = sha256(path), path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    renew(path, before)


def scale_model() -> None:
    """By 5 %, hashes renewed: the measurement has to notice."""
    before, model = sha256(HALF), models.load(HALF)
    model.mean *= 1.05
    models.save(model, HALF, model.about)
    renew(HALF, before)


def another_class() -> None:
    before = sha256(HALF)
    models.save(RBM(9, 2, "cpu"), HALF, {})
    renew(HALF, before)


def flip_a_byte() -> None:
    content = HALF.read_bytes()
    HALF.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


def swap_models() -> None:
    shutil.copy(HALF, TARGET / "models/row=third,seed=0/net.safetensors")


def alter_everything_alike() -> None:
    """Table, metrics and summary: the model alone knows better."""
    edit("means.csv", "test,0.5", "test,0.6")
    for seed in (0, 1):
        edit("metrics.csv", f"mean/half,{seed},0.5", f"mean/half,{seed},0.6")
    edit("summary.csv", "mean/half,0.5,", "mean/half,0.6,")


def train_again() -> None:
    """Another run replaces the numbers that were measured on the stored model."""
    go()


def other_settings() -> None:
    recipe = Path("recipes/net.yaml")
    recipe.write_text(recipe.read_text().replace("seeds: [0, 1]", "seeds: [0]"))


def other_seeds() -> None:
    run = json.loads((TARGET / "run.json").read_text())
    for about in run["trials"]:
        about["seed"] = 1 - about["seed"]
    (TARGET / "run.json").write_text(json.dumps(run))


CHANGED = "was changed after the run that wrote it"


@pytest.mark.parametrize(
    ("alter", "what"),
    [
        (scale_model, "means mean (split=test)"),
        (another_class, "AttributeError"),
        (flip_a_byte, f"{HALF}: is not the published model; its SHA-256 differs"),
        (swap_models, "is not the published model; its SHA-256 differs"),
        (HALF.unlink, f"{HALF}: is missing; published models come with a clone"),
        (lambda: shutil.rmtree(TARGET / "models"), "published model is no longer in the manifest"),
        (lambda: (TARGET / "means.csv").write_text(""), f"means.csv: {CHANGED}"),
        (lambda: (TARGET / "metrics.csv").write_text(""), f"metrics.csv: {CHANGED}"),
        (lambda: (TARGET / "summary.csv").unlink(), "summary.csv: cannot be read"),
        (lambda: edit("metrics.csv", "half,0,0.5", "half,0,0.51"), "mean/half, 0: value"),
        (lambda: edit("metrics.csv", "half,0,0.5,", "half,0,0.5,9"), "mean/half, 0: test_stderr"),
        (lambda: edit("summary.csv", "half,0.5,", "half,0.49,"), "mean/half: mean"),
        (lambda: edit("summary.csv", ",pass,", ",fail,"), "mean/half: verdict is 'fail'"),
        (lambda: edit("summary.csv", "mean/half", "mean/other"), "rows that should not be there"),
        (lambda: edit("means.csv", "test,0.5", "test,word"), "and 'word' follows from the tables"),
        (lambda: edit("means.csv", "test,0.5", "train,0.5"), "means mean (split=test)"),
        (alter_everything_alike, "means mean (split=test)"),
        (train_again, "its numbers are not those of the published model; --publish mends it"),
        (other_settings, "is no trial of the recipe as it stands: a setting was changed since"),
        (other_seeds, "run.json gives it other axes or another seed than its key stands for"),
    ],
)
def test_whatever_was_altered_is_noticed(here: Here, alter: Callable[[], Any], what: str) -> None:
    published()
    alter()
    found = differing()
    assert any(what in each for each in found), found
    said = here("verify", code=1)
    assert "DIFFERS" in said and "some differ" in said


@pytest.mark.parametrize(
    ("judged", "allowed"),
    [
        ("at_least: 0.49", 0.002),
        ("at_most: 0.52", 0.004),
        ("equals: 0.5, tolerance: 0.05", 0.01),
        ("reported: 0.53, better: higher", 0.006),
        ("reported: 0.53, better: higher, at_least: 0.49", 0.002),
    ],
)
def test_a_judged_mean_moves_by_no_more_than_a_fifth_of_what_its_verdict_needs(
    here: Here, judged: str, allowed: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    judging = RECIPE.replace("at_least: 0.4", judged)
    Path("recipes/net.yaml").write_text(judging.replace("seeds: [0, 1]", "seeds: [0]"))
    published()
    generous = {"means": Rows(("split",), ("mean",), within=1.0)}
    monkeypatch.setitem(vars(sys.modules["dgm.experiments.net.trial"]), "MEASURED", generous)
    for share, found in ((0.95, []), (1.05, ["mean/half: mean"])):

        def moved(
            settings: Settings, trial: Any, model: PCA, full: bool = True, by: float = share
        ) -> Artifacts:
            if settings.row == "half":
                model.mean += by * allowed
            return measure(settings, trial, model, full)

        monkeypatch.setitem(vars(sys.modules["dgm.experiments.net.trial"]), "measure", moved)
        assert differing() == found


def test_a_models_folder_that_is_damaged(here: Here) -> None:
    published()
    flip_a_byte()
    with pytest.raises(DgmError, match="is not the published model"):
        dgm.load("net")
    entry = {"label": "..", "cell": {}, "code": {}, "files": {"net.safetensors": ""}}
    for wrong in (
        *("{", "[]", '{"trials": 3}', '{"trials": {"x": {"label": 7}}}'),
        json.dumps({"trials": {"x": entry}}),
        json.dumps({"trials": {"x": {**entry, "label": "a", "files": {}}}}),
        json.dumps({"trials": {"x": {**entry, "label": "a", "files": {"../b": ""}}}}),
    ):
        (TARGET / "models/manifest.json").write_text(wrong)
        with pytest.raises(DgmError, match=r"manifest\.json: is damaged"):
            Published(TARGET)
        assert "DIFFERS: results/net/paper/models/manifest.json: is damaged" in here(
            "verify", code=1
        )
    shutil.rmtree(TARGET / "models")
    with pytest.raises(BadInput, match=r"no model of net is published yet; .* --publish`"):
        dgm.load("net")


def test_another_revision_is_not_what_was_published(here: Here) -> None:
    published()
    vars(sys.modules["dgm.experiments.net.settings"])["REVISION"] = 2
    assert "published model is no longer in the manifest" in here("verify", code=1)
    assert torch.equal(dgm.load("net").mean, torch.full((9,), 0.5))


def test_numbers_of_another_run_give_way_to_those_of_the_stored_model(here: Here) -> None:
    published()
    go()
    assert "--publish mends it" in here("verify", code=1)
    assert go(extend=True, publish=True).count("publishing") == 2
    assert "all agree" in here("verify")
    assert "publishing" not in go(extend=True, publish=True)


def test_what_an_earlier_code_did_not_measure_has_nothing_to_agree_with(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trial's own code may have left less than today's `measure` does."""
    trial = vars(sys.modules["dgm.experiments.net.trial"])

    def older(settings: Settings, of: Any) -> Artifacts:
        tables = run_trial(settings, of)
        del tables.tables["means"]
        return tables

    monkeypatch.setitem(trial, "run_trial", older)
    monkeypatch.setitem(vars(sys.modules["dgm.experiments.net.report"]), "summarise", some)
    go()
    monkeypatch.setitem(trial, "run_trial", run_trial)
    go(extend=True, publish=True)
    assert differing() == []


def some(results: Results) -> Iterator[Metric]:
    yield from summarise(results) if "means" in results.tables else []


def test_one_model_a_cell_is_published() -> None:
    published()
    Path("recipes/net.yaml").write_text(RECIPE.replace("seeds: [0, 1]", "seeds: [1]"))
    run(load("net"), Options(fresh=True), say=lambda _: None)
    go(extend=True, publish=True)
    labels = [entry["label"] for entry in Published(TARGET).trials.values()]
    assert labels == ["row=half,seed=1", "row=third,seed=1"]
    assert sorted(path.name for path in (TARGET / "models").iterdir()) == ["manifest.json", *labels]
    assert dgm.load("net").about["seed"] == 1


@pytest.mark.parametrize("stop", ["means.csv", "steps.csv", "net.safetensors", "trial.json"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_publishing_that_is_stopped_goes_on(
    stop: str, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    go()
    whole = atomic_write

    def write(path: Path, content: bytes | str) -> None:
        if when == "after":
            whole(path, content)
        if path.name == stop:
            raise KeyboardInterrupt
        if when == "before":
            whole(path, content)

    with monkeypatch.context() as patch:
        for module in ("dgm.files", "dgm.trial.folder", "dgm.trial.models"):
            patch.setattr(f"{module}.atomic_write", write)
        with pytest.raises(KeyboardInterrupt):
            go(extend=True, publish=True)
    go(extend=True, publish=True)
    assert differing() == []


def test_a_stored_model_that_gives_other_numbers_is_not_published(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    go()

    def halved(settings: Settings, trial: Any, model: PCA, full: bool = True) -> Artifacts:
        model.mean /= 2
        return measure(settings, trial, model, full)

    monkeypatch.setitem(vars(sys.modules["dgm.experiments.net.trial"]), "measure", halved)
    with pytest.raises(DgmError, match="row=half,seed=0: the stored model gives other numbers"):
        go(extend=True, publish=True)
    assert Published(TARGET).trials == {}
