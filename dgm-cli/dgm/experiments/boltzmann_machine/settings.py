"""Settings of either part: encoders learned as in 1985, or machines that are enumerated."""

import re
from typing import Annotated, Literal

import pydantic
from pydantic import Field

from dgm.inference.annealing import inverse_temperatures
from dgm.models.connections import pairs_of
from dgm.recipe.schema import TrialSettings

REVISION = 1
GENERAL, RESTRICTED = "general", "restricted"  # the machines whose phases are compared
COMPLETE = "complete"
SCALES = [0.25, 0.5, 1.0, 1.5, 2.0]  # factors of the weights where learning ends
SHORT = [1, 2, 3, 5, 10, 20, 50]  # sweeps of a free phase that is cut short
LEARNED_WITH = [1, 3]  # of these, those that a machine learns with
CHAINS = [10, 30, 100, 300, 1000, 3000, 10_000]  # annealed, of a sampled gradient

Schedule = list[tuple[Annotated[int, Field(ge=1)], float]]


class Encoder(TrialSettings):
    """The protocol of Ackley, Hinton & Sejnowski (1985), section 3, as far as it is recalled."""

    not_axes = ("step",)

    part: Literal["encoder"]
    encoder: str = Field("4-2-4", description="units of V1, of the hidden layer and of V2")
    runs: int = Field(50, gt=0, description="machines that learn side by side")
    cycles: int = Field(4000, gt=0, description="of learning, at most")
    repeats: int = Field(2, gt=0, description="annealings of each pattern in a cycle")
    counted: int = Field(10, gt=0, description="units of time, at the last temperature, counted")
    schedule: Schedule = Field(
        [(2, 20), (2, 15), (2, 12), (4, 10)],
        min_length=1,
        description="annealing: units of time at a temperature, in turn",
    )
    test_schedule: Schedule = Field(
        [(40, t) for t in (20, 15, 12, 10, 8, 6, 5, 4, 3, 2)],
        min_length=1,
        description="annealing of a test, gentler",
    )
    step: float = Field(2.0, gt=0, description="by which weights move; the unit of temperature")
    decay: float = Field(0.005, ge=0, lt=1, description="share that weights lose a cycle")
    on_to_off: float = Field(0.15, ge=0, le=1, description="probability, of a clamped bit")
    off_to_on: float = Field(0.05, ge=0, le=1, description="probability, of a clamped bit")
    noisy: int = Field(
        1500, ge=0, description="cycles, from the first, with this noise; no run is solved in them"
    )
    final_step: float | None = Field(
        None,
        gt=0,
        description="the step of the last cycle, to which it falls evenly from the end of the "
        "noise, and decay in proportion; none: it does not fall",
    )
    unconnected: int = Field(0, ge=0, description="cycles before the hidden units are connected")
    enough: int = Field(50, gt=0, description="successive cycles without error: solved, it ends")

    @pydantic.field_validator("encoder")
    @classmethod
    def _sizes(cls, encoder: str) -> str:
        found = re.fullmatch(r"([1-9]\d{0,2})-([1-9]\d{0,2})-([1-9]\d{0,2})", encoder)
        if not found or found[1] != found[3]:
            raise ValueError("should read V-H-V, as 4-2-4")
        if 2 ** int(found[2]) < int(found[1]):
            raise ValueError(f"{found[2]} hidden units have no {found[1]} different codes")
        return encoder

    @pydantic.field_validator("schedule", "test_schedule")
    @classmethod
    def _falls(cls, schedule: Schedule) -> Schedule:
        inverse_temperatures(schedule)
        return schedule

    @pydantic.model_validator(mode="after")
    def _step_falls(self) -> "Encoder":
        if self.final_step is not None and self.final_step > self.step:
            raise ValueError(f"final_step {self.final_step:g}: above step {self.step:g}")
        return self

    def pace(self, cycle: int) -> float:
        """The step of a cycle, of those numbered from 1, as a share of the first one's."""
        if self.final_step is None or cycle <= self.noisy:
            return 1.0
        gone = (cycle - self.noisy) / (self.cycles - self.noisy)
        return 1 - gone * (1 - self.final_step / self.step)


class Phases(TrialSettings):
    """Machines small enough to sum over all their states."""

    part: Literal["phases"] = Field("phases", description="what is shown")
    hidden: int = Field(5, gt=0, description="hidden units of each machine")
    connections: list[list[int]] = Field(
        [],
        description="of the general machine: pairs of units numbered from 0, visible ones first, "
        "or a symmetric matrix of 0 and 1; none: each hidden unit to all units",
    )
    noise: float = Field(0.1, ge=0, lt=0.5, description="probability that a pixel is turned over")
    rate: float = Field(0.2, gt=0, description="of gradient ascent")
    momentum: float = Field(0.9, ge=0, lt=1, description="of gradient ascent")
    steps: int = Field(1000, gt=0, description="of gradient ascent, at most")
    short_steps: int = Field(300, gt=0, description="of learning with a free phase cut short")
    initial_std: float = Field(0.1, gt=0, description="of the weights")
    tolerance: float = Field(0.01, gt=0, description="of a pair's statistic that is settled")
    most_sweeps: int = Field(300, gt=0, description="of a phase, then it counts as that many")
    schedule: Schedule = Field(
        [(5, 4.0), (5, 2.0), (5, 1.5), (20, 1.0)],
        min_length=1,
        description="annealing of sampled statistics: sweeps at a temperature, down to 1",
    )
    ais_steps: int = Field(200, gt=0, description="temperatures of annealed importance sampling")
    ais_chains: int = Field(200, gt=1, description="annealed chains")

    @pydantic.field_validator("connections")
    @classmethod
    def _pairs(cls, connections: list[list[int]]) -> list[list[int]]:
        pairs_of(connections)
        return connections

    @pydantic.field_validator("schedule")
    @classmethod
    def _falls(cls, schedule: Schedule) -> Schedule:
        inverse_temperatures(schedule)
        if schedule[-1][1] != 1:
            raise ValueError("the last temperature should be 1, the machine's own")
        return schedule


Settings = Encoder | Phases
