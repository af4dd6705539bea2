"""Reproduce the figures and tables of a graduate lecture on deep generative models.

    dgm.load("latent_manifold")        a published model, ready to be used
    dgm.results("aevb_vs_wakesleep")   the tables of its results

Heavy packages are imported inside the functions: `dgm --help` does without torch.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dgm.engine.library import Saved


def load(recipe_or_path: str | Path, device: str = "cpu", **cell: Any) -> Any:
    """A trained model, with settings, data and seed that made it in its attribute `about`; that of
    a published one also has its trial's `metrics`.

    Of a recipe, the published model of the cell, e.g.
    `dgm.load("latent_manifold", decoder="gaussian")`;
    without a cell the first that the recipe names. Of a path, the model in that file, such as
    results/R/PRESET/trials/LABEL/vae.safetensors. BadInput where there is no such model, and names
    those that there are; DgmError where a file is not the one that was published.
    """
    from dgm.trial import models

    path = Path(recipe_or_path)
    if path.suffix == ".safetensors" or len(path.parts) > 1 or path.is_file():
        return models.load(path, device)
    from dgm.engine import library

    return library.model(str(recipe_or_path), cell, device)


def results(recipe: str, preset: str = "paper") -> "Saved":
    """The tables of a recipe's results by name: `metrics`, `summary`, and those behind figures.

    Their attribute `arrays` has the arrays: `dgm.results("dbn_samples").arrays["clamped"]`, by the
    trial's key. From ./results where they are there, else those that come with dgm.
    """
    from dgm.engine import library

    return library.results(recipe, preset)
