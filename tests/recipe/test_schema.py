"""What may stand in a recipe, and the one line that says what may not."""

from pathlib import Path
from typing import Any

import pytest

from dgm.engine.load import load
from dgm.recipe.schema import Expectation, competitor

from .toy import RECIPE, Settings, message, write


@pytest.mark.parametrize(
    ("old", "new", "expected"),
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
        ("hidden: 100", "hidden: true", ":7: settings.hidden: should be a number, not True"),
        ("hidden: 100", "hidden: -3", ":7: settings.hidden: should be greater than 0, not -3"),
        ("rate: 1e-3", "rate: .nan", ":8: settings.rate: should be a finite number, not nan"),
        ("rate: 1e-3", "rates:\n    - 1\n    - x", ":10: settings.rates: should be a valid number"),
        ("[aevb, mcem]", "[aevb, mcme]", ":11: grid.method: should be 'aevb', 'wake_sleep' or"),
        ("[aevb, mcem]", "aevb", ":11: grid.method: should be a valid list, not 'aevb'"),
        ("[aevb, mcem]", "[]", ":11: grid.method: should have at least 1 item, not []"),
        ("[0, 1]", "[0, -1]", ":5: seeds: should be greater than or equal to 0, not -1"),
        ("[0, 1]", "[9223372036854775808]", ":5: seeds: should be less than 9223372036854775808"),
        ("rate: 1e-3", "rates: [1, true]", ":8: settings.rates: should be a number, not [1, True]"),
        ("experiment: toy", "experiment: __init__", ":3: experiment: should be a name of small"),
        ("data: mnist", "uses: '  '", ":4: uses: should read RECIPE KEY=VALUE"),
        ("better: higher", "better: nearer", ":26: expect.better: should be 'higher', 'lower' or"),
        ("better: higher", "recalled: true", ":21: expect: reported needs better: higher, lower"),
        ("reported: -130", "recalled: true", ":21: expect: better, recalled and against say"),
        ("better: higher", "better: higher\n    claim: it is", ":21: expect: either reported, "),
        ("better: higher", "better: higher\n    against: gap", "expect: against gap, which has no"),
        ("rate: 1e-3", "latent_dim: 1001", ":8: latent_dim 1001 is too large for hidden 100"),
        ("[0, 1]", "3", ":5: seeds: should be a valid list, not 3"),
        ("[0, 1]", "[true]", ":5: seeds: should be a number, not [True]"),
        ("settings:\n", "settings: 3\nx:\n", ":7: x: unknown"),
        ("data: mnist\n", "data: mnits\n", ":4: data: no mnits; did you mean mnist?"),
        ("data: mnist\n", "data: [mnist]\n", ":4: data: should be a valid string, not ['mnist']"),
        ("nt: toy", "nt: aevb_vs_wakeslep", ":3: experiment: no aevb_vs_wakeslep; did"),
        ("experiment: toy", "experiment: os.path", ":3: experiment: should be a name"),
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
        ("A toy", "!!python/object/apply:os.mkdir [made]", ":1: !!python/object/apply:os.mk"),
        ("A toy", "!!python/name:os.system", ":1: !!python/name:os.system: tags are not read"),
        ("A toy", "\x00", ":1: holds the character U+0000"),
        ("title: A toy", "? [a]\n: b", ":1: a key should be a word"),
    ],
)  # fmt: skip
def test_mistakes_are_reported_with_their_line(old: str, new: str, expected: str) -> None:
    write(old, new)
    assert message().startswith("recipes/toy.yaml")
    assert expected in message()
    assert not Path("made").exists()


def test_a_preset_that_is_not_chosen_is_checked_too() -> None:
    write("{samples: 2_000_000}", "{samples: two}")
    assert message("embedded") == (
        "recipes/toy.yaml:14: settings.samples: should be a valid integer, not 'two'"
    )


def test_two_bands_for_one_metric_in_one_preset_are_refused() -> None:
    entry = RECIPE[RECIPE.index("  - metric") :]
    write(text=RECIPE + entry)
    assert "2 entries for score/aevb in preset paper" in message()
    write(text=RECIPE + entry.replace("[paper]", "[quick]"))
    assert len(load("toy").expect) == 2


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
    settings = Settings.model_validate({"rate": 1, "hidden": 1e2})
    assert (settings.rate, settings.hidden) == (1.0, 100)
    for quoted in ({"rate": "1e-3"}, {"hidden": "10"}, {"rates": ["0.1"]}):
        with pytest.raises(ValueError, match="should be a number"):
            Settings.model_validate(quoted)
    with pytest.raises(ValueError, match="frozen"):
        settings.hidden = 3


