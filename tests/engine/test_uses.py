"""A recipe that starts from another's trained models."""

import hashlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest
import torch

from dgm.engine import status
from dgm.engine.load import load
from dgm.engine.plan import Options, plan
from dgm.engine.run import Report, run
from dgm.errors import BadInput
from dgm.files import read_csv, sha256
from dgm.models.pca import PCA
from dgm.recipe.schema import TrialSettings
from dgm.report.summary import Metric
from dgm.report.tables import Artifacts, Results
from dgm.trial import folder as store
from dgm.trial import models

TRAINED = """\
title: a
source: nobody
experiment: maker
data: bars_and_stripes
seeds: [0, 1]
settings: {size: 3}
grid: {row: [net, other]}
expect: [{metric: size, measures: none, at_most: 5}]
"""
SHOWN = """\
title: b
source: nobody
experiment: shower
uses: trained row=net
data: bars_and_stripes
seeds: [0, 1]
expect: [{metric: sum, measures: none, at_least: 0}]
"""


class Maker(TrialSettings):
    row: str = "net"
    size: int = 3
    breaks: bool = False


class Shower(TrialSettings):
    times: int = 1


class Alone(TrialSettings):
    """Of a recipe that uses another, but not for this."""

    uses_model: ClassVar[bool] = False

    times: int = 1


def make(settings: Maker, trial: Any) -> Artifacts:
    """A net whose weights are the seed + 1."""
    if settings.breaks:
        raise RuntimeError("broken")
    net = PCA(9, settings.size)
    for _ in trial.steps(2, net=net):
        net.mean += (trial.seed + 1) / 2
    trial.record("sizes", size=settings.size)
    return Artifacts(trial.tables(), models={"net": net})


def show(settings: Shower, trial: Any) -> Artifacts:
    net = trial.model("net")
    trial.record("sums", sum=settings.times * net.mean.sum().item())
    return Artifacts(trial.tables())


def summarise(results: Results) -> Iterator[Metric]:
    for name in ("sizes", "sums"):
        for cell, rows in results.rows(name):
            if cell.get("row", "net") == "net":
                yield Metric(name[:-1], cell["seed"], rows.iloc[0, -1])


@pytest.fixture(autouse=True)
def recipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two experiments and their recipes, the second of which starts from the first's nets."""
    for name, settings, run_trial, axes in (
        ("maker", Maker, make, ["row"]),
        ("shower", Shower, show, []),
    ):
        parts: dict[str, dict[str, Any]] = {
            "settings": {"Settings": settings, "REVISION": 1},
            "trial": {"run_trial": run_trial},
            "report": {"AXES": axes, "summarise": summarise, "draw": lambda *_: {}},
        }
        for part, content in parts.items():
            module = ModuleType(f"dgm.experiments.{name}.{part}")
            vars(module).update(content)
            monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.chdir(tmp_path)
    write("trained", TRAINED)
    write("shown", SHOWN)


def write(name: str, text: str) -> None:
    Path("recipes").mkdir(exist_ok=True)
    Path(f"recipes/{name}.yaml").write_text(text)


def go(name: str, seeds: list[int] | None = None, **options: Any) -> tuple[Report, str]:
    """Run a recipe in this process; its report and what it said."""
    said: list[str] = []
    how = Options(**{"train_used": True, **options})
    report = run(load(name, seeds=seeds), how, say=said.append)
    return report, "\n".join(said)


def results(name: str) -> Path:
    return Path("results") / name / "paper"


def sums() -> list[float]:
    return read_csv(results("shown") / "metrics.csv")["value"].tolist()


