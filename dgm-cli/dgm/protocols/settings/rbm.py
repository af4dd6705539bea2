"""Settings of the greedy learning of a stack of RBMs, the visible layer's first."""

from pydantic import Field

from dgm.recipe.schema import TrialSettings


class GreedySettings(TrialSettings):
    """Contrastive divergence, layer by layer."""

    batch: int = Field(100, gt=0, description="images a minibatch")
    greedy_epochs: int = Field(30, gt=0, description="CD-1 of each layer")
    greedy_rate: float = Field(0.1, gt=0, description="falling to 0; half of it for label units")
    greedy_momentum: float = Field(0.9, ge=0, lt=1, description="0.5 in the first five epochs")
    greedy_decay: float = Field(0.0, ge=0, description="of the RBMs' weights, times the rate")
    greedy_std: float = Field(0.01, gt=0, description="of the weights at first")


class DrawnGreedySettings(GreedySettings):
    """The same for a stack below a net that classifies."""

    greedy_drawn: bool = Field(
        True, description="whether greedy layers see states drawn from pixels and probabilities"
    )
