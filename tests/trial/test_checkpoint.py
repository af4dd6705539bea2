"""Checkpoints: any nesting comes back as it was, and any flipped bit is noticed."""

import math
from collections import Counter, OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from dgm.data.dataset import Dataset
from dgm.errors import DgmError
from dgm.trial import checkpoint
from dgm.trial.loop import Trial
from dgm.trial.snapshots import Average

BASE = torch.arange(12.0).view(3, 4)
TENSORS = {
    "transposed": BASE.t(),
    "row": BASE[1],
    "same memory": BASE,
    "scalar": torch.tensor(0.1, dtype=torch.float64),
    "nothing": torch.empty(0, 3),
    "half": torch.tensor([1.5, math.nan], dtype=torch.bfloat16),
    "whole": torch.tensor([-(2**63), 2**63 - 1]),
    "bytes": torch.tensor([0, 255], dtype=torch.uint8),
    "flags": torch.tensor([True, False]),
}
PLAIN = [None, True, False, 0, 1, -(10**30), 0.1, 1e-320, math.inf, -math.inf, "", "a/b é\n"]
NESTED: dict[Any, Any] = {
    "state": {0: {"step": torch.tensor(3.0)}, 10: {}, "0.5": [], 2.5: (), True: None, None: 1},
    "groups": [{"betas": (0.9, 0.999), "params": [0, 1]}, ((), [[]], {})],
    "plain": PLAIN,
    **TENSORS,
}


def same(a: Any, b: Any) -> bool:
    """Of the same values and types, all the way down."""
    if isinstance(a, Tensor):
        return a.dtype == b.dtype and torch.equal(a.nan_to_num(9), b.nan_to_num(9))
    if isinstance(a, dict):
        return [*map(repr, a)] == [*map(repr, b)] and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


def test_any_nesting_comes_back(tmp_path: Path) -> None:
    checkpoint.write(tmp_path / "a", NESTED, step=3, rows={"x": [1, 0.1]})
    found, about = checkpoint.read(tmp_path / "a")
    assert same(found, NESTED)
    assert about == {"step": 3, "rows": {"x": [1, 0.1]}}
    found["row"].zero_()  # its own memory, not the file's and no other tensor's
    assert same(found["same memory"], BASE) and same(checkpoint.read(tmp_path / "a")[0], NESTED)


def test_kinds_of_dicts_come_back_as_dicts(tmp_path: Path) -> None:
    checkpoint.write(tmp_path / "a", {"a": OrderedDict(x=1), "b": Counter({3: 2})})
    assert same(checkpoint.read(tmp_path / "a")[0], {"a": {"x": 1}, "b": {3: 2}})


@pytest.mark.parametrize("thing", [{1}, b"1", np.zeros(2), np.int64(3), 1j, object(), len])
def test_what_cannot_be_saved_is_named(tmp_path: Path, thing: Any) -> None:
    kind = type(thing).__name__
    with pytest.raises(TypeError, match=f"^sampler/places/1: a {kind} cannot be saved$"):
        checkpoint.write(tmp_path / "a", {"sampler": {"places": [0, thing]}})
    assert not (tmp_path / "a").exists()


def test_two_tensors_of_one_place_are_refused() -> None:
    one = torch.ones(1)
    with pytest.raises(ValueError, match="both called a/0"):
        checkpoint.flatten({"a": {0: one, "0": one}}, {})


def test_every_flipped_bit_is_noticed(tmp_path: Path) -> None:
    """In tensors, names, types, shapes, the nesting, the checksum, and what lies between."""
    path = tmp_path / "a"
    checkpoint.write(path, {"m": BASE[1], 1: (0.1, torch.tensor([7])), "empty": BASE[:0]}, step=3)
    whole = path.read_bytes()
    assert len(whole) < 1000
    for byte in range(len(whole)):
        flipped = bytes([whole[byte] ^ (1 << byte % 8)])
        path.write_bytes(whole[:byte] + flipped + whole[byte + 1 :])
        with pytest.raises((ValueError, TypeError, SafetensorError)):
            checkpoint.read(path)
    path.write_bytes(whole)
    assert checkpoint.read(path)[1] == {"step": 3}


def test_a_damaged_checkpoint_is_not_resumed(tmp_path: Path) -> None:
    """One bit of one number; the trial itself would not have noticed."""
    images = torch.zeros(2, 6)

    def run() -> list[int]:
        trial = Trial("t", Dataset("toy", images, images, images, (2, 3)), 0, tmp_path)
        average = Average(torch.full((5,), 0.7))
        steps = []
        for step in trial.steps(3, average=average):
            average.take()
            steps.append(step)
        return steps

    assert run() == [0, 1, 2]
    path = tmp_path / "train.safetensors"
    content = bytearray(path.read_bytes())
    with safe_open(path, framework="pt") as file:
        number = file.get_tensor("average/vector").numpy().tobytes()
    content[content.index(number) + 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DgmError) as caught:
        run()
    assert str(caught.value) == (
        f"{path}: not a checkpoint of this trial (it is damaged: its checksum differs); "
        f"remove {tmp_path} to start it anew"
    )
    path.unlink()
    assert run() == [0, 1, 2]
