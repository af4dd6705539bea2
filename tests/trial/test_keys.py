"""A trial's key: the same for all that is the same trial, another for all that is not."""

from typing import Any, ClassVar, Literal

from dgm.recipe.grid import TrialSpec
from dgm.recipe.schema import TrialSettings
from dgm.trial.keys import Keys, cell_of, changes


class Old(TrialSettings):
    sets: ClassVar[tuple[str, ...]] = ("digits",)
    hidden: int = 100
    rates: list[float] = [0.1]
    schedule: list[tuple[int, float]] = [(5, 0.5)]


class New(Old):
    momentum: float = 0.0  # a new setting with a neutral default


class Nearest(TrialSettings):
    learner: Literal["nearest"] = "nearest"
    neighbours: int = 3


class Net(TrialSettings):
    learner: Literal["net", "deep_net"] = "net"
    hidden: int = 100


def cell(settings: TrialSettings, seed: int = 0, of: Any = None, **axes: Any) -> dict[str, Any]:
    return cell_of(TrialSpec("digits", seed, settings, axes), of or type(settings))


def key(found: dict[str, Any]) -> str:
    return Keys(found, {}, {}).trial


def test_a_cell_is_what_differs_from_the_defaults() -> None:
    assert cell(Old()) == {"data": "digits", "seed": 0}
    assert cell(Old(hidden=7), seed=3) == {"data": "digits", "seed": 3, "hidden": 7}
    again = Old.model_validate({"schedule": [[5, 0.5]], "rates": [0.1]})
    assert cell(again) == cell(Old())


def test_a_new_setting_with_a_neutral_default_orphans_nothing() -> None:
    assert cell(New(hidden=7)) == cell(Old(hidden=7))
    assert cell(New(momentum=0.5)) != cell(Old())


def test_a_cell_names_its_learner_unless_it_is_the_first() -> None:
    union = Nearest | Net
    nearest, net = cell(Nearest(), of=union), cell(Net(), of=union)
    assert nearest == {"data": "digits", "seed": 0} == cell(Nearest())
    assert net == {"data": "digits", "seed": 0, "learner": "net"}
    assert cell(Net(learner="deep_net"), of=union) == net | {"learner": "deep_net"}


def test_how_a_grid_is_written_does_not_matter() -> None:
    """An axis whose value is the default, or settings in another order, make the same trial."""
    assert cell(Old(), hidden=100) == cell(Old())
    one, other = {"data": "a", "seed": 0, "x": 1}, {"x": 1, "seed": 0, "data": "a"}
    assert key(one) == key(other)


def test_keys_are_short_and_no_number() -> None:
    keys = {key({"seed": seed}) for seed in range(1000)}
    assert len(keys) == 1000
    assert all(len(each) == 12 and each.startswith("t") for each in keys)


def test_how_keys_differ() -> None:
    old = {"hidden": 100, "rates": [0.1], "start": "a"}
    new = {"hidden": 50, "deep": True, "start": None}
    assert list(changes(old, new)) == [
        "hidden was 100, is 50",
        "rates was [0.1], is absent",
        "deep was absent, is True",
    ]
    assert list(changes(old, old)) == []
