"""Settings of a row of the comparison: a learner and a code size."""

from typing import Literal

from pydantic import Field

from dgm.protocols.settings.autoencoder import AutoencoderSettings

REVISION = 2


class Settings(AutoencoderSettings):
    """One row: a learner and a code size."""

    row: str = Field("autoencoder", description="the row's name")
    learner: Literal["autoencoder", "pca"] = Field("autoencoder", description="what is fitted")
    shift: int = Field(
        0, ge=0, description="pixels by which images are moved at most, anew at each visit"
    )
    code_steps: int = Field(
        0, ge=0, description="steps by which test images' codes are improved on, as a row more"
    )
    judged: Literal["test", "validation"] = Field(
        "test", description="images to judge by; with validation, these are not learned from"
    )
