"""Settings of random samples from VAEs; the values of Kingma & Welling (2014), section 5."""

from pydantic import Field

from dgm.protocols.settings.vae import VAESettings

REVISION = 3
SHOWN = 100  # samples in the figure, ten by ten


class Settings(VAESettings):
    """The paper's, for Figure 5."""

    variant: str = Field("paper", description="another name for a model that is not the paper's")
    judged_samples: int = Field(1000, ge=SHOWN, description="samples that the judge labels")
    importance_samples: int = Field(5000, gt=1, description="per test image")
    evaluated_images: int = Field(
        10_000, gt=0, description="test images to evaluate (the first ones)"
    )
