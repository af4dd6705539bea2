"""A trial's folder: what was left is read back as it was, and no other trial's is taken for it."""

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

import dgm
from dgm.data.dataset import Dataset
from dgm.errors import BadInput, DgmError
from dgm.models.vae import VAE
from dgm.report.tables import Artifacts
from dgm.trial import folder as store
from dgm.trial import machine
from dgm.trial.loop import Trial
from dgm.trial.models import save

IMAGES = torch.rand(10, 6, generator=torch.Generator().manual_seed(1))
IDENTITY: dict[str, Any] = {
    "settings": {"hidden": 100, "rates": (0.1, 0.02), "deep": {"a": 1, "b": None}},
    "seed": 3,
    "data_hash": "abc",
    "torch": "2.13.0",
}


def changed(**settings: Any) -> dict[str, Any]:
    return IDENTITY | {"settings": IDENTITY["settings"] | settings}


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
    store.open_trial(folder, IDENTITY)
    trial = new_trial(folder)
    list(trial.steps(4, model=left.models["vae"]))
    trial.choose(rate=0.02)
    store.finish_trial(folder, IDENTITY, left, trial)
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


def test_a_trained_model_comes_back(tmp_path: Path) -> None:
    model = finished(tmp_path).models["vae"]
    loaded = dgm.load(tmp_path / "vae.safetensors")
    assert loaded.config == {"visible": 6, "hidden": 5, "latent_dim": 2, "decoder": "bernoulli"}
    z = torch.randn(4, 10, 2, generator=torch.Generator().manual_seed(5))
    ours, theirs = (m.decoder.log_likelihood(IMAGES, z) for m in (model, loaded))
    assert torch.equal(ours, theirs)
    assert torch.equal(model.encoder(IMAGES).mean, loaded.encoder(IMAGES).mean)
    assert loaded.about == json.loads(json.dumps(IDENTITY)) | {"rate": 0.02}
    loaded.flat.zero_()  # its own memory, not the file's
    again = dgm.load(str(tmp_path / "vae.safetensors"))
    assert torch.equal(again.flat, model.flat)


def test_what_is_told_of_a_trial(tmp_path: Path) -> None:
    store.open_trial(tmp_path, IDENTITY)
    assert store.about(tmp_path) == {
        "identity": json.loads(json.dumps(IDENTITY)),
        "state": "started",
        "commit": machine.commit(),
    }
    store.fail_trial(tmp_path, "no memory")
    assert (store.about(tmp_path)["state"], store.about(tmp_path)["error"]) == (
        "failed",
        "no memory",
    )
    finished(tmp_path)
    about = store.about(tmp_path)
    assert (about["state"], about["error"], about["chosen"]) == ("finished", None, {"rate": 0.02})
    assert (about["restored_steps"], about["device"]) == (0, machine.device_name("cpu"))
    assert about["seconds"] >= 0
    assert 1 < about["peak_memory_mb"] < 100_000


def test_only_the_same_trial_is_finished(tmp_path: Path) -> None:
    assert not store.is_finished(tmp_path / "none", IDENTITY)
    store.open_trial(tmp_path, IDENTITY)
    assert not store.is_finished(tmp_path, IDENTITY)
    store.fail_trial(tmp_path, "no memory")
    assert not store.is_finished(tmp_path, IDENTITY)
    finished(tmp_path)
    assert store.is_finished(tmp_path, IDENTITY)
    assert store.is_finished(tmp_path, changed(rates=[0.1, 0.02]))  # JSON knows no tuples
    for other in (changed(hidden=50), changed(new=None), IDENTITY | {"seed": 4}, {}):
        assert not store.is_finished(tmp_path, other)


@pytest.mark.parametrize("name", ["one.csv", "curve.npz"])
def test_a_trial_whose_file_is_lost_is_not_finished(tmp_path: Path, name: str) -> None:
    finished(tmp_path)
    (tmp_path / name).unlink()
    assert not store.is_finished(tmp_path, IDENTITY)
    finished(tmp_path)
    assert store.is_finished(tmp_path, IDENTITY)


def test_why_a_trial_is_stale(tmp_path: Path) -> None:
    assert store.changes(tmp_path, IDENTITY) == []
    store.open_trial(tmp_path, IDENTITY)
    assert store.changes(tmp_path, IDENTITY) == []
    other = changed(hidden=50, rates=[0.1], deep={"a": 1, "c": None}, new=True)
    del other["seed"]
    assert store.changes(tmp_path, other | {"torch": "2.14.0"}) == [
        "settings.hidden was 100, is 50",
        "settings.rates was [0.1, 0.02], is [0.1]",
        "settings.deep.b was None, is absent",
        "settings.deep.c was absent, is None",
        "settings.new was absent, is True",
        "seed was 3, is absent",
        "torch was 2.13.0, is 2.14.0",
    ]


