"""Recipes: what they resolve to, and that each thing wrong in one is told in one line."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Literal

import pytest
import yaml
from pydantic import Field

from dgm import experiments
from dgm.engine.load import load
from dgm.errors import BadInput
from dgm.recipe import load as recipe
from dgm.recipe.schema import Expectation, TrialSettings

RECIPE = """\
title: A toy
source: Nobody (2024), Figure 1
experiment: toy
data: mnist
seeds: [0, 1]
settings:
  hidden: 100
  rate: 1e-3
  samples: 60_000_000
grid:
  method: [aevb, mcem]
  train_size: [1000, 5e4]
presets:
  quick: {seeds: [0], settings: {samples: 2_000_000}}
  embedded:
    data: digits
    seeds: [3]
    settings: {hidden: 10}
    grid: {train_size: [500]}
expect:
  - metric: score/aevb
    measures: nats per image
    reported: -130
    at_least: -134
    presets: [paper]
"""
BLOCKS = """\
grid:
  - method: [aevb, wake_sleep]
    train_size: [1000, 50000]
  - method: [mcem]
    train_size: [1000]
    data: frey_faces
    settings: {hidden: 200}
"""


class Settings(TrialSettings):
    method: Literal["aevb", "wake_sleep", "mcem"] = "aevb"
    train_size: int = Field(50_000, gt=0)
    hidden: int = Field(100, gt=0)
    latent_dim: int = Field(3, gt=0)
    rate: float = 0.1
    rates: list[float] = [0.1]
    samples: int = 100
    bias: bool = True


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory with one recipe, whose experiment is `toy`."""
    module = ModuleType("dgm.experiments.toy")
    module.Settings = Settings  # type: ignore[attr-defined]
    for part in ("settings", "trial", "report"):
        monkeypatch.setitem(sys.modules, f"dgm.experiments.toy.{part}", module)
    monkeypatch.chdir(tmp_path)
    Path("recipes").mkdir()
    Path("recipes/toy.yaml").write_text(RECIPE)
    yield tmp_path


def write(old: str = "", new: str = "", text: str = RECIPE) -> None:
    assert old in text
    Path("recipes/toy.yaml").write_text(text.replace(old, new, 1) if old else text)


def with_blocks() -> str:
    start, end = RECIPE.index("grid:"), RECIPE.index("presets:")
    return RECIPE[:start] + BLOCKS + RECIPE[end:].replace("    grid: {train_size: [500]}\n", "")


