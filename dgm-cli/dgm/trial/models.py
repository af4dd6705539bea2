"""Trained models as files: tensors in safetensors, with what makes a model like it; no pickles."""

import importlib
import json
import pkgutil
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import nn

import dgm.models
from dgm.errors import BadInput
from dgm.files import atomic_write
from dgm.state import State
from dgm.trial.checkpoint import copied, digest


def save(model: Any, path: Path, about: dict[str, Any], half: bool = False) -> None:
    """A model and what made it (`about`), such that `load` gives it back; in half precision, if so
    wished, with three digits of each number.

    A model is a `State` or a `torch.nn.Module` of `dgm.models`, whose `config` holds the arguments
    of its constructor; that of a `State` takes a device beside them.
    """
    head = {"model": type(model).__name__, "config": model.config, "about": about}
    tensors = {name: copied(tensor) for name, tensor in model.state_dict().items()}
    if half:
        tensors = {k: t.half() if t.is_floating_point() else t for k, t in tensors.items()}
    # One entry of metadata: safetensors orders several at random, and the file's SHA-256 counts.
    head |= {"sha256": digest(json.dumps(head), tensors)}
    atomic_write(path, to_bytes(tensors, {"dgm": json.dumps(head)}))


def load(path: str | Path, device: Any = "cpu") -> Any:
    """The trained model of a file, with settings, data and seed in its `about` attribute.

    A `torch.nn.Module` comes ready to be evaluated: `train()` turns dropout on again.
    """
    if not Path(path).is_file():
        raise BadInput(f"{path}: no such file")
    try:
        with safe_open(path, framework="pt") as file:
            head = json.loads(file.metadata()["dgm"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if head.pop("sha256") != digest(json.dumps(head), tensors):
            raise ValueError("it is damaged: its checksum differs")
        model = _new(head["model"], head["config"], device)
        # Compared first, for `copy_` spreads a smaller tensor over a larger one.
        if _shapes(tensors) != _shapes(model.state_dict()):
            raise ValueError("its tensors are not those of its config")
        model.load_state_dict(tensors)
        model.about = head["about"]
        return model
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise BadInput(f"{path}: is not a model that dgm saved ({reason})") from error


def _new(name: str, config: dict[str, Any], device: Any) -> Any:
    """An untrained model of the class of that name, wherever in `dgm.models` it is."""
    for module in pkgutil.iter_modules(dgm.models.__path__, "dgm.models."):
        model: Any = getattr(importlib.import_module(module.name), name, None)
        if _is_class(model, nn.Module):
            return model(**config).to(device).eval()
        if _is_class(model, State):
            return model(**config, device=device)
    raise ValueError(f"there is no model {name}")


def _is_class(found: Any, base: type) -> bool:
    return isinstance(found, type) and issubclass(found, base)


def _shapes(tensors: dict[str, Any]) -> dict[str, Any]:
    return {name: tensor.shape for name, tensor in tensors.items()}
