"""Models by name, and trained ones as files: tensors in safetensors, never pickled."""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes

from dgm.errors import BadInput
from dgm.files import atomic_write
from dgm.models.autoencoder import Autoencoder
from dgm.models.classifier import Classifier
from dgm.models.dbn import DBN
from dgm.models.pca import PCA
from dgm.models.rbm import RBM, GaussianRBM, LabelRBM, LinearRBM, SoftmaxRBM
from dgm.models.vae import VAE

MODELS = {
    model.__name__: model
    for model in (Autoencoder, Classifier, DBN, GaussianRBM, LabelRBM, LinearRBM, PCA, RBM)
    + (SoftmaxRBM, VAE)
}


def save(model: Any, path: Path, about: dict[str, Any]) -> None:
    """A model with what made it (`about`), such that `load` gives it back."""
    head = {"model": type(model).__name__, "config": model.config, "about": about}
    tensors = {name: tensor.cpu().contiguous() for name, tensor in model.state_dict().items()}
    atomic_write(path, to_bytes(tensors, {"dgm": json.dumps(head)}))


def load(path: str | Path, device: Any = "cpu") -> Any:
    """The trained model of a file, its `about` attribute telling settings, data and seed."""
    if not Path(path).is_file():
        raise BadInput(f"{path}: no such file")
    try:
        with safe_open(path, framework="pt") as file:
            head = json.loads(file.metadata()["dgm"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if head["model"] not in MODELS:
            raise ValueError(f"there is no model {head['model']}")
        model: Any = MODELS[head["model"]](**head["config"], device=device)
        # Compared first, for `copy_` spreads a smaller tensor over a larger one.
        if _shapes(tensors) != _shapes(model.state_dict()):
            raise ValueError("its tensors are not those of its config")
        model.load_state_dict(tensors)
        model.about = head["about"]
        return model
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        said = " ".join(str(error).split())
        raise BadInput(f"{path}: is not a model that dgm saved ({said})") from error


def _shapes(tensors: dict[str, Any]) -> dict[str, Any]:
    return {name: tensor.shape for name, tensor in tensors.items()}