def message(preset: str = "paper", *overrides: str) -> str:
    with pytest.raises(BadInput) as caught:
        load("toy", preset, overrides)
    said = str(caught.value)
    assert "\n" not in said
    assert len(said) < 250
    assert caught.value.exit_code == 2
    return said


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
    assert resolved == loaded.resolved
    (block,) = resolved["grid"]
    assert block["method"] == ["aevb", "mcem"]
    assert block["train_size"] == [1000, 50_000]
    assert block["settings"] == {
        "hidden": 100, "latent_dim": 5, "rate": 0.001, "rates": [0.1], "samples": 2_000_000,
        "bias": True,
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


@pytest.mark.parametrize(
    ("override", "field", "value"),
    [
        ("hidden=20", "hidden", 20),
        ("settings.hidden=2e1", "hidden", 20),
        ("rate=1e-3", "rate", 0.001),
        ("rates=[1, 2e-2]", "rates", [1.0, 0.02]),
        ("bias=no", "bias", False),
    ],
)
def test_an_override_sets_a_setting_in_every_trial(
    override: str, field: str, value: object
) -> None:
    write(text=with_blocks())
    trials = load("toy", overrides=[override]).trials
    assert len(trials) == 10
    assert all(getattr(t.settings, field) == value for t in trials)


def test_overrides_of_data_axes_and_seeds() -> None:
    assert {t.data for t in load("toy", overrides=["data=digits"]).trials} == {"digits"}
    replaced = load("toy", overrides=["grid.train_size=[7]", "method=wake_sleep"], seeds=[4])
    assert [t.label for t in replaced.trials] == ["method=wake_sleep,train_size=7,seed=4"]
    added = load("toy", overrides=["grid.hidden=[1, 2]", "method=aevb"], seeds=[0])
    assert [t.label for t in added.trials] == [
        f"method=aevb,train_size={size},hidden={hidden},seed=0"
        for size in (1000, 50000)
        for hidden in (1, 2)
    ]


def test_an_axis_given_to_several_blocks_selects_among_their_cells() -> None:
    write(text=with_blocks())

    def labels(*overrides: str) -> list[str]:
        return [t.label for t in load("toy", overrides=overrides, seeds=[0]).trials]

    assert labels("grid.method=[mcem]") == ["method=mcem,train_size=1000,seed=0"]
    assert labels("method=mcem") == labels("grid.method=[mcem]")
    assert labels("grid.method=[mcem, wake_sleep]", "train_size=1000") == [
        "method=wake_sleep,train_size=1000,seed=0",
        "method=mcem,train_size=1000,seed=0",
    ]
    assert labels("train_size=7", "grid.method=[mcem]") == ["method=mcem,train_size=7,seed=0"]
    assert message("paper", "grid.method=[aevb, mcme]") == (
        "command line: grid.method: no block has mcme; did you mean mcem?"
    )
    whole = load("toy", "quick").trials
    faces = load("toy", "quick", ["grid.data=[frey_faces]"]).trials
    assert faces == [trial for trial in whole if trial.data == "frey_faces"]
    assert load("toy", "quick", ["grid.data=[frey_faces, mnist]"]).trials == whole
    assert message("paper", "grid.data=[frey_face]") == (
        "command line: grid.data: no block has frey_face; did you mean frey_faces?"
    )


def test_data_of_a_single_block_is_selected_too() -> None:
    write()
    assert load("toy", overrides=["grid.data=[mnist]"]).trials == load("toy").trials
    for wrong in ("digits", "3"):
        said = message("paper", f"grid.data=[{wrong}]")
        assert said.startswith(f"command line: grid.data: no block has {wrong}")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("  hidden: 100", "  hiden: 100", ":7: settings.hiden: unknown; did you mean hidden?"),
        ("source:", "sorce:", ":2: sorce: unknown; did you mean source?"),
        ("  method:", "  metod:", ":11: grid.metod: unknown; did you mean method?"),
        ("  quick:", "  quik:", ":14: presets.quik: unknown; did you mean quick?"),
        ("    seeds: [3]", "    seed: [3]", ":17: presets.embedded.seed: unknown; did you mean"),
        ("{hidden: 10}", "{hiden: 10}", ":18: settings.hiden: unknown; did you mean hidden?"),
        ("    at_least", "    at_leest", ":24: expect.at_leest: unknown; did you mean at_least?"),
        ("title: A toy\n", "", ":1: title: missing"),
        ("    measures: nats per image\n", "", ":21: expect.measures: missing"),
        ("hidden: 100", "hidden: many", ":7: settings.hidden: should be a valid integer, not"),
        ("hidden: 100", "hidden: 1.5", ":7: settings.hidden: should be a valid integer, got"),
        ("hidden: 100", "hidden: yes", ":7: settings.hidden: should be a number, not True"),
        ("hidden: 100", "hidden: -3", ":7: settings.hidden: should be greater than 0, not -3"),
        ("rate: 1e-3", "rate: .nan", ":8: settings.rate: should be a finite number, not nan"),
        ("rate: 1e-3", "rates:\n    - 1\n    - x", ":10: settings.rates: should be a valid number"),
        ("[aevb, mcem]", "[aevb, mcme]", ":11: grid.method: should be 'aevb', 'wake_sleep' or"),
        ("[aevb, mcem]", "aevb", ":11: grid.method: should be a valid list, not 'aevb'"),
        ("[aevb, mcem]", "[]", ":11: grid.method: should have at least 1 item, not []"),
        ("[0, 1]", "[0, -1]", ":5: seeds: should be greater than or equal to 0, not -1"),
        ("[0, 1]", "3", ":5: seeds: should be a valid list, not 3"),
        ("[0, 1]", "[yes]", ":5: seeds: should be a valid integer, not True"),
        ("settings:\n", "settings: 3\nx:\n", ":7: x: unknown"),
        ("data: mnist\n", "data: mnits\n", ":4: data: no mnits; did you mean mnist?"),
        ("data: mnist\n", "data: [mnist]\n", ":4: data: should be a valid string, not ['mnist']"),
        ("nt: toy", "nt: aevb_vs_wakeslep", ":3: experiment: no aevb_vs_wakeslep; did"),
        ("experiment: toy", "experiment: os.path", ":3: experiment: no os.path"),
        ("at_least: -134", "equals: 1", ":21: expect: equals and tolerance belong together"),
        ("presets: [paper]", "presets: [papr]", ":25: expect.presets: should be 'paper'"),
        ("presets: [paper]", "presets: [scale]", ":25: expect.presets: this recipe has no preset"),
        ("  hidden: 100", "  train_size: 9", ":7: settings.train_size: is an axis of the grid too"),
        ("[1000, 5e4]", "[1000, 1e3]", "grid: two trials are method=aevb,train_size=1000,seed=0"),
        ("title: A toy", "title: [A", ":2: while parsing a flow sequence"),
        ("title: A toy", "title: A\ntoy", ":3: "),
        ("title: A toy", "title: *toy", ":1: found undefined alias 'toy'"),
        ("title: A toy", "title: A\n---\nb: 1", ": expected a single document"),
        ("rate: 1e-3", "hidden: 3", ":8: hidden: given twice, first in line 7"),
        ("A toy", "!!python/object/apply:os.mkdir [made]", ":1: could not determine a constructor"),
        ("A toy", "!!python/name:os.system", ":1: could not determine a constructor"),
        ("A toy", "\x00", ": is not readable as YAML"),
        ("title: A toy", "? [a]\n: b", ":1: a key should be a word"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line(old: str, new: str, said: str) -> None:
    write(old, new)
    assert message().startswith("recipes/toy.yaml")
    assert said in message()
    assert not Path("made").exists()


def test_a_preset_that_is_not_chosen_is_checked_too() -> None:
    write("{samples: 2_000_000}", "{samples: two}")
    assert message("embedded") == (
        "recipes/toy.yaml:14: settings.samples: should be a valid integer, not 'two'"
    )


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("latnt_dim=5", "command line: settings.latnt_dim: unknown; did you mean latent_dim?"),
        ("hidden=x", "command line: settings.hidden: should be a valid integer, not 'x'"),
        ("hidden", "command line: 'hidden': an override should read key=value"),
        ("hidden=[1", "command line: while parsing a flow sequence"),
        ("hidden=!!python/name:os.system", "command line: could not determine a constructor"),
        ("grid.method=aevb", "command line: grid.method: should be a list of values, not 'aevb'"),
        ("method=aevbb", "command line: grid.method: should be 'aevb'"),
        ("presets.quick=1", "command line: presets.quick: unknown; data, settings.KEY"),
        ("seeds=3", "command line: seeds: are given as --seeds"),
        ("data=3", "command line: data: should be a name, not '3'"),
    ],
)
def test_a_wrong_override_is_told(override: str, said: str) -> None:
    assert message("paper", override).startswith(said)


