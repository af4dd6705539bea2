"""A trial's folder: what was left is read back as it was, and no other trial's is taken for it."""

import hashlib
import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import dgm
from dgm.data.dataset import Dataset
from dgm.errors import BadInput, DgmError
from dgm.models.vae import VAE
from dgm.report.tables import Artifacts
from dgm.trial import folder as store
from dgm.trial import machine
from dgm.trial.keys import Keys
from dgm.trial.loop import Trial
from dgm.trial.models import load

IMAGES = torch.rand(10, 6, generator=torch.Generator().manual_seed(1))
KEYS = Keys(
    {"data": "toy", "seed": 3, "hidden": 100, "rates": [0.1, 0.02]},
    {"experiment": "toy", "revision": 1, "data": "abc"},
    {"torch": "2.13.0", "device": "cpu", "threads": 1},
)


def changed(cell: Any = (), code: Any = (), machine: Any = ()) -> Keys:
    return Keys(KEYS.cell | dict(cell), KEYS.code | dict(code), KEYS.machine | dict(machine))


def new_trial(folder: Path) -> Trial:
    data = Dataset("toy", IMAGES, IMAGES, IMAGES, (2, 3))
    return Trial("seed=3", data, 3, store.checkpoints(folder))


def new_model() -> VAE:
    model = VAE(visible=6, hidden=5, latent_dim=2)
    model.initialise(0.5, torch.Generator().manual_seed(4))
    return model


def artifacts() -> Artifacts:
    table = pd.DataFrame(
        {
            "split": ["train", "a, test", ""],
            "step": [1, 2, 2**53 + 1],
            "value": [0.1 + 0.2, 1e-300, float(np.float32(1 / 3))],
            "stderr": [np.nan, 1 / 3, -0.0],
        }
    )
    curve = np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)
    return Artifacts(
        {"curves": table, "one": table[["step"]][:1]},
        {"seconds": np.array([0.1, 2.5]), "curve": curve},
        {"vae": new_model()},
    )


def finished(folder: Path) -> Artifacts:
    left = artifacts()
    store.open_trial(folder, KEYS)
    trial = new_trial(folder)
    list(trial.steps(4, model=left.models["vae"]))
    trial.choose(rate=0.02)
    store.finish_trial(folder, KEYS, {"hidden": 100, "batch": 10}, left, trial)
    return left


def test_what_a_trial_left_is_read_back(tmp_path: Path) -> None:
    left = finished(tmp_path / "a")
    tables, arrays = store.read_trial(tmp_path / "a")
    assert list(tables) == ["curves", "one"]
    read, written = tables["curves"], left.tables["curves"]
    pd.testing.assert_frame_equal(
        read.drop(columns="split"), written.drop(columns="split"), check_exact=True
    )
    assert list(read["split"].fillna("")) == list(written["split"])  # CSV knows no empty text
    assert list(arrays) == ["seconds", "curve"]
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, left.arrays[name], strict=True)
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [
        "curve.npz",
        "curves.csv",
        "one.csv",
        "seconds.npz",
        "trial.json",
        "vae.safetensors",
    ]
    model = load(tmp_path / "a" / "vae.safetensors")
    assert model.about == {
        "data": "toy",
        "seed": 3,
        "settings": {"hidden": 100, "batch": 10},
        "chosen": {"rate": 0.02},
        "code": KEYS.code,
        "machine": KEYS.machine,
    }


def test_trial_json_says_how_the_trial_stands(tmp_path: Path) -> None:
    store.open_trial(tmp_path, KEYS)
    keys = {"cell": KEYS.cell, "code": KEYS.code, "machine": KEYS.machine}
    started = {**keys, "state": "started", "error": None, "commit": machine.commit()}
    assert store.about(tmp_path) == started
    store.fail_trial(tmp_path, KEYS, "no memory")
    assert store.state(tmp_path, KEYS) == ("failed", "no memory")
    finished(tmp_path)
    about = store.about(tmp_path)
    assert (about["state"], about["error"], about["chosen"]) == ("finished", None, {"rate": 0.02})
    assert (about["restored_steps"], about["device"]) == (0, machine.device_name("cpu"))
    assert about["seconds"] >= 0 and about["reference_seconds"] > 0
    assert 1 < about["peak_memory_mb"] < 100_000


