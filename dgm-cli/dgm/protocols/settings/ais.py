"""Settings of the annealing that finds log Z."""

import itertools
from typing import Annotated

import pydantic
from pydantic import Field

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


def rising(parts: list[tuple[int, float, float]]) -> bool:
    """Whether the betas of these parts (number, from, to) begin at 0 and never fall, up to 1."""
    ends = [
        beta for n, start, end in parts for beta in (start, start + (end - start) * (n - 1) / n)
    ]
    return ends[0] == 0 and all(low <= high for low, high in itertools.pairwise([*ends, 1.0]))