def test_preset_names() -> None:
    assert message("quik") == "recipes/toy.yaml: no preset quik; did you mean quick?"
    assert message("scale") == "recipes/toy.yaml: no preset scale; there is embedded, paper, quick"


def test_two_bands_for_one_metric_in_one_preset_are_refused() -> None:
    entry = RECIPE[RECIPE.index("  - metric") :]
    write(text=RECIPE + entry)
    assert "two entries for score/aevb in preset paper" in message()
    write(text=RECIPE + entry.replace("[paper]", "[quick]"))
    assert len(load("toy").expect) == 2


def test_files_that_are_no_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    def said(name: str) -> str:
        with pytest.raises(BadInput) as caught:
            load(name)
        return str(caught.value)

    assert said("recipes") == "recipes: is a directory; a recipe is a .yaml file"
    assert said("tyo") == "tyo: no such recipe; did you mean toy?"
    assert said("recipes/toi.yaml") == "recipes/toi.yaml: no such recipe; did you mean toy?"
    for text in ("", "# only a comment\n", "---\n"):
        Path("recipes/empty.yaml").write_text(text)
        assert said("empty") == "recipes/empty.yaml: is empty"
    Path("recipes/list.yaml").write_text("- 1\n")
    assert "should be a mapping" in said("list")
    Path("recipes/latin.yaml").write_bytes(b"title: \xff\n")
    assert said("latin") == "recipes/latin.yaml: is not text in UTF-8"
    Path("recipes/deep.yaml").write_text("[" * 5000)
    assert said("deep").startswith("recipes/deep.yaml")

    def refuse(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)
    assert said("toy") == "recipes/toy.yaml: cannot be read: Permission denied"


