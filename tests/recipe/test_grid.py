"""The grid: blocks of cells, and the trials that they stand for."""

from pathlib import Path

import pytest
import yaml

from dgm.engine.load import load
from dgm.errors import BadInput

from .toy import RECIPE, Settings, message, with_blocks, write


def test_trials_are_cells_by_seeds_with_the_seed_outermost() -> None:
    loaded = load("toy")
    assert [trial.label for trial in loaded.trials] == [
        f"method={method},train_size={size},seed={seed}"
        for seed in (0, 1)
        for method in ("aevb", "mcem")
        for size in (1000, 50000)
    ]
    last = loaded.trials[-1]
    assert isinstance(last.settings, Settings)
    assert (last.data, last.seed) == ("mnist", 1)
    assert last.axes == {"method": "mcem", "train_size": 50_000}
    assert (last.settings.method, last.settings.train_size) == ("mcem", 50_000)
    assert (last.settings.hidden, last.settings.latent_dim) == (100, 3)
    assert (last.settings.samples, last.settings.rate) == (60_000_000, 0.001)
    assert type(last.settings.train_size) is int  # 5e4 in the file
    assert loaded.expect[0].band == (-134, None)


def test_presets_differ_only_in_what_they_say() -> None:
    quick, embedded = load("toy", "quick"), load("toy", "embedded")
    assert [t.seed for t in quick.trials] == [0] * 4
    assert {t.data for t in quick.trials} == {"mnist"}
    assert {t.settings.samples for t in quick.trials} == {2_000_000}  # type: ignore[attr-defined]
    assert [t.label for t in embedded.trials] == [
        "method=aevb,train_size=500,seed=3",
        "method=mcem,train_size=500,seed=3",
    ]
    assert {t.data for t in embedded.trials} == {"digits"}
    assert embedded.trials[0].settings.rate == 0.001  # type: ignore[attr-defined]


def test_resolved_is_plain_complete_and_loads_to_the_same_trials() -> None:
    loaded = load("toy", "quick", ["latent_dim=5"], seeds=[7, 8])
    resolved = yaml.safe_load(yaml.safe_dump(loaded.resolved, sort_keys=False))
    assert resolved["grid"] == loaded.resolved["grid"]
    (block,) = resolved["grid"]
    assert block["method"] == ["aevb", "mcem"]
    assert block["train_size"] == [1000, 50_000]
    assert block["settings"] == {
        "hidden": 100, "latent_dim": 5, "rate": 0.001, "rates": [0.1], "samples": 2_000_000,
        "bias": True, "schedule": [[100, 0.0, 1.0]], "variant": "paper",
    }  # fmt: skip
    del resolved["recipe"], resolved["preset"]
    Path("recipes/again.yaml").write_text(
        yaml.safe_dump({**resolved, "data": "mnist", "expect": []})
    )
    again = load("again")
    assert again.trials == loaded.trials


def test_blocks_have_data_and_settings_of_their_own() -> None:
    write(text=with_blocks())
    trials = load("toy", "quick").trials
    assert [(t.data, t.axes["method"], t.settings.hidden) for t in trials] == [  # type: ignore[attr-defined]
        *[("mnist", "aevb", 100)] * 2,
        *[("mnist", "wake_sleep", 100)] * 2,
        ("frey_faces", "mcem", 200),
    ]
    embedded = load("toy", "embedded").trials
    assert [t.data for t in embedded] == ["digits"] * 4 + ["frey_faces"]


