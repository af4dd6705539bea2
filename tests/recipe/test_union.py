"""Settings that are a union of one class for each learner."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Literal

import pytest
import yaml
from pydantic import Field

from dgm.engine.load import load
from dgm.recipe import union
from dgm.recipe.schema import TrialSettings

from . import toy


class Row(TrialSettings):
    row: str = "dbn"


class Net(Row):
    learner: Literal["net", "deep_net"] = "net"
    hidden: int = Field(10, gt=0)
    rate: float = 0.1


class Vectors(Row):
    learner: Literal["vectors"] = "vectors"
    costs: list[float] = [1.0]
    rate: float = 0.5


class Neighbours(Row):
    learner: Literal["neighbours"] = "neighbours"
    most_neighbours: int = Field(10, gt=0, description="k from 1 up to this")


Union = Net | Vectors | Neighbours
UNION = """\
title: A toy
source: Nobody (2024)
experiment: union
data: digits
settings: {hidden: 20, costs: [3], rate: 0.2}
grid:
  - {row: [dbn], settings: {learner: net}}
  - {row: [deep], settings: {learner: deep_net, hidden: 30}}
  - {row: [svm], settings: {learner: vectors}}
  - row: [knn]
    settings:
      learner: neighbours
      most_neighbours: 5
"""


@pytest.fixture(autouse=True)
def union_recipe(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("dgm.experiments.union")
    module.Settings = Union  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "dgm.experiments.union.settings", module)
    Path("union.yaml").write_text(UNION)


def message(*overrides: str) -> str:
    return toy.message("paper", *overrides, name="union.yaml")


def settings(*overrides: str) -> list[TrialSettings]:
    return [trial.settings for trial in load("union.yaml", overrides=overrides).trials]


def change(old: str, new: str) -> None:
    assert old in UNION
    Path("union.yaml").write_text(UNION.replace(old, new, 1))


def test_each_cell_has_the_settings_of_its_own_learner() -> None:
    assert settings() == [
        Net(row="dbn", hidden=20, rate=0.2),
        Net(row="deep", learner="deep_net", hidden=30, rate=0.2),
        Vectors(row="svm", costs=[3.0], rate=0.2),
        Neighbours(row="knn", most_neighbours=5),
    ]


def test_a_cell_that_names_no_learner_is_of_the_first_class() -> None:
    change("{learner: net}", "{}")
    assert settings()[0] == Net(row="dbn", hidden=20, rate=0.2)


def test_a_learner_may_be_an_axis() -> None:
    start = UNION.index("grid:")
    axes = "grid: {learner: [vectors, net], rate: [0.3, 0.4]}\n"
    Path("union.yaml").write_text(UNION[:start].replace(", rate: 0.2", "") + axes)
    assert settings() == [
        *(Vectors(costs=[3.0], rate=rate) for rate in (0.3, 0.4)),
        *(Net(hidden=20, rate=rate) for rate in (0.3, 0.4)),
    ]


def test_the_command_line_sets_what_a_cell_of_another_learner_does_not_have() -> None:
    assert settings("most_neighbours=7", "rate=0.9") == [
        Net(row="dbn", hidden=20, rate=0.9),
        Net(row="deep", learner="deep_net", hidden=30, rate=0.9),
        Vectors(row="svm", costs=[3.0], rate=0.9),
        Neighbours(row="knn", most_neighbours=7),
    ]
    assert settings("grid.row=[knn]", "grid.most_neighbours=[1, 2]") == [
        Neighbours(row="knn", most_neighbours=1),
        Neighbours(row="knn", most_neighbours=2),
    ]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("hidden: 20", "hiden: 20", ":5: settings.hiden: unknown; did you mean hidden?"),
        ("costs: [3]", "cost: [3]", ":5: settings.cost: unknown; did you mean costs?"),
        ("      most_", "      mst_", ":13: settings.mst_neighbours: unknown; did you mean most_n"),
        ("      most_neighbours: 5", "      hidden: 5", ":13: settings.hidden: is no setting of "
         "learner neighbours"),
        ("{learner: net}", "{costs: [1]}", ":7: settings.costs: is no setting of learner net"),
        ("row: [svm]", "row: [svm], hidden: [5]", ":9: grid.hidden: is no setting of learner vec"),
        ("hidden: 30", "hidden: -1", ":8: settings.hidden: should be greater than 0, not -1"),
        ("learner: net", "learner: nte", ":7: settings.learner: should be one of 'net', "
         "'deep_net', 'vectors', 'neighbours', not 'nte'"),
        ("learner: net", "learner: [net]", ":7: settings.learner: should be one of 'net', "),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_learners_settings(old: str, new: str, expected: str) -> None:
    change(old, new)
    assert message().startswith(f"union.yaml{expected}")


def test_an_override_that_no_cell_takes_is_an_error() -> None:
    assert message("costs=[1]", "grid.row=[knn, dbn]") == (
        "command line: settings.costs: no trial's learner has it"
    )
    assert message("cots=[1]") == "command line: settings.cots: unknown; did you mean costs?"
    assert message("learner=neighbours") == (
        "command line: learner=neighbours: has no settings.hidden (union.yaml:8: settings.hidden)"
    )
    assert message("grid.costs=[[1], [2]]").startswith("command line: grid.costs: is no setting of")


def test_resolved_settings_of_a_union_load_to_the_same_trials() -> None:
    start = UNION.index("grid:")
    Path("union.yaml").write_text(UNION[:start] + "grid: {learner: [vectors, net], row: [a, b]}\n")
    loaded = load("union.yaml")
    assert [block["settings"] for block in loaded.resolved["grid"]] == [
        {"costs": [3.0], "rate": 0.2},
        {"hidden": 20, "rate": 0.2},
    ]
    again = {key: loaded.resolved[key] for key in ("title", "source", "experiment", "grid")}
    Path("again.yaml").write_text(yaml.safe_dump(again))
    assert load("again.yaml").trials == loaded.trials


def test_the_fields_of_a_union_are_those_of_all_its_classes() -> None:
    assert list(union.fields(Net)) == ["row", "learner", "hidden", "rate"]
    fields = union.fields(Union)
    assert set(fields) == {"row", "learner", "hidden", "rate", "costs", "most_neighbours"}
    assert fields["most_neighbours"].description == "k from 1 up to this"
    assert fields["rate"].default == 0.1
    assert union.members(Union) == (Net, Vectors, Neighbours)


def test_a_union_whose_classes_cannot_be_told_apart_is_a_mistake_of_the_experiment() -> None:
    class Same(Row):
        learner: Literal["net"] = "net"

    assert union.chooser(Union) == "learner"
    with pytest.raises(TypeError, match="no field tells the classes apart"):
        union.chooser(Net | Same)
