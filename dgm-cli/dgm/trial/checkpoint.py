"""Checkpoints: any nesting of dicts, lists, tuples, tensors and plain values, as one file.

The file is in the safetensors format: the tensors, and as metadata the nesting in JSON and a
checksum of both. Nothing is ever pickled.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from dgm.files import atomic_write

Nested = Any  # a dict, list or tuple of Nested; or a Tensor, int, float, bool, str or None


def write(path: Path, value: Nested, **about: Any) -> None:
    """Save `value`, and `about` as it is in JSON; TypeError names what cannot be saved."""
    found: dict[str, Tensor] = {}
    text = json.dumps({**about, "value": flatten(value, found)})
    tensors = {place: copied(tensor) for place, tensor in found.items()}
    atomic_write(path, save(tensors, {"about": text, "sha256": digest(text, tensors)}))


def read(path: Path) -> tuple[Nested, dict[str, Any]]:
    """What `write` saved; ValueError where a bit of the file has changed since."""
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
        tensors = {place: file.get_tensor(place) for place in file.keys()}  # noqa: SIM118
    if metadata.get("sha256") != digest(metadata.get("about", ""), tensors):
        raise ValueError("it is damaged: its checksum differs")
    about = json.loads(metadata["about"])
    return _unflatten(about.pop("value"), tensors), about


def flatten(value: Nested, tensors: dict[str, Tensor], place: str = "") -> Any:
    """JSON for `value`, in which each tensor is a place, such as "optimizer/state/0/exp_avg".

    The tensors are added to `tensors` by their places. A dict becomes pairs, for its keys may be
    numbers.
    """

    def part(key: Any, value: Nested) -> Any:
        return flatten(value, tensors, f"{place}/{key}" if place else str(key))

    if isinstance(value, Tensor):
        if place in tensors:
            raise ValueError(f"two tensors of a state are both called {place}")
        tensors[place] = value
        return {"tensor": place}
    if isinstance(value, dict):
        return {"dict": [[key, part(key, of_key)] for key, of_key in value.items()]}
    if isinstance(value, (list, tuple)):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {kind: [part(i, item) for i, item in enumerate(value)]}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"{place}: a {type(value).__name__} cannot be saved")


def _unflatten(skeleton: Any, tensors: dict[str, Tensor]) -> Nested:
    if not isinstance(skeleton, dict):
        return skeleton
    ((kind, content),) = skeleton.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "dict":
        return {key: _unflatten(value, tensors) for key, value in content}
    return (tuple if kind == "tuple" else list)(_unflatten(item, tensors) for item in content)


def copied(tensor: Tensor) -> Tensor:
    """A contiguous copy on the CPU; safetensors refuses tensors that share their memory."""
    return tensor.detach().cpu().clone(memory_format=torch.contiguous_format)


def digest(text: str, tensors: dict[str, Tensor]) -> str:
    """SHA-256 of the text and of every tensor's place, type, shape and bytes."""
    found = hashlib.sha256(text.encode())
    for place, tensor in sorted(tensors.items()):
        found.update(f"{place} {tensor.dtype} {list(tensor.shape)}".encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()
