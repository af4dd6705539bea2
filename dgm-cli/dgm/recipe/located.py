"""YAML read so that each key and item remembers where it stands, through merges and overrides."""

import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import yaml

from dgm.errors import BadInput


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
    """Where `tree[keys[0]][keys[1]]...` stands, or what of it there is; else `default`."""
    where = default
    for key in keys:
        try:
            where, tree = tree.origins[key], tree[key]
        except (AttributeError, LookupError, TypeError):
            continue  # a missing key, or the index of a grid's only block
    return where


def read(text: str, name: str) -> Any:
    """The one YAML document in `text`, of plain data only; `name` stands for it in messages."""
    try:
        loader = _Loader(text)
        loader.name = name
        return loader.get_single_data()
    except yaml.MarkedYAMLError as error:
        said = ", ".join(filter(None, (error.context, error.problem)))
        mark = error.problem_mark or error.context_mark
        raise BadInput(f"{_origin(mark) if mark else name}: {said}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BadInput(
            f"{name}: is not readable as YAML: {' '.join(str(error).split())}"
        ) from error


class _Loader(yaml.SafeLoader):
    """SafeLoader that keeps origins, refuses a key given twice, and reads 1e-3 as a number."""


def _origin(mark: Any) -> str:
    return mark.name if mark.name == "command line" else f"{mark.name}:{mark.line + 1}"


def _map(loader: _Loader, node: yaml.MappingNode) -> Map:
    first: dict[str, int] = {}
    for key_node in (key_node for key_node, _ in node.value if isinstance(key_node.value, str)):
        if key_node.value in first:
            said = f"{key_node.value}: given twice, first in line {first[key_node.value]}"
            raise yaml.constructor.ConstructorError(None, None, said, key_node.start_mark)
        first[key_node.value] = key_node.start_mark.line + 1
    loader.flatten_mapping(node)  # `<<: *anchor`

    found = Map()
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, Hashable):
            said = "a key should be a word"
            raise yaml.constructor.ConstructorError(None, None, said, key_node.start_mark)
        found[key] = loader.construct_object(value_node, deep=True)
        found.origins[key] = _origin(key_node.start_mark)
    return found


def _items(loader: _Loader, node: yaml.SequenceNode) -> Items:
    return Items(
        (loader.construct_object(item, deep=True) for item in node.value),
        (_origin(item.start_mark) for item in node.value),
    )


_Loader.add_constructor("tag:yaml.org,2002:map", _map)
_Loader.add_constructor("tag:yaml.org,2002:seq", _items)
_Loader.add_implicit_resolver(  # YAML 1.1 wants 1.0e-3, and would hand over the string "1e-3"
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\d[\d_]*\.?[\d_]*|\.\d[\d_]*)[eE][-+]?\d+$"),
    list("-+.0123456789"),
)
