"""YAML read so that each key and item remembers where it stands, through merges and overrides.

Only plain data is read, and only what has one meaning in all versions of YAML: no tags, no numbers
such as 010 or 1:30, no `yes` and `no`.
"""

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

from dgm.errors import BadInput
from dgm.text import unprintable

DEEPEST = 20  # mappings and lists within each other
MOST_VALUES = 20_000  # keys, items and texts of a document; an alias counts as all that it repeats
MOST_DIGITS = 20  # of a whole number


class Map(dict[Any, Any]):
    """A mapping; `origins[key]` says where the key stands: "recipes/x.yaml:12", "command line"."""

    def __init__(self, items: Mapping[Any, Any] = {}, origins: Mapping[Any, str] = {}):
        super().__init__(items)
        self.origins = dict(origins)


class Items(list[Any]):
    """A list; `origins[i]` says where item i stands."""

    def __init__(self, items: Iterable[Any] = (), origins: Iterable[str] = ()):
        super().__init__(items)
        self.origins = list(origins)


def merge(low: Map, high: Map) -> Map:
    """`low` with what `high` says differently: mappings merge, anything else replaces."""
    merged = Map(low, low.origins)
    for key, value in high.items():
        old: Any = merged.get(key)
        deeper = isinstance(old, Map) and isinstance(value, Map)
        merged[key] = merge(old, value) if deeper else value
        merged.origins[key] = high.origins[key]
    return merged


def locate(tree: Any, keys: Sequence[Any], default: str) -> str:
    """Where `tree[keys[0]][keys[1]]...` stands, or as much of that path as there is."""
    where = default
    for key in keys:
        try:
            where, tree = tree.origins[key], tree[key]
        except (AttributeError, LookupError, TypeError):
            continue  # a missing key, or the index of a grid's only block
    return where


def read(text: str, name: str, lines: bool = True) -> Any:
    """The one YAML document in `text`; BadInput where it cannot be read.

    An origin is "name:line" or, without `lines`, the name alone.
    """

    def origin(line: int) -> str:
        return f"{name}:{line + 1}" if lines else name

    try:
        return _Loader(text, origin).get_single_data()
    except yaml.reader.ReaderError as error:
        where = origin(text.count("\n", 0, error.position))
        raise BadInput(f"{where}: holds the character U+{error.character:04X}") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = ", ".join(filter(None, (error.context, error.problem)))
        raise BadInput(f"{origin(mark.line) if mark else name}: {message}") from error


class _Loader(yaml.SafeLoader):
    """Keeps origins, and bounds what a short text can expand to."""

    def __init__(self, text: str, origin: Any):
        super().__init__(text)
        self.origin = origin  # of a line, counted from 0
        self.depth = 0
        self.sizes: dict[yaml.Node, int] = {}  # values below and including a node

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: Any = self.peek_event()
        if self.depth > DEEPEST:
            raise _error(f"nested deeper than {DEEPEST}", event)
        if getattr(event, "tag", None):
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            raise _error(f"{tag}: tags are not read", event)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        assert node is not None
        if not isinstance(event, yaml.AliasEvent):
            self.sizes[node] = 1 + sum(self.sizes[child] for child in _children(node))
        elif node not in self.sizes:
            raise _error(f"*{event.anchor}: stands inside what it repeats", event)
        if max(self.sizes[node], len(self.sizes)) > MOST_VALUES:
            raise _error(f"expands to more than {MOST_VALUES:,} values", event)
        return node


def _children(node: yaml.Node) -> Iterable[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return itertools.chain.from_iterable(node.value)
    return node.value if isinstance(node, yaml.SequenceNode) else ()


def _error(message: str, at: Any) -> yaml.MarkedYAMLError:
    """Of a node or an event."""
    return yaml.MarkedYAMLError(problem=message, problem_mark=at.start_mark)


def _map(loader: _Loader, node: yaml.MappingNode) -> Map:
    first: dict[str, int] = {}
    for key_node, _ in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise _error("a key should be a word", key_node)
        key = _text(loader, key_node)
        if key in first:
            raise _error(f"{key}: given twice, first in line {first[key]}", key_node)
        first[key] = key_node.start_mark.line + 1
    loader.flatten_mapping(node)  # `<<: *anchor`

    found = Map()
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str):
            raise _error("a key should be a word", key_node)
        found[key] = loader.construct_object(value_node, deep=True)
        found.origins[key] = loader.origin(key_node.start_mark.line)
    return found


def _items(loader: _Loader, node: yaml.SequenceNode) -> Items:
    return Items(
        (loader.construct_object(item, deep=True) for item in node.value),
        (loader.origin(item.start_mark.line) for item in node.value),
    )


def _text(loader: _Loader, node: yaml.ScalarNode) -> str:
    """A text as one line: a line break reads as a space."""
    text = " ".join(node.value.split()) if "\n" in node.value else node.value
    if unprintable(text):
        raise _error(f"holds the character {unprintable(text)}", node)
    return text


def _int(loader: _Loader, node: yaml.ScalarNode) -> int:
    digits = node.value.replace("_", "")
    if len(digits) > MOST_DIGITS:
        raise _error(f"{digits[:MOST_DIGITS]}...: has more than {MOST_DIGITS} digits", node)
    return int(digits)


def _ambiguous(loader: _Loader, node: yaml.ScalarNode) -> None:
    message = "has two meanings in YAML; write a decimal number, true or false, or quotes"
    raise _error(f"{node.value}: {message}", node)


_Loader.yaml_implicit_resolvers = {}
for tag, pattern, starts in (
    ("merge", "<<", ["<"]),
    ("null", "|~|null|Null|NULL", ["", *"~nN"]),
    ("bool", "true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", "[-+]?(0|[1-9][0-9_]*)", "-+0123456789"),
    (
        "float",  # YAML 1.1 would read 1e-3 as a text
        r"[-+]?(([0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)([eE][-+]?[0-9]+)?"
        r"|[0-9][0-9_]*[eE][-+]?[0-9]+|\.(inf|Inf|INF))|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
    (
        "ambiguous",  # octal, hexadecimal, binary, base 60; yes and no
        "[-+]?(0[0-9_]+|0[xXoObB][0-9a-fA-F_]+|[0-9][0-9_]*(:[0-9]+)+([.][0-9_]*)?)"
        "|yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF",
        "-+0123456789yYnNoO",
    ),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"({pattern})$"), starts)
for tag, construct in (
    ("map", _map),
    ("seq", _items),
    ("str", _text),
    ("int", _int),
    ("ambiguous", _ambiguous),
):
    _Loader.add_constructor(f"tag:yaml.org,2002:{tag}", construct)
