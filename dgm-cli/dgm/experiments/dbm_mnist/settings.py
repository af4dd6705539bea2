"""Settings of a deep Boltzmann machine, its learning, its judgement and its samples."""

from typing import Literal

from pydantic import Field

from dgm.protocols.settings.ais import AISSettings
from dgm.protocols.settings.dbm import DBMSettings

REVISION = 1
PAPER, SMALL = "paper", "small"  # variants: the one that names leave out, and an enumerated one
A_LINE = 10  # samples in a line of the figure, and lines of them
FRAMES = 40  # of the film
ACROSS = 5  # chains in a line of the film, and lines of them
FILTERS_SHOWN = 64  # of each layer


class Settings(DBMSettings, AISSettings):
    """Sizes, chains and temperatures are the paper's; rates and decays were not published."""

    variant: str = Field(PAPER, description="another name for machines that are not the paper's")
    pixels: Literal["binary", "real"] = Field(
        "binary",
        description="one fixed draw of each, or grey ones, for which the bound is not normalised",
    )
    learned: Literal["train", "all"] = Field(
        "all",
        description="images learned from: the training ones, to choose settings by the validation "
        "ones; or both, to be judged by the test ones",
    )
    evaluations: int = Field(6, gt=0, description="log-spaced epochs of the curve of the bound")
    judged_updates: int = Field(25, ge=1, description="of mean field, when a machine is judged")
    mixing_steps: int = Field(
        1000,
        ge=1,
        description="Gibbs steps of the chains that are annealed back, and of those that are shown",
    )
    film_steps: int = Field(5, ge=1, description="Gibbs steps between frames of the film")
