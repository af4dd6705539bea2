"""Settings of either part: a small machine that is enumerated, or a large one that fantasises."""

from typing import Literal

import pydantic
from pydantic import Field

from dgm.recipe.schema import TrialSettings

REVISION = 2
DEPTHS = [1, 3, 11, 101, 1001, 10_001]  # layers of directed weights that are reported and shown
SHOWN = 10  # fantasies a line


class Machine(TrialSettings):
    """The RBM and the nets that it is compared to."""

    hidden: int = Field(6, gt=0, description="hidden units of the RBM")
    initial_std: float = Field(0.1, gt=0, description="of the weights")
    deepest: int = Field(20_001, gt=1, description="layers of the deepest net; odd")

    @pydantic.model_validator(mode="after")
    def _odd(self) -> "Machine":
        if self.deepest % 2 == 0:
            raise ValueError(f"deepest {self.deepest}: should be odd")
        return self


class Exact(Machine):
    """A machine small enough to sum over all its states."""

    part: Literal["exact"] = Field("exact", description="what is shown")
    iterations: int = Field(16, gt=0, description="of L-BFGS, for each layer")


class Fantasies(Machine):
    """A machine that learns images by persistent contrastive divergence."""

    part: Literal["fantasies"]
    epochs: int = Field(20, gt=0, description="passes over the training images by PCD")
    batch: int = Field(100, gt=0, description="images a minibatch, and chains")
    rate: float = Field(0.05, gt=0, description="learning rate, falling to 0")
    samples: int = Field(500, ge=SHOWN, description="of either sampler")


Settings = Exact | Fantasies