def test_each_key_decides_its_own_question(tmp_path: Path) -> None:
    """The cell: which trial; the code: does it count when finished; the machine: may it go on."""
    assert store.state(tmp_path / "none", KEYS).name == "new"
    other_cell, other_code = changed(cell={"hidden": 50}), changed(code={"revision": 2})
    other_machine = changed(machine={"threads": 2})
    store.open_trial(tmp_path, KEYS)
    assert store.state(tmp_path, KEYS).name == "started"
    for keys, why in (
        (other_cell, "hidden was 100, is 50"),
        (other_code, "revision was 1, is 2"),
        (other_machine, "threads was 1, is 2"),
    ):
        assert store.state(tmp_path, keys) == ("stale", why)
    finished(tmp_path)
    assert store.state(tmp_path, other_cell).name == "stale"
    assert store.state(tmp_path, other_code).name == "stale"
    assert store.state(tmp_path, other_machine).name == "finished"
    both = changed(cell={"hidden": 50, "deep": True}, code={"data": "x"})
    why = "hidden was 100, is 50; deep was the default, is True; data was abc, is x"
    assert store.state(tmp_path, both) == ("stale", why)


def test_a_model_that_is_not_here_is_not_held_against_a_trial(tmp_path: Path) -> None:
    store.open_trial(tmp_path, changed(code={"start": "a"}))
    assert store.state(tmp_path, changed(code={"start": "a"})).name == "started"
    assert store.state(tmp_path, changed(code={"start": None})).name == "started"
    assert store.state(tmp_path, changed(code={"start": "b"})) == ("stale", "start was a, is b")


@pytest.mark.parametrize("name", ["one.csv", "curve.npz"])
def test_a_trial_whose_file_is_lost_is_stale(tmp_path: Path, name: str) -> None:
    finished(tmp_path)
    (tmp_path / name).unlink()
    assert store.state(tmp_path, KEYS) == ("stale", f"{name} is gone")
    finished(tmp_path)
    assert store.state(tmp_path, KEYS).name == "finished"


@pytest.mark.parametrize("name", ["one.csv", "curve.npz", "vae.safetensors"])
def test_a_trial_whose_file_was_changed_is_stale(tmp_path: Path, name: str) -> None:
    finished(tmp_path)
    whole = (tmp_path / name).read_bytes()
    for damaged in (whole[:-1], whole[:-1] + bytes([whole[-1] ^ 4])):
        (tmp_path / name).write_bytes(damaged)
        why = f"{name} was changed after the trial wrote it"
        assert store.state(tmp_path, KEYS) == ("stale", why)


@pytest.mark.parametrize("key", ["cell", "code", "machine", "state", "seconds", "device", "files"])
def test_a_trial_json_of_another_type(tmp_path: Path, key: str) -> None:
    for wrong in (None, [[1]], [], "x" if key != "device" else {}):
        finished(tmp_path)
        found = {**json.loads((tmp_path / "trial.json").read_text()), key: wrong}
        (tmp_path / "trial.json").write_text(json.dumps(found))
        state = store.state(tmp_path, KEYS)
        assert (state.name, "trial.json: is damaged" in state.why) == ("unreadable", True)


def test_models_and_their_hash(tmp_path: Path) -> None:
    assert store.models(tmp_path / "none") == []
    finished(tmp_path / "a")
    finished(tmp_path / "b")
    (model,) = store.models(tmp_path / "a")
    digest = store.models_hash(tmp_path / "a")
    assert digest == hashlib.sha256(model.read_bytes()).hexdigest()
    assert digest == store.models_hash(tmp_path / "b")
    model.unlink()
    assert store.models(tmp_path / "a") == []


