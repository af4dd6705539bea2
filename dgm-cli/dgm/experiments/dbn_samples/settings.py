"""Settings of what a deep belief net generates."""

from pydantic import Field

from dgm.recipe.schema import TrialSettings

REVISION = 3
A_LINE = 10  # samples of each label in the figure
FRAMES = 40  # of the film


class Settings(TrialSettings):
    """Those of Hinton, Osindero & Teh (2006), Figure 8, where they say."""

    chains: int = Field(20, gt=0, description="of each label; the first is drawn, all are judged")
    between: int = Field(1000, gt=0, description="Gibbs steps at the top before each sample")
    film_steps: int = Field(25, gt=0, description="Gibbs steps between frames of the film")
