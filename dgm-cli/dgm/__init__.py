"""Reproduce the figures and tables of a graduate lecture on deep generative models.

    dgm.load("latent_manifold")        a published model, ready to be used
    dgm.results("aevb_vs_wakesleep")   the tables of its results

Heavy packages are imported inside the functions: `dgm --help` does without torch.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def load(recipe_or_path: str | Path, device: str = "cpu", **cell: Any) -> Any:
    """A trained model, with settings, data and seed that made it in its attribute `about`.

    Of a recipe, the published model of the cell, e.g.
    `dgm.load("latent_manifold", decoder="gaussian")`;
    without a cell the first that the recipe publishes. Of a path, the model in that file, such as
    results/R/PRESET/trials/LABEL/vae.safetensors. BadInput where there is no such model, and names
    those that there are; DgmError where a file is not the one that was published.
    """
    from dgm.trial import models

    path = Path(recipe_or_path)
    if path.suffix == ".safetensors" or len(path.parts) > 1 or path.is_file():
        return models.load(path, device)
    from dgm.engine.published import model_of

    return models.load(model_of(str(recipe_or_path), cell), device)


def results(recipe: str, preset: str = "paper") -> "dict[str, pd.DataFrame]":
    """The tables of a recipe's results by name: `metrics`, `summary`, and those behind figures.

    From ./results where they are there, else those that come with dgm.
    """
    from dgm.engine.published import results_of
    from dgm.files import read_csv

    return {path.stem: read_csv(path) for path in sorted(results_of(recipe, preset).glob("*.csv"))}
