"""Settings of a row of the comparison: a learner and a code size."""

from typing import Literal

from pydantic import Field

from dgm.protocols.settings.autoencoder import AutoencoderSettings
from dgm.recipe.schema import TrialSettings

REVISION = 2


class Row(TrialSettings):
    """What every row has."""

    row: str = Field("autoencoder", description="the row's name")
    code: int = Field(30, gt=0, description="numbers that encode an image")
    judged: Literal["test", "validation"] = Field(
        "test", description="images to judge by; with validation, these are not learned from"
    )


class AutoencoderRow(AutoencoderSettings, Row):
    """A deep net; without hidden layers it is logistic PCA."""

    learner: Literal["autoencoder"] = Field("autoencoder", description="what is fitted")
    shift: int = Field(
        0, ge=0, description="pixels by which images are moved at most, anew at each visit"
    )
    code_steps: int = Field(
        0, ge=0, description="steps that improve the codes of judged images, for a row of their own"
    )


class PCARow(Row):
    """PCA."""

    learner: Literal["pca"]


Settings = AutoencoderRow | PCARow