@pytest.mark.parametrize("failed", [False, True])
def test_checkpoints_are_kept_for_the_same_unfinished_trial_only(
    tmp_path: Path, failed: bool
) -> None:
    store.open_trial(tmp_path, KEYS)
    list(new_trial(tmp_path).steps(3))
    (checkpoint,) = store.checkpoints(tmp_path).iterdir()
    if failed:
        store.fail_trial(tmp_path, KEYS, "no memory")
    store.open_trial(tmp_path, KEYS)
    trial = new_trial(tmp_path)
    assert list(trial.steps(3)) == []
    assert trial.restored == 3

    for other in (changed(machine={"threads": 2}), changed(cell={"hidden": 50})):
        store.open_trial(tmp_path, other)
        assert not checkpoint.exists()
        assert list(new_trial(tmp_path).steps(3)) == [0, 1, 2]


def test_a_finished_trial_that_is_opened_starts_anew(tmp_path: Path) -> None:
    finished(tmp_path)
    store.open_trial(tmp_path, KEYS)
    assert [path.name for path in tmp_path.iterdir()] == ["trial.json"]
    assert store.state(tmp_path, KEYS).name == "started"


@pytest.mark.parametrize(
    ("content", "state"),
    [
        (b"", "unreadable"),
        (b'{"state": "fini', "unreadable"),
        (b"[1, 2]", "unreadable"),
        (b"\xff\xfe", "unreadable"),
        (b"[" * 100_000, "unreadable"),
        (b'{"identity": "x"}', "stale"),
    ],
)
def test_a_trial_json_that_says_nothing(tmp_path: Path, content: bytes, state: str) -> None:
    finished(tmp_path)
    (tmp_path / "trial.json").write_bytes(content)
    found = store.state(tmp_path, KEYS)
    assert found.name == state
    assert "\n" not in found.why
    store.open_trial(tmp_path, KEYS)  # which `run` does only when it is told to replace
    assert [path.name for path in tmp_path.iterdir()] == ["trial.json"]
    assert store.state(tmp_path, KEYS).name == "started"


def test_a_folder_that_cannot_be_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its checkpoints would be taken for those of the trial that is opened."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    store.open_trial(tmp_path, KEYS)
    monkeypatch.setattr("shutil.rmtree", refuse)
    with pytest.raises(DgmError) as caught:
        store.open_trial(tmp_path, changed(cell={"hidden": 50}))
    assert str(caught.value) == f"{tmp_path}: cannot be removed: Permission denied"
    assert store.about(tmp_path)["cell"]["hidden"] == 100


def test_a_trial_that_failed_before_it_was_opened_may_go_on(tmp_path: Path) -> None:
    """A worker that is killed while it imports torch, say."""
    store.fail_trial(tmp_path, KEYS, "its process was killed by signal 9")
    assert store.state(tmp_path, KEYS) == ("failed", "its process was killed by signal 9")


def test_a_full_disk_does_not_hide_why_a_trial_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    store.open_trial(tmp_path, KEYS)
    monkeypatch.setattr(os, "fsync", fail)
    store.fail_trial(tmp_path, KEYS, "no space")
    with pytest.raises(DgmError, match=r"trial\.json: cannot be written: No space left on device"):
        store.open_trial(tmp_path, KEYS)
    assert store.about(tmp_path)["state"] == "started"


class Trap:
    """Makes the file `sprung` when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.folder / "sprung",))


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    """Every file that is read back, replaced by a pickle that would leave a trace."""
    folder = tmp_path / "trial"
    content = pickle.dumps(Trap(tmp_path))
    pickle.loads(content)
    (tmp_path / "sprung").unlink()  # the trap works

    finished(folder)
    (folder / "vae.safetensors").write_bytes(content)
    with pytest.raises(BadInput):
        dgm.load(folder / "vae.safetensors")
    np.savez(folder / "curve.npz", curve=np.array([Trap(tmp_path)], dtype=object))
    with pytest.raises(DgmError, match=r"curve\.npz: is not readable as arrays"):
        store.read_trial(folder)
    store.checkpoints(folder).mkdir()
    (store.checkpoints(folder) / "train.safetensors").write_bytes(content)
    with pytest.raises(DgmError, match="not a checkpoint of this trial"):
        list(new_trial(folder).steps(3))
    (folder / "trial.json").write_bytes(content)
    assert store.state(folder, KEYS).name == "unreadable"
    assert not (tmp_path / "sprung").exists()
