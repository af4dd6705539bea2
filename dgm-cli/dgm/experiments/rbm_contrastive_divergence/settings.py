"""Settings of an RBM of binary units, its learning, and the annealing that finds its log Z."""

from typing import Annotated, Literal

import pydantic
from pydantic import Field

from dgm.protocols.spacing import rising
from dgm.recipe.schema import TrialSettings

REVISION = 1
PAPER, SMALL = "paper", "small"  # variants: the one that names leave out, and an enumerated one
KS = [1, 2, 3, 5, 10, 25, 100]  # at which CD's expected gradient is compared to the exact one
STEPS_SHOWN = [0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]  # of a Gibbs chain, left to right
FILTERS_SHOWN = 64


class Settings(TrialSettings):
    """Rates and decays were never published; sizes and temperatures are the papers'."""

    variant: str = Field(PAPER, description="another name for machines that are not the paper's")
    method: Literal["cd", "pcd"] = Field(
        "cd", description="negative phase from the data (cd) or from persistent chains (pcd)"
    )
    k: int = Field(1, ge=1, description="Gibbs steps of an update's negative phase")
    hidden: int = Field(500, gt=0, description="hidden units")
    epochs: int = Field(100, gt=0, description="passes over the training images")
    batch: int = Field(100, gt=0, description="images a minibatch, and chains of pcd")
    rate: float = Field(0.05, gt=0, description="learning rate, falling to 0 in a straight line")
    momentum: float = Field(0.0, ge=0, lt=1, description="at most 0.5 in the first five epochs")
    decay: float = Field(0.0, ge=0, description="of the weights, times the rate")
    lasso: float = Field(0.0, ge=0, description="decay of the weights' absolute values")
    smoothness: float = Field(
        0.0, ge=0, description="decay of differences between neighbouring pixels' weights"
    )
    averaged: float = Field(
        0.0, ge=0, lt=1, description="share of the epochs (the last ones) whose mean is the result"
    )
    refit: bool = Field(
        False,
        description="whether a machine is finally trained anew, on validation images too, for "
        "the best number of epochs",
    )
    centred: bool = Field(
        False, description="whether weights learn from the units' differences from their means"
    )
    initial_std: float = Field(0.01, gt=0, description="of the weights")
    evaluations: int = Field(10, gt=0, description="log-spaced epochs at which log Z is estimated")
    ais_chains: int = Field(100, gt=1, description="annealed chains")
    ais_schedule: list[tuple[Annotated[int, Field(ge=1)], float, float]] = Field(
        [(500, 0, 0.5), (4000, 0.5, 0.9), (10_000, 0.9, 1)],
        min_length=1,
        description="parts of the temperatures: how many, from beta, to beta",
    )

    @pydantic.model_validator(mode="after")
    def _temperatures(self) -> "Settings":
        if not rising(self.ais_schedule):
            raise ValueError(
                f"ais_schedule: betas must rise from 0 to 1, not as {self.ais_schedule}"
            )
        return self
