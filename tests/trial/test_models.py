"""A model's file: what was saved comes back, and a file that is none is refused in one line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

import dgm
from dgm.errors import BadInput
from dgm.models.vae import VAE
from dgm.trial.models import save

IMAGES = torch.rand(10, 6, generator=torch.Generator().manual_seed(1))


def new_model() -> VAE:
    model = VAE(visible=6, hidden=5, latent_dim=2)
    model.initialise(0.5, torch.Generator().manual_seed(4))
    return model


def test_a_trained_model_comes_back(tmp_path: Path) -> None:
    model = new_model()
    save(model, tmp_path / "vae.safetensors", {"seed": 3, "settings": {"rates": (0.1, 0.02)}})
    loaded = dgm.load(tmp_path / "vae.safetensors")
    assert loaded.config == {"visible": 6, "hidden": 5, "latent_dim": 2, "decoder": "bernoulli"}
    z = torch.randn(4, 10, 2, generator=torch.Generator().manual_seed(5))
    ours, theirs = (m.decoder.log_likelihood(IMAGES, z) for m in (model, loaded))
    assert torch.equal(ours, theirs)
    assert torch.equal(model.encoder(IMAGES).mean, loaded.encoder(IMAGES).mean)
    assert loaded.about == {"seed": 3, "settings": {"rates": [0.1, 0.02]}}
    loaded.flat.zero_()  # its own memory, not the file's
    again = dgm.load(str(tmp_path / "vae.safetensors"))
    assert torch.equal(again.flat, model.flat)


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
