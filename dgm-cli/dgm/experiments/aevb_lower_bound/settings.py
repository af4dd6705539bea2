"""Settings of the lower bound during learning; the values of Kingma & Welling (2014), section 5."""

from pydantic import Field

from dgm.protocols.settings.vae import VAESettings

REVISION = 1


class Settings(VAESettings):
    """The paper's, for Figure 2."""

    variant: str | None = Field(
        None,
        description="a name for nets that differ from the figure's in another setting",
    )