def test_a_block_may_be_for_several_data_sets() -> None:
    grid = "grid:\n  - {data: [mnist, digits], method: [aevb, mcem]}\n  - {method: [wake_sleep]}\n"
    head, _, tail = RECIPE.partition("grid:\n")
    write(text=head + grid + "presets:" + tail.partition("presets:")[2])
    loaded = load("toy", seeds=[0])
    assert [(trial.data, trial.label) for trial in loaded.trials] == [
        *((name, f"data={name},method={of},seed=0") for name in ("mnist", "digits")
          for of in ("aevb", "mcem")),
        ("mnist", "method=wake_sleep,seed=0"),
    ]  # fmt: skip
    assert [block["data"] for block in loaded.resolved["grid"]] == ["mnist", "digits", "mnist"]
    one = load("toy", "paper", ["grid.data=[digits]"], [0]).trials
    assert [trial.label for trial in one] == [
        f"data=digits,method={m},seed=0" for m in ("aevb", "mcem")
    ]
    write("[mnist, digits]", "[mnist, digts]", text=Path("recipes/toy.yaml").read_text())
    assert "data: no digts; did you mean digits?" in message()


def test_a_block_may_be_for_some_of_the_seeds() -> None:
    """Of those of the run, whichever these are."""
    own = "    settings: {hidden: 200}\n"
    write(own, own + "    seeds: [1]\n", with_blocks())

    def seeds(*given: int) -> list[tuple[str, int]]:
        trials = load("toy", seeds=list(given) or None).trials
        return [(t.axes["method"], t.seed) for t in trials if t.axes["train_size"] == 1000]

    both = [("aevb", 0), ("wake_sleep", 0), ("aevb", 1), ("wake_sleep", 1), ("mcem", 1)]
    assert seeds() == both
    assert seeds(1) == both[2:]
    assert ("mcem", 2) not in seeds(2)
    blocks = load("toy").resolved["grid"]
    assert [block.get("seeds") for block in blocks] == [None, [1]]
    with pytest.raises(BadInput, match="grid: no block is for seeds 2"):
        load("toy", overrides=["method=mcem"], seeds=[2])
    write(own, own + "    seeds: 1\n", with_blocks())
    assert ": grid.seeds: should be a valid list, not 1" in message()


def test_a_recipe_without_a_grid_has_a_trial_a_seed() -> None:
    write(text=RECIPE[: RECIPE.index("grid:")] + "presets: {embedded: {}}\n")
    assert [t.label for t in load("toy").trials] == ["seed=0", "seed=1"]


@pytest.mark.timeout(5)
def test_more_trials_than_can_be_meant_are_refused() -> None:
    axes = ", ".join(f"{axis}: [{', '.join(map(str, range(1, 101)))}]"
                     for axis in ("hidden", "latent_dim", "samples", "train_size"))  # fmt: skip
    grid = RECIPE[RECIPE.index("grid:") : RECIPE.index("presets:")]
    write(
        text=RECIPE.replace(grid, f"grid: {{{axes}}}\n")
        .replace("  hidden: 100\n", "")
        .replace("  samples: 60_000_000\n", "")
    )
    most = "10,000 are the most"
    assert message() == f"recipes/toy.yaml:8: grid: has 100,000,000 cells; {most}"
    write()
    values = list(range(1, 5001))
    assert message("paper", f"grid.hidden={values}") == (
        f"command line: grid: has 20,000 cells; {most}"
    )
    with pytest.raises(BadInput, match="4 cells by 5,000 seeds; 10,000 trials are the most"):
        load("toy", seeds=values)


def test_a_label_names_a_folder() -> None:
    rates = [1 / 3 + i for i in range(20)]
    expected = message("paper", f"grid.rates=[{rates}]")
    assert expected.startswith("command line: grid: method=aevb,train_size=1000,rates=[0.3333")
    assert expected.endswith("...: too long for a folder's name")


def test_two_trials_of_one_label() -> None:
    assert message("paper", "grid.hidden=[10, 1e1]").startswith(
        "command line: grid: two trials are"
    )


def test_a_column_of_tables_is_no_axis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Settings, "not_axes", ("rate",))
    why = "grid.rate: cannot be an axis; tables have a column of that name"
    assert message("paper", "grid.rate=[0.1, 0.2]") == f"command line: {why}"
    write("  method: [aevb, mcem]", "  rate: [0.1]", RECIPE.replace("  rate: 1e-3\n", ""))
    assert message("embedded") == f"recipes/toy.yaml:10: {why}"
