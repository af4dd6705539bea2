"""Settings of the annealing that finds log Z."""

from typing import Annotated

import pydantic
from pydantic import Field

from dgm.protocols.spacing import rising
from dgm.recipe.schema import TrialSettings


class AISSettings(TrialSettings):
    """Chains and temperatures, by default those of Salakhutdinov & Murray (2008)."""

    ais_chains: int = Field(100, gt=1, description="annealed chains")
    ais_schedule: list[tuple[Annotated[int, Field(ge=1)], float, float]] = Field(
        [(500, 0, 0.5), (4000, 0.5, 0.9), (10_000, 0.9, 1)],
        min_length=1,
        description="parts of the temperatures: how many, from beta, to beta",
    )

    @pydantic.model_validator(mode="after")
    def _temperatures(self) -> "AISSettings":
        if not rising(self.ais_schedule):
            raise ValueError(
                f"ais_schedule: betas must rise from 0 to 1, not as {self.ais_schedule}"
            )
        return self
