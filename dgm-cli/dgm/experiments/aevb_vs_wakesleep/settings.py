"""Settings of the comparison; values of Kingma & Welling (2014), section 5, appendices C to E."""

from typing import Literal

import pydantic
from pydantic import Field

from dgm.protocols.settings.vae import LearningSettings

REVISION = 1


class Settings(LearningSettings):
    """The paper's, for Figure 3."""

    method: Literal["aevb", "wake_sleep", "mcem"] = Field(
        "aevb", description="how the decoder is learned"
    )
    train_size: int = Field(50_000, gt=0, description="training images (the first ones)")
    hidden: int = Field(100, gt=0, description="tanh units in each half's one hidden layer")
    latent_dim: int = Field(3, gt=0, description="dimensions of z")
    samples: int = Field(60_000_000, gt=0, description="training samples evaluated in all")
    evaluated_images: int = Field(
        1000, gt=0, description="images of each split to evaluate (the first ones)"
    )
    importance_samples: int = Field(300, gt=1, description="per image, of the canonical estimate")
    hmc_samples: int = Field(50, gt=4, description="posterior samples of the paper's estimator")

    @pydantic.model_validator(mode="after")
    def _a_batch_at_least(self) -> "Settings":
        if self.train_size < self.batch:
            raise ValueError(f"train_size {self.train_size} is less than batch {self.batch}")
        return self

    @pydantic.model_validator(mode="after")
    def _enough_to_fit_a_gaussian(self) -> "Settings":
        if self.hmc_samples < 2 * self.latent_dim:
            raise ValueError(
                f"hmc_samples {self.hmc_samples}: a covariance of latent_dim {self.latent_dim} "
                f"takes twice as many at least"
            )
        return self
