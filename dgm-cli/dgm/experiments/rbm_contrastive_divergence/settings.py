"""Settings of an RBM of binary units, its learning, and the annealing that finds its log Z."""

from typing import Literal

from pydantic import Field

from dgm.protocols.settings.ais import AISSettings

REVISION = 1
PAPER, SMALL = "paper", "small"  # variants: the one that names leave out, and an enumerated one
KS = [1, 2, 3, 5, 10, 25, 100]  # at which CD's expected gradient is compared to the exact one
STEPS_SHOWN = [0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]  # of a Gibbs chain, left to right
FILTERS_SHOWN = 64
FILTERS_FILMED = 25


class Settings(AISSettings):
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