def test_a_learner_that_needs_no_model_trains_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its key has no model in it, and the other recipe is not run."""
    shower = sys.modules["dgm.experiments.shower.settings"]
    (before,) = plan(load("shown", seeds=[0]), Options())
    assert "uses" in before.keys.code
    monkeypatch.setattr(shower, "Settings", Alone)

    def alone(settings: Alone, trial: Any) -> Artifacts:
        trial.record("sums", sum=7.0)
        return Artifacts(trial.tables())

    monkeypatch.setattr(sys.modules["dgm.experiments.shower.trial"], "run_trial", alone)
    (after,) = plan(load("shown", seeds=[0]), Options())
    assert after.start is None and not after.keys.code.keys() & {"uses", "start"}
    for train_used in (True, False):
        report, said = go("shown", seeds=[0], train_used=train_used, fresh=True)
        assert not report.errors and "trained" not in said
    assert sums() == [7.0] and not results("trained").exists()


# --- recipes -----------------------------------------------------------------------------------


def test_uses_is_the_other_recipe_of_the_same_preset_and_seeds() -> None:
    used = load("shown", seeds=[1]).uses
    assert used is not None and used.name == "trained"
    assert [(spec.label, spec.seed) for spec in used.trials] == [("row=net,seed=1", 1)]
    assert load("shown").resolved["uses"] == "trained row=net"
    assert load("trained").uses is None


@pytest.mark.parametrize(
    ("uses", "said"),
    [
        ("trainde row=net", "recipes/shown.yaml:4: uses: trainde: no such recipe; did you mean"),
        ("trained row=nte", "recipes/shown.yaml:4: uses: grid.row: no block"),
        ("trained", "recipes/shown.yaml:4: uses: 4 trials for 2 seeds"),
        ("shown", "recipes/shown.yaml:4: uses: recipes/shown.yaml starts from this recipe"),
    ],
)
def test_what_cannot_be_used_is_refused(uses: str, said: str) -> None:
    write("shown", SHOWN.replace("trained row=net", uses))
    if "nte" in uses:  # in a grid of one block any value may stand, and it is another trial
        write(
            "trained",
            TRAINED.replace("grid: {row: [net, other]}", "grid: [{row: [net]}, {row: [other]}]"),
        )
    with pytest.raises(BadInput) as caught:
        load("shown")
    assert str(caught.value).startswith(said)


# --- runs --------------------------------------------------------------------------------------


def test_the_other_recipes_trials_are_run_first_and_once() -> None:
    report, said = go("shown")
    assert "first 2 trials of trained, which this recipe starts from" in said
    assert (report.ran, sums()) == (2, [9.0, 18.0])
    trained = results("trained") / "trials/row=net,seed=1"
    assert store.about(trained)["state"] == "finished"
    assert not (results("trained") / "trials/row=other,seed=0").exists()
    assert not (results("trained") / "summary.csv").exists()  # these are for a run of its own
    assert models.load(trained / "net.safetensors").config["code"] == 3

    report, said = go("shown")
    assert "first" not in said and report.reused == 2
    report, _ = go("trained")
    assert report.reused == 2

    # Results whose trials are gone are kept without the nets that they came from.
    shutil.rmtree(results("shown") / "trials")
    for threads in (1, 2):
        assert status.of(load("shown"), Options(threads=threads)).count("held") == 2
    shutil.move(results("trained"), "elsewhere")
    report, said = go("shown", extend=True)
    assert "first" not in said and report.reused == 2
    shutil.move("elsewhere", results("trained"))


def test_nets_are_trained_first_only_where_one_asks_for_it() -> None:
    """For a paper preset it would take hours; the embedded one trains its own."""
    with pytest.raises(
        BadInput, match="no model of trained with this seed is published; --train-used"
    ):
        go("shown", train_used=False)
    assert not results("trained").exists()
    go("shown", seeds=[0])
    report, said = go("shown", train_used=False)
    assert "not run: 1 trial (seed=1): no model of trained with this seed is published" in said
    assert (report.reused, report.unfinished, sums()) == (1, ["seed=1"], [9.0])
    with pytest.raises(BadInput, match="--train-used trains it first"):  # nothing is given up
        go("shown", train_used=False, fresh=True, seeds=[0, 1])
    assert sums() == [9.0]


def test_a_net_that_was_trained_otherwise_is_another() -> None:
    """The SHA-256 of the model is what counts, not how it came about."""
    go("shown")
    net = results("trained") / "trials/row=net,seed=1/net.safetensors"
    before = net.read_bytes()
    model = models.load(net)
    model.mean += 1
    models.save(model, net, {})
    about = net.with_name("trial.json")
    text = about.read_text()
    about.write_text(text.replace(hashlib.sha256(before).hexdigest(), sha256(net)))
    with pytest.raises(BadInput, match=r"seed=1: start was \w+, is \w+"):
        go("shown")
    net.write_bytes(before)
    about.write_text(text)
    assert go("shown")[0].reused == 2

    write("trained", TRAINED.replace("size: 3", "size: 4"))
    with pytest.raises(BadInput, match=r"uses was t\w+, revision 1, data \w+, is t\w+, revision 1"):
        go("shown")
    with pytest.raises(BadInput, match=r"size was the default, is 4\); remove their folders"):
        go("shown", fresh=True)


def test_only_the_nets_that_are_needed_are_trained() -> None:
    go("shown", seeds=[0])
    shutil.rmtree(results("shown") / "trials")
    shutil.rmtree(results("trained") / "trials")
    report, said = go("shown", seeds=[0, 1], extend=True)
    assert "first 1 trial of trained" in said
    assert (report.reused, report.ran, sums()) == (1, 1, [9.0, 18.0])
    trained = [path.name for path in (results("trained") / "trials").iterdir()]
    assert trained == ["row=net,seed=1"]


def test_a_trial_knows_the_net_that_it_started_from() -> None:
    assert [p.keys.code["start"] for p in plan(load("shown"), Options())] == [None, None]
    go("shown")
    first, second = (p.keys.code["start"] for p in plan(load("shown"), Options()))
    assert first != second and len(first) == len(second) == 64
    about = store.about(results("shown") / "trials/seed=1")
    assert about["code"]["start"] == second


def test_a_failure_there_costs_only_its_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails_once(settings: Maker, trial: Any) -> Artifacts:
        if trial.seed == 1:
            raise RuntimeError("broken")
        return make(settings, trial)

    module = sys.modules["dgm.experiments.maker.trial"]
    monkeypatch.setitem(vars(module), "run_trial", fails_once)
    report, _ = go("shown")
    assert report.errors == {"trained row=net,seed=1": "broken"}
    assert (report.ran, report.unfinished, sums()) == (1, ["seed=1"], [9.0])


def test_fresh_is_not_forgotten_where_the_nets_are_trained_first() -> None:
    """What an interrupted --fresh has given up stays given up when it goes on without."""
    go("shown")
    shutil.rmtree(results("trained") / "trials")
    write("trained", TRAINED.replace("size: 3", "breaks: true"))
    report, _ = go("shown", fresh=True)
    assert len(report.errors) == 2 and not list((results("shown") / "trials").iterdir())
    write("trained", TRAINED)
    shutil.rmtree(results("trained") / "trials")
    assert go("shown")[0].ran == 2


def test_nets_that_start_from_nets() -> None:
    """`uses` of `uses`: the first in the chain is trained first."""
    write("again", SHOWN.replace("uses: trained row=net", "uses: shown"))

    def pass_on(settings: Shower, trial: Any) -> Artifacts:
        return Artifacts(show(settings, trial).tables, models={"net": trial.model("net")})

    vars(sys.modules["dgm.experiments.shower.trial"])["run_trial"] = pass_on
    report, said = go("again")
    assert report.errors == {}
    assert said.index("first 2 trials of trained") < said.index("first 2 trials of shown")
    assert read_csv(results("again") / "metrics.csv")["value"].tolist() == [9.0, 18.0]


def test_without_uses_there_is_no_model() -> None:
    write("shown", SHOWN.replace("uses: trained row=net\n", ""))
    report, _ = go("shown", seeds=[0])
    (error,) = report.errors.values()
    assert "needs the model net; name the recipe that trains it in `uses`" in error


def test_models_are_where_they_were_left() -> None:
    go("trained", seeds=[0])
    path = results("trained") / "trials/row=other,seed=0/net.safetensors"
    assert torch.equal(models.load(path).mean, torch.ones(9))
    path.unlink()
    assert not plan(load("trained", seeds=[0]), Options())[1].has_models
