"""Settings of a learned manifold; the values of Kingma & Welling (2014), section 5, appendix A."""

import pydantic
from pydantic import Field

from dgm.protocols.settings.vae import VAESettings

REVISION = 1


class Settings(VAESettings):
    """The paper's, for Figure 4."""

    latent_dim: int = Field(2, gt=0, description="dimensions of z: a plane is drawn")
    side: int = Field(20, gt=1, description="images along either side of the grid")

    @pydantic.model_validator(mode="after")
    def _a_plane(self) -> "Settings":
        if self.latent_dim != 2:
            raise ValueError(f"latent_dim {self.latent_dim}: a manifold is drawn of latent_dim 2")
        return self
