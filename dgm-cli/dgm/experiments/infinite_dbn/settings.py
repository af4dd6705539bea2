"""Settings of the two facts about infinite nets: a small machine's, or a large one's."""

from typing import Literal

from pydantic import Field

from dgm.recipe.schema import TrialSettings

REVISION = 2
DEPTHS = [1, 3, 11, 101, 1001, 10_001]  # layers of directed weights that are reported and shown
SHOWN = 10  # fantasies a line


class Settings(TrialSettings):
    """A small machine that is enumerated, or a large one that fantasises."""

    part: Literal["exact", "fantasies"] = Field("exact", description="what is shown")
    hidden: int = Field(6, gt=0, description="hidden units of the RBM")
    initial_std: float = Field(0.1, gt=0, description="of the weights")
    iterations: int = Field(16, gt=0, description="exact: of L-BFGS, for each layer")
    deepest: int = Field(20_001, gt=1, description="layers of the deepest net; odd")
    epochs: int = Field(20, gt=0, description="fantasies: passes over the training images by PCD")
    batch: int = Field(100, gt=0, description="fantasies: images a minibatch, and chains")
    rate: float = Field(0.05, gt=0, description="fantasies: learning rate, falling to 0")
    samples: int = Field(500, ge=SHOWN, description="fantasies: of either sampler")
