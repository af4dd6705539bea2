"""A model's file: what was saved comes back, and a file that is none is refused in one line."""

import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

import dgm
import dgm.models
from dgm.errors import BadInput
from dgm.models.autoencoder import Autoencoder
from dgm.models.classifier import Classifier
from dgm.models.dbn import DBN
from dgm.models.pca import PCA
from dgm.models.rbm import RBM, LabelRBM, LinearRBM, SoftmaxRBM
from dgm.models.vae import VAE
from dgm.trial.checkpoint import digest
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


A_NEW_MODEL = """
import torch
from torch import Tensor, nn


class Toy(nn.Module):
    def __init__(self, words: int, tied: bool) -> None:
        super().__init__()
        self.config = {"words": words, "tied": tied}
        self.embedding = nn.Embedding(words, 3)
        self.norm = nn.BatchNorm1d(3)
        self.dropout = nn.Dropout(0.9)
        self.output = nn.Linear(3, words)
        if tied:
            self.output.weight = self.embedding.weight

    def forward(self, words: Tensor) -> Tensor:
        return self.output(self.dropout(self.norm(self.embedding(words))))
"""


@pytest.mark.parametrize("tied", [True, False])
def test_a_module_comes_back_from_a_file_that_nothing_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tied: bool
) -> None:
    """A model is one new module of `dgm.models`, here one in another folder."""
    (tmp_path / "toy.py").write_text(A_NEW_MODEL)
    monkeypatch.setattr(dgm.models, "__path__", [*dgm.models.__path__, str(tmp_path)])
    monkeypatch.delitem(sys.modules, "dgm.models.toy", raising=False)
    model = importlib.import_module("dgm.models.toy").Toy(5, tied)
    words = torch.tensor([0, 4, 3])
    model(words)  # moves the running means
    path = tmp_path / "toy.safetensors"
    save(model, path, {"seed": 3})
    loaded = dgm.load(path)
    assert (loaded.about, loaded.config) == ({"seed": 3}, {"words": 5, "tied": tied})
    assert loaded.state_dict().keys() == model.state_dict().keys()
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
    assert (loaded.output.weight is loaded.embedding.weight) == tied
    assert not loaded.training  # or else dropout would be on
    assert torch.equal(loaded(words), model.eval()(words))
    monkeypatch.delitem(sys.modules, "dgm.models.toy")
    monkeypatch.undo()
    with pytest.raises(BadInput, match="there is no model Toy"):
        dgm.load(path)


MODELS = [
    Autoencoder([6, 4, 2], outputs="softmax"),
    Classifier([6, 5, 3], units="tanh"),
    DBN(6, [5, 4], 7, 3),
    LabelRBM(4, 3, 7),
    LinearRBM(6, 4),
    PCA(6, 2),
    RBM(6, 4),
    SoftmaxRBM(6, 4),
    VAE(6, [5, 4], 2, decoder="gaussian"),
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_every_model_comes_back(tmp_path: Path, model: Any) -> None:
    generator = torch.Generator().manual_seed(3)
    for tensor in model.state_dict().values():
        tensor.normal_(generator=generator)
    save(model, tmp_path / "model.safetensors", {})
    again = dgm.load(tmp_path / "model.safetensors")
    assert type(again) is type(model) and again.config == model.config
    assert again.state_dict().keys() == model.state_dict().keys()
    for name, tensor in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name


@pytest.mark.parametrize("name", ["Layer", "Vectors", "State", "nn", "softplus", "Tensor"])
def test_only_models_are_made_from_files(tmp_path: Path, name: str) -> None:
    """Other names that the modules of `dgm.models` hold."""
    path = tmp_path / "a.safetensors"
    _with_head({"model": name, "config": {}, "about": {}})(path)
    with pytest.raises(BadInput, match=NOT_OURS):
        dgm.load(path)


# --- files that hold no model -----------------------------------------------------------------


def _with_head(head: Any, parameters: Tensor | None = None) -> Callable[[Path], None]:
    tensors = {"parameters": new_model().flat if parameters is None else parameters}
    if isinstance(head, dict):
        head = {**head, "sha256": digest(json.dumps(head), tensors)}
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


def test_one_model_gives_the_same_bytes_each_time(tmp_path: Path) -> None:
    for name in "abcdefgh":
        save(new_model(), tmp_path / name, {"settings": {"rates": (0.1, 1e-3)}})
    assert len({(tmp_path / name).read_bytes() for name in "abcdefgh"}) == 1


def test_a_bit_that_flipped_anywhere_is_found(tmp_path: Path) -> None:
    path = tmp_path / "vae.safetensors"
    save(new_model(), path, {"settings": {"hidden": 5}})
    whole = path.read_bytes()
    refused = 0
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        try:
            found = dgm.load(path)
        except BadInput:
            refused += 1
        else:  # a space of the header's padding
            assert torch.equal(found.flat, new_model().flat)
            assert found.about == {"settings": {"hidden": 5}}
    assert refused >= len(whole) / 7 - 8


def test_one_number_is_not_spread_over_all_parameters(tmp_path: Path) -> None:
    head = {"model": "VAE", "config": CONFIG, "about": {}}
    _with_head(head, torch.ones(1))(tmp_path / "a")
    with pytest.raises(BadInput, match="its tensors are not those of its config"):
        dgm.load(tmp_path / "a")
