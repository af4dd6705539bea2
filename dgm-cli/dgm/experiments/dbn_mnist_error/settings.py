"""Settings of a row of the table, by its learner."""

from typing import Literal

from pydantic import Field

from dgm.protocols.settings.baselines import NeighbourSettings, SVMSettings
from dgm.protocols.settings.classifier import ClassifierSettings
from dgm.protocols.settings.dbn import DBNSettings

REVISION = 2
FINAL = "final"  # the only stage of learners that are judged once


class Settings(DBNSettings, ClassifierSettings, SVMSettings, NeighbourSettings):
    """One row of the table; of the settings, those of its learner matter."""

    row: str = Field("dbn", description="the row's name in the table")
    learner: Literal["generative", "backprop", "svm", "knn"] = Field(
        "generative", description="what is trained"
    )
