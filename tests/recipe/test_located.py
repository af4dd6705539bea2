"""YAML: where things stand, and what is not read."""

import pytest

from dgm.engine.load import load
from dgm.errors import BadInput
from dgm.recipe.located import Items, Map, locate, merge, read

from .toy import message, write


def test_yaml_anchors_merge_and_keep_their_lines() -> None:
    write("settings:\n", "settings:\n  <<: {latent_dim: 4, hidden: 7}\n")
    settings = load("toy").trials[0].settings
    assert (settings.latent_dim, settings.hidden) == (4, 100)  # type: ignore[attr-defined]
    write("settings:\n", "settings:\n  <<: {latnt_dim: 4}\n")
    assert message().startswith("recipes/toy.yaml:7: settings.latnt_dim: unknown")


def refused(text: str) -> str:
    with pytest.raises(BadInput) as caught:
        read(text, "x.yaml")
    assert str(caught.value).isprintable()
    return str(caught.value)


def test_origins() -> None:
    tree = read("a: 1\nb:\n  - x\n  - {c: 2}\n", "x.yaml")
    assert tree == {"a": 1, "b": ["x", {"c": 2}]}
    assert (type(tree), type(tree["b"])) == (Map, Items)
    assert tree.origins == {"a": "x.yaml:1", "b": "x.yaml:2"}
    assert tree["b"].origins == ["x.yaml:3", "x.yaml:4"]
    assert locate(tree, ["b", 1, "c", "d"], "nowhere") == "x.yaml:4"
    assert locate(tree, ["d"], "nowhere") == "nowhere"
    high = read("b: [3]\nc: {d: 4}", "command line", lines=False)
    merged = merge(tree, high)
    assert merged == {"a": 1, "b": [3], "c": {"d": 4}}
    assert merged.origins == {"a": "x.yaml:1", "b": "command line", "c": "command line"}
    assert tree["b"] == ["x", {"c": 2}]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0), ("-12", -12), ("1_000", 1000), ("+3", 3), ("1234567890123456", 1234567890123456),
        ("1e-3", 0.001), ("1.", 1.0), (".5", 0.5), ("-1_0.5e+1", -105.0), ("5e4", 5e4),
        ("00.5", 0.5), (".inf", float("inf")), ("true", True), ("False", False), ("null", None),
        ("~", None), ("", None), ("y", "y"), ("n", "n"), ("none", "none"), ("1.2.3", "1.2.3"),
        ("2014-05-01", "2014-05-01"), ("0b", "0b"), ("'010'", "010"), ('"no"', "no"),
        ("'1:30'", "1:30"), ("-+", "-+"), ("a:b", "a:b"), (">\n  two\n  lines\n", "two lines"),
        ("|\n  two\n  lines\n", "two lines"), ('"a\\nb"', "a b"),
    ],
)  # fmt: skip
def test_scalars(text: str, value: object) -> None:
    (found,) = read(f"- {text}", "x")
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    "text",
    ["010", "-010", "08", "0_1", "0x10", "0o17", "0b101", "1:30", "1:30:05", "-1:30.5", "190:20:30",
     "yes", "No", "ON", "off"],
)  # fmt: skip
def test_what_has_two_meanings_in_yaml_is_refused(text: str) -> None:
    for line in (f"a: {text}", f"a: [1, {text}]", f"a: {{b: {text}}}", f"? {text}\n: 1"):
        assert refused(f"x: 1\n{line}").startswith(f"x.yaml:2: {text}: has two meanings in YAML")


@pytest.mark.parametrize(
    "value",
    ["!!timestamp x", "!!bool x", "!!int 010", "!!int x", "!!float x", "!!null x", "!!binary x",
     "!!set {a}", "!!omap [a: 1]", "!!pairs [a: 1]", "!!map [1]", "!!map x", "!!seq {a: 1}",
     "!!str [a]", "!!merge x", "!!value x", "!!python/name:os.system", "!own x", "! x"],
)  # fmt: skip
def test_tags_are_not_read(value: str) -> None:
    assert refused(f"x: 1\na: {value}") == f"x.yaml:2: {value.split()[0]}: tags are not read"
    assert refused(f"? {value}\n: 1").endswith("tags are not read")


@pytest.mark.parametrize("character", ["\x00", "\x07", "\x1b", "\x7f", "\ud800", "\ufffe"])
def test_raw_control_characters(character: str) -> None:
    assert (
        refused(f"x: 1\na: b{character}") == f"x.yaml:2: holds the character U+{ord(character):04X}"
    )


@pytest.mark.parametrize("escape", ["\\0", "\\e", "\\x07", "\\t", "\\u202e", "\\u2028", "\\_"])
def test_escaped_control_characters(escape: str) -> None:
    for line in (f'a: "b{escape}c"', f'"b{escape}c": 1', f'a: [{{"b{escape}c": 1}}]'):
        assert refused(f"x: 1\n{line}").startswith("x.yaml:2: holds the character U+")


@pytest.mark.parametrize(
    "text", ["1: x", "true: x", "null: x", "1.5: x", "{a: 1}: x", "? [a]\n: b"]
)
def test_keys_are_words(text: str) -> None:
    assert refused(text) == "x.yaml:1: a key should be a word"


def test_long_numbers_are_refused() -> None:
    assert refused("a: " + "9" * 5000) == f"x.yaml:1: {'9' * 20}...: has more than 20 digits"


def nested(levels: int, wide: int, merged: bool) -> str:
    """Mappings that repeat the one before `wide` times each."""
    key = "<<: [{}]" if merged else "x: [{}]"
    lines = ["a0: &a0 {x: 1}"]
    for i in range(1, levels):
        again = ", ".join([f"*a{i - 1}"] * wide)
        lines.append(f"a{i}: &a{i} {{{key.format(again)}}}")
    return "\n".join(lines)


@pytest.mark.timeout(5)
@pytest.mark.parametrize(
    ("text", "limit"),
    [
        (nested(9, 9, merged=True), "expands to more than 20,000 values"),
        (nested(9, 9, merged=False), "expands to more than 20,000 values"),
        ("[" + "0, " * 100_000 + "]", "expands to more than 20,000 values"),
        ("[" * 5000, "nested deeper than 20"),
        ("{a: " * 5000, "nested deeper than 20"),
        ("- " * 5000, "nested deeper than 20"),
        ("? " * 5000, "nested deeper than 20"),
        ("\n".join(" " * i + "a:" for i in range(100)), "nested deeper than 20"),
        ("a: &a [*a]", "*a: stands inside what it repeats"),
        ("a: &a {<<: *a}", "*a: stands inside what it repeats"),
        ("a: &a {b: {c: *a}}", "*a: stands inside what it repeats"),
    ],
)
def test_what_expands_without_bound_is_refused(text: str, limit: str) -> None:
    assert refused(text).endswith(limit)


def test_aliases_within_the_bounds_are_read() -> None:
    tree = read(nested(4, 3, merged=False), "x")
    assert tree["a3"]["x"][2]["x"][0] == {"x": [{"x": 1}] * 3}
    assert read(nested(4, 3, merged=True), "x")["a3"] == {"x": 1}
