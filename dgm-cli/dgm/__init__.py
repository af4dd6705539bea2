"""Reproduce the figures and tables of a graduate lecture on deep generative models."""

from typing import Any


def load(path: Any) -> Any:
    """The trained model that a finished trial left: results/R/PRESET/trials/LABEL/vae.safetensors.

    Its `about` attribute tells the settings, data and seed that made it.
    """
    from dgm.trial import models  # torch is heavy, and `dgm --help` does without

    return models.load(path)