def test_a_name_means_the_recipe_even_beside_a_folder_of_that_name() -> None:
    Path("toy").mkdir()
    assert recipe.find("toy") == Path("recipes/toy.yaml")
    assert load("recipes/toy.yaml").name == "toy"


def test_recipes_of_the_repository_are_found_from_elsewhere(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipes = Path(__file__).parents[2] / "recipes"
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert recipe.all_recipes() == sorted(recipes.glob("*.yaml"))
    for path in recipes.glob("*.yaml"):
        assert recipe.find(path.stem) == path


def test_yaml_anchors_merge_and_keep_their_lines() -> None:
    write("settings:\n", "settings:\n  <<: {latent_dim: 4, hidden: 7}\n")
    settings = load("toy").trials[0].settings
    assert (settings.latent_dim, settings.hidden) == (4, 100)  # type: ignore[attr-defined]
    write("settings:\n", "settings:\n  <<: {latnt_dim: 4}\n")
    assert message().startswith("recipes/toy.yaml:7: settings.latnt_dim: unknown")


def test_header_is_read_without_the_experiment_or_torch() -> None:
    write("experiment: toy", "experiment: elsewhere", with_blocks())
    code = (
        "import sys;"
        "from dgm.recipe.load import header; h = header('toy'); "
        "print(h.name, h.data, h.experiment, h.presets, h.expect[0].reported); "
        "assert not {'torch', 'pandas', 'dgm.experiments.elsewhere'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, check=False
    )
    assert done.stderr == ""
    assert done.stdout == (
        "toy ['mnist', 'frey_faces'] elsewhere ['paper', 'quick', 'embedded'] -130.0\n"
    )


def test_an_import_that_fails_inside_an_experiment_is_not_taken_for_a_wrong_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import dgm.experiments

    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "__init__.py").touch()
    (tmp_path / "broken" / "trial.py").write_text("import no_such_package\n")
    monkeypatch.setattr(dgm.experiments, "__path__", [str(tmp_path)])
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        experiments.trial("broken")


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("0:5", [0, 1, 2, 3, 4]), ("3", [3]), ("0,2", [0, 2]), ("7,0:2", [7, 0, 1])],
)
def test_seeds(text: str, seeds: list[int]) -> None:
    assert recipe.parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "x", "5:0", "-1", "0,0", "0:", "1.5", "0:2:3", ","])
def test_seeds_that_cannot_be_meant(text: str) -> None:
    with pytest.raises(BadInput, match=r"should read like 0:5"):
        recipe.parse_seeds(text)


def test_bands() -> None:
    def band(**keys: float) -> tuple[float | None, float | None]:
        return Expectation.model_validate({"metric": "m", "measures": "x", **keys}).band

    assert band() == (None, None)
    assert band(at_most=0.5) == (None, 0.5)
    assert band(equals=2, tolerance=0.5) == (1.5, 2.5)
    for wrong in (
        {"tolerance": 1.0},
        {"equals": 1.0, "tolerance": 1.0, "at_most": 2.0},
        {"equals": 1.0, "tolerance": -1.0},
        {"at_least": 2.0, "at_most": 1.0},
        {"at_most": float("nan")},
    ):
        with pytest.raises(ValueError):
            band(**wrong)


def test_settings_coerce_numbers_and_cannot_be_changed() -> None:
    settings = Settings.model_validate({"rate": "1e-3", "hidden": 1e2})
    assert (settings.rate, settings.hidden) == (0.001, 100)
    with pytest.raises(ValueError, match="frozen"):
        settings.hidden = 3
