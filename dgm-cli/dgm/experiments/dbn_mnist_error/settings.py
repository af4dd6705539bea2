"""Settings of a row of the table: one class for each learner."""

from typing import Literal

from pydantic import Field

from dgm.protocols.settings.baselines import NeighbourSettings, SVMSettings
from dgm.protocols.settings.classifier import ClassifierSettings
from dgm.protocols.settings.dbn import DBNSettings
from dgm.recipe.schema import TrialSettings

REVISION = 2
FINAL = "final"  # the only stage of learners that are judged once


class Row(TrialSettings):
    """What every row has."""

    row: str = Field("dbn", description="the row's name in the table")


class GenerativeRow(DBNSettings, Row):
    """The deep belief net."""

    learner: Literal["generative"] = Field("generative", description="what is trained")


class BackpropRow(ClassifierSettings, Row):
    """A net of softmax outputs."""

    learner: Literal["backprop"]


class SVMRow(SVMSettings, Row):
    """Support vectors."""

    learner: Literal["svm"]


class KNNRow(NeighbourSettings, Row):
    """Nearest neighbours."""

    learner: Literal["knn"]


Settings = GenerativeRow | BackpropRow | SVMRow | KNNRow
