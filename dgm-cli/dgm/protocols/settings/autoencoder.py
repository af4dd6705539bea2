"""Settings of a deep autoencoder; the values of Hinton & Salakhutdinov (2006) where they say."""

from typing import Annotated, Literal

from pydantic import Field

from dgm.protocols.settings.rbm import GreedySettings


class AutoencoderSettings(GreedySettings):
    """A stack of RBMs, unrolled and fine-tuned."""

    layers: list[Annotated[int, Field(gt=0)]] = Field(
        [1000, 500, 250], description="logistic units between pixels and code; none: logistic PCA"
    )
    code: int = Field(30, gt=0, description="numbers that encode an image")
    pretrained: bool = Field(True, description="whether the layers begin as RBMs")
    greedy_epochs: int = Field(50, gt=0, description="CD-1 of each layer")
    greedy_decay: float = Field(2e-4, ge=0, description="of the RBMs' weights, times the rate")
    greedy_std: float = Field(0.1, gt=0, description="of the RBMs' weights at first")
    optimiser: Literal["conjugate_gradients", "adam"] = Field(
        "conjugate_gradients", description="of the fine-tuning"
    )
    tuning_batch: int = Field(1000, gt=0, description="images a minibatch of the fine-tuning")
    tuning_epochs: int = Field(200, gt=0, description="passes over the images")
    line_searches: int = Field(3, gt=0, description="conjugate_gradients: of each minibatch")
    rate: float = Field(1e-3, gt=0, description="adam: at the start; it falls to 0")
    evaluations: int = Field(20, gt=0, description="log-spaced epochs of the curves")