@pytest.mark.parametrize("failed", [False, True])
def test_checkpoints_are_kept_for_the_same_unfinished_trial_only(
    tmp_path: Path, failed: bool
) -> None:
    store.open_trial(tmp_path, IDENTITY)
    list(new_trial(tmp_path).steps(3))
    (checkpoint,) = store.checkpoints(tmp_path).iterdir()
    if failed:
        store.fail_trial(tmp_path, "no memory")
    store.open_trial(tmp_path, changed(rates=[0.1, 0.02]))
    trial = new_trial(tmp_path)
    assert list(trial.steps(3)) == []
    assert trial.restored == 3

    store.open_trial(tmp_path, changed(hidden=50))
    assert not checkpoint.exists()
    assert list(new_trial(tmp_path).steps(3)) == [0, 1, 2]


def test_a_finished_trial_that_is_opened_starts_anew(tmp_path: Path) -> None:
    finished(tmp_path)
    store.open_trial(tmp_path, IDENTITY)
    assert [path.name for path in tmp_path.iterdir()] == ["trial.json"]
    assert store.about(tmp_path)["state"] == "started"


@pytest.mark.parametrize(
    "content", [b"", b'{"state": "fini', b"[1, 2]", b"\xff\xfe", b'"x"', b'{"identity": "x"}']
)
def test_a_trial_json_that_says_nothing(tmp_path: Path, content: bytes) -> None:
    finished(tmp_path)
    (tmp_path / "trial.json").write_bytes(content)
    assert not store.is_finished(tmp_path, IDENTITY)
    assert store.changes(tmp_path, IDENTITY) == []
    store.open_trial(tmp_path, IDENTITY)
    assert [path.name for path in tmp_path.iterdir()] == ["trial.json"]
    assert store.about(tmp_path)["identity"]["seed"] == 3


def test_a_folder_that_cannot_be_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its checkpoints would be taken for those of the trial that is opened."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    store.open_trial(tmp_path, IDENTITY)
    monkeypatch.setattr("shutil.rmtree", refuse)
    with pytest.raises(DgmError) as caught:
        store.open_trial(tmp_path, changed(hidden=50))
    assert str(caught.value) == f"{tmp_path}: cannot be removed: Permission denied"
    assert store.about(tmp_path)["identity"]["settings"]["hidden"] == 100


def test_a_full_disk_does_not_hide_why_a_trial_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    store.open_trial(tmp_path, IDENTITY)
    monkeypatch.setattr(os, "fsync", fail)
    store.fail_trial(tmp_path, "no space")
    with pytest.raises(DgmError, match=r"trial\.json: cannot be written: No space left on device"):
        store.open_trial(tmp_path, IDENTITY)
    assert store.about(tmp_path)["state"] == "started"


# --- files that hold no model -----------------------------------------------------------------


def _with_head(head: Any) -> Callable[[Path], None]:
    tensors = {"parameters": new_model().flat}
    return lambda path: save_file(tensors, path, {"dgm": json.dumps(head)})


CONFIG = new_model().config
NOT_OURS = "is not a model that dgm saved"
WRONG: dict[str, tuple[Callable[[Path], Any], str]] = {
    "missing": (lambda path: None, "no such file"),
    "folder": (lambda path: path.mkdir(), "no such file"),
    "text": (lambda path: path.write_text("weights: 1, 2\n"), "header too large"),
    "empty": (lambda path: path.write_text(""), "header too small"),
    "bare": (lambda path: save_file({"parameters": new_model().flat}, path), NOT_OURS),
    "foreign": (lambda path: save_file({}, path, {"format": "pt"}), NOT_OURS),
    "unknown": (
        _with_head({"model": "VQVAE", "config": CONFIG, "about": {}}),
        "there is no model VQVAE",
    ),
    "no config": (_with_head({"model": "VAE", "about": {}}), NOT_OURS),
    "no about": (_with_head({"model": "VAE", "config": CONFIG}), NOT_OURS),
    "list": (_with_head([1, 2]), NOT_OURS),
    "other config": (
        _with_head({"model": "VAE", "config": CONFIG | {"hidden": 6}, "about": {}}),
        "its tensors are not those of its config",
    ),
    "unknown config": (
        _with_head({"model": "VAE", "config": {"width": 6}, "about": {}}),
        "unexpected keyword argument 'width'",
    ),
    "torch.save": (lambda path: torch.save(new_model().state_dict(), path), "header too large"),
    "a model": (lambda path: torch.save(new_model(), path), "header too large"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_file_that_is_no_model(tmp_path: Path, name: str) -> None:
    path = tmp_path / "vae.safetensors"
    make, reason = WRONG[name]
    make(path)
    with pytest.raises(BadInput) as caught:
        dgm.load(path)
    said = str(caught.value)
    assert said.startswith(f"{path}: ")
    assert reason in said
    assert "\n" not in said
    assert caught.value.exit_code == 2


def test_a_truncated_model(tmp_path: Path) -> None:
    path = tmp_path / "vae.safetensors"
    save(new_model(), path, {})
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(BadInput, match=NOT_OURS):
        dgm.load(path)


def test_one_number_is_not_spread_over_all_parameters(tmp_path: Path) -> None:
    head = {"model": "VAE", "config": CONFIG, "about": {}}
    save_file({"parameters": torch.ones(1)}, tmp_path / "a", {"dgm": json.dumps(head)})
    with pytest.raises(BadInput, match="its tensors are not those of its config"):
        dgm.load(tmp_path / "a")


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
    assert store.about(folder) == {}
    assert not (tmp_path / "sprung").exists()
