"""Settings of a net of softmax outputs, learned by backpropagation."""

from typing import Annotated, Literal

from pydantic import Field

from dgm.protocols.settings.rbm import DrawnGreedySettings


class ClassifierSettings(DrawnGreedySettings):
    """The net, the rates and decays to choose from, and the RBMs that it may begin as."""

    layers: list[Annotated[int, Field(gt=0)]] = Field(
        [1000], min_length=1, description="units of the hidden layers, the lowest first"
    )
    units: Literal["tanh", "logistic"] = Field(
        "logistic", description="what the hidden units do to their input"
    )
    pretrained: bool = Field(False, description="whether the hidden layers begin as RBMs")
    outputs_alone: int = Field(
        0, ge=0, description="epochs at first in which only the output layer learns"
    )
    rates: list[Annotated[float, Field(gt=0)]] = Field(
        [0.1], min_length=1, description="at the start, to choose from; they fall to 0"
    )
    decays: list[Annotated[float, Field(ge=0)]] = Field(
        [0.0], min_length=1, description="of weights and biases, to choose from"
    )
    smoothness: float = Field(
        0.0, ge=0, description="decay of differences between neighbouring pixels' weights"
    )
    momentum: float = Field(0.9, ge=0, lt=1, description="0.5 in the first five epochs")
    backprop_epochs: int = Field(60, gt=0, description="passes over the images")
