"""`key=value` of the command line."""

import pytest

from dgm.engine.load import load

from .toy import message, with_blocks, write


@pytest.mark.parametrize(
    ("override", "field", "value"),
    [
        ("hidden=20", "hidden", 20),
        ("settings.hidden=2e1", "hidden", 20),
        ("rate=1e-3", "rate", 0.001),
        ("rates=[1, 2e-2]", "rates", [1.0, 0.02]),
        ("bias=false", "bias", False),
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
        "command line: grid.method: no block of preset paper has mcme; did you mean mcem?"
    )
    whole = load("toy", "quick").trials
    faces = load("toy", "quick", ["grid.data=[frey_faces]"]).trials
    assert faces == [trial for trial in whole if trial.data == "frey_faces"]
    assert load("toy", "quick", ["grid.data=[frey_faces, mnist]"]).trials == whole
    assert message("paper", "grid.data=[frey_face]") == (
        "command line: grid.data: no block of preset paper has frey_face; did you mean frey_faces?"
    )


def test_data_of_a_single_block_is_selected_too() -> None:
    write()
    assert load("toy", overrides=["grid.data=[mnist]"]).trials == load("toy").trials
    for wrong in ("digits", "3"):
        expected = message("paper", f"grid.data=[{wrong}]")
        assert expected.startswith(f"command line: grid.data: no block of preset paper has {wrong}")


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("latnt_dim=5", "command line: settings.latnt_dim: unknown; did you mean latent_dim?"),
        ("hidden=x", "command line: settings.hidden: should be a valid integer, not 'x'"),
        ("hidden", "command line: 'hidden': an override should read key=value"),
        ("hidden=[1", "command line: while parsing a flow sequence"),
        (
            "hidden=!!python/name:os.system",
            "command line: !!python/name:os.system: tags are not read",
        ),
        ("grid.method=aevb", "command line: grid.method: should be a list of values, not 'aevb'"),
        ("method=aevbb", "command line: grid.method: should be 'aevb'"),
        ("presets.quick=1", "command line: presets.quick: unknown; data, settings.KEY"),
        ("seeds=3", "command line: seeds: are given as --seeds"),
        ("hidden=010", "command line: 010: has two meanings in YAML"),
        ("hidden=1:30", "command line: 1:30: has two meanings in YAML"),
        ("bias=no", "command line: no: has two meanings in YAML"),
        ("hidden=\x07", "command line: 'hidden=\\x07': holds the character U+0007"),
        ("hid\nden=3", "command line: 'hid\\nden=3': holds the character U+000A"),
        ("rates=\udc80", "command line: 'rates=\\udc80': holds the character U+DC80"),
        ("variant=x/../../escaped", "command line: settings.variant: should be a text of letters"),
        ("grid.variant=[a, 'b,c']", "command line: grid.variant: should be a text of letters"),
        ("rate=1e300", "command line: settings.rate: should be at most 3.4e+38"),
        ("1=2", "command line: settings.1: unknown"),
        ("data=3", "command line: data: should be a name, not '3'"),
    ],
)
def test_wrong_overrides(override: str, expected: str) -> None:
    assert message("paper", override).startswith(expected)


def test_an_override_that_a_preset_has_no_cells_for_names_the_preset() -> None:
    write(
        text=with_blocks().replace(
            "    data: digits", "    data: digits\n    grid: {method: [aevb]}"
        )
    )
    assert load("toy", "paper", ["grid.data=[frey_faces]"]).trials
    assert message("embedded", "grid.data=[frey_faces]") == (
        "command line: grid.data: no block of preset embedded has frey_faces; choose from digits"
    )
