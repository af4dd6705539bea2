"""Settings of a deep Boltzmann machine, and of the net that is tuned from it."""

from typing import Annotated, Literal

from pydantic import Field

from dgm.protocols.settings.rbm import GreedySettings


class DBMSettings(GreedySettings):
    """Greedy layers, joint learning, and tuning of the net for classes."""

    hidden: list[Annotated[int, Field(gt=0)]] = Field(
        [500, 1000],
        min_length=2,
        description="units of the hidden layers, two or more, the lowest first",
    )
    greedy_steps: list[Annotated[int, Field(ge=1)]] = Field(
        [1],
        min_length=1,
        description="Gibbs steps of the upper layers' CD, each in an equal share of the epochs",
    )
    joint_epochs: int = Field(500, gt=0, description="passes over the images by all layers")
    joint_rate: float = Field(0.001, gt=0, description="falling to 0")
    joint_momentum: float = Field(0.0, ge=0, lt=1, description="at most 0.5 in the first epochs")
    particles: int = Field(100, ge=1, description="persistent chains of the free phase")
    gibbs_steps: int = Field(5, ge=1, description="of the persistent chains, an update")
    mean_field_updates: int = Field(10, ge=1, description="of the clamped phase, an update")
    joint_decay: float = Field(0.0, ge=0, description="of the weights, times the rate")
    lasso: float = Field(0.0, ge=0, description="decay of the weights' absolute values")
    smoothness: float = Field(
        0.0, ge=0, description="decay of differences between neighbouring pixels' weights"
    )
    centred: bool = Field(
        False, description="whether weights learn from the units' differences from their means"
    )
    averaged: float = Field(
        0.0, ge=0, lt=1, description="share of the epochs (the last ones) whose mean is the result"
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="of the products in joint learning; the parameters are float32"
    )
    tuning_epochs: int = Field(0, ge=0, description="of the net's tuning, at most; 0: no net")
    tuning_rates: list[Annotated[float, Field(gt=0)]] = Field(
        [0.1], min_length=1, description="at the start, to choose from; they fall to 0"
    )
    tuning_decays: list[Annotated[float, Field(ge=0)]] = Field(
        [0.0], min_length=1, description="of weights and biases, to choose from"
    )
    tuning_momentum: float = Field(0.9, ge=0, lt=1, description="0.5 in the first five epochs")
    dropout: float = Field(
        0.0, ge=0, lt=1, description="share of hidden units that are off in an update of the net"
    )
    dropout_inputs: float = Field(
        0.0, ge=0, lt=1, description="share of pixels and means that are off, likewise"
    )
    outputs_alone: int = Field(
        0, ge=0, description="epochs at first in which only the output layer learns"
    )