@pytest.mark.parametrize(
    ("setting", "limit"),
    [
        ("rate: 1e300", "settings.rate: should be at most 3.4e+38, the largest 32-bit float"),
        ("rates: [0.1, -1e39]", "settings.rates: should be at most 3.4e+38"),
        ("samples: 1_000_000_000_001", "settings.samples: should be at most 1,000,000,000,000"),
        ("samples: -1_000_000_000_001", "settings.samples: should be at most 1,000,000,000,000"),
        ("schedule: [[1000000000, 0, 1]]", "should sum to at most 1,000,000, not [[1000000000, 0"),
        ("schedule: [[600_000, 0, 1], [600_000, 1, 2]]", "should sum to at most 1,000,000"),
    ],
)
def test_numbers_of_settings_are_bounded(setting: str, limit: str) -> None:
    write("  rate: 1e-3\n  samples: 60_000_000", f"  {setting}")
    assert message("quick" if "samples" in setting else "paper").startswith("recipes/toy.yaml:8: ")
    assert limit in message()


def test_numbers_at_their_bounds_are_taken() -> None:
    write("rate: 1e-3", "rate: 3.4e38\n  schedule: [[1_000_000, 0, 3.4e38]]")
    settings = load("toy").trials[0].settings
    assert (settings.rate, settings.schedule) == (3.4e38, [(1_000_000, 0, 3.4e38)])  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "text", ["small", "a b", "x-1", "initial_std=0.1", "+1.5", ".", "None", "NA", "x" * 100]
)
def test_texts_of_settings(text: str) -> None:
    assert Settings.model_validate({"variant": text}).variant == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        " a",
        "a ",
        "a/b",
        "a\\\\b",
        "..",
        "a..b",
        "a,b",
        "$x$",
        "a\\tb",
        "%",
        "ä",
        "*",
        "x" * 101,
    ],
)
def test_texts_that_cannot_be_part_of_a_name(text: str) -> None:
    for line in (f'settings: {{variant: "{text}"}}', f'grid: {{variant: [small, "{text}"]}}'):
        write(text=f"title: A\nsource: B\nexperiment: toy\ndata: digits\n{line}\n")
        assert message().startswith("recipes/toy.yaml:5: ")
    assert message("paper", f'variant="{text}"').startswith(
        ("recipes/toy.yaml:5: ", "command line: ")
    )


def test_a_complaint_about_several_settings_stands_at_the_first_that_it_names() -> None:
    write("rate: 1e-3", "rates: [0.1, 0.1]")
    assert message().startswith("recipes/toy.yaml:8: rates [0.1, 0.1]: two are the same")
    write()
    for override in ("rates=[0.1, 0.1]", "latent_dim=1001", "grid.latent_dim=[3, 1001]"):
        assert message("paper", override).startswith("command line: ")


def test_the_reported_value_of_an_expectation() -> None:
    entry = {"metric": "m", "measures": "x", "reported": 1.0, "better": "lower"}
    plain = Expectation.model_validate(entry)
    assert (plain.better, plain.recalled, plain.deterministic) == ("lower", False, False)
    given = Expectation.model_validate({**entry, "better": "closer", "recalled": True})
    assert (given.better, given.recalled) == ("closer", True)


def test_a_claim_needs_a_band() -> None:
    entry = {"metric": "m", "measures": "x", "claim": "a is above b"}
    with pytest.raises(ValueError, match="claim needs a band"):
        Expectation.model_validate(entry)
    assert Expectation.model_validate({**entry, "at_least": 0}).claim == "a is above b"


def test_the_competitor_of_an_expectation() -> None:
    def entry(metric: str, reported: float, **keys: Any) -> Expectation:
        about = {"metric": metric, "measures": "x", "reported": reported, "better": "lower"}
        return Expectation.model_validate({**about, **keys})

    expect = [
        entry("a", 1.25, against="b"),
        entry("b", 9.0, presets=["quick"]),
        entry("b", 1.4, presets=["paper"]),
    ]
    assert competitor(expect, expect[0], "paper") == 1.4
    assert competitor(expect, expect[0], "quick") == 9.0
    assert competitor(expect, expect[2], "paper") is None
    with pytest.raises(ValueError, match="against b, which has no reported value in scale"):
        competitor(expect, expect[0], "scale")
