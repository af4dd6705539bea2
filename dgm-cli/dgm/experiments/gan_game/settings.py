"""Settings of the game's three parts: known densities, gradients under a strong D, and a ring."""

from typing import Annotated, ClassVar, Literal

import pydantic
from pydantic import Field

from dgm.recipe.schema import TrialSettings

REVISION = 1
FIRST, LAST = 10, 100  # steps of D alone whose gradients are compared
SAMPLES = 2500  # of a generator, by which its modes are judged
METHODS = ["minimax", "nonsaturating", "r1"]
BOX = (-12.0, 20.0)  # where densities on the line are integrated: all but less than 1e-9 of them
Width = Annotated[int, Field(gt=0)]


class Players(TrialSettings):
    """What all parts need: two nets and their learning."""

    kinds: ClassVar[tuple[str, ...]] = ("densities",)

    hidden: list[Width] = Field([32, 32], min_length=1, description="units of D's hidden layers")
    batch: int = Field(128, gt=0, description="points of data, and generated ones, in a step")
    steps: int = Field(2000, gt=0, description="of the generator")
    rate: float = Field(1e-2, gt=0, description="of both players (Adam), falling to 0")
    fall: float = Field(1.0, gt=0, description="the rate is times (1 - share of the steps)^fall")
    d_steps: int = Field(2, gt=0, description="of D before each step of the generator")


class OnTheLine(Players):
    """A generator whose density is known: a monotone map of the line."""

    units: int = Field(10, gt=0, description="bends of the generator")
    mean: float = Field(3.0, description="of the generated density before learning")
    slope: float = Field(
        0.7, gt=0, description="of the generator before learning; its bends add to it"
    )
    alone: int = Field(1000, gt=0, description="steps of D against a frozen generator")


class Densities(OnTheLine):
    """The game where p_data and p_g are known, and so is the best D."""

    part: Literal["densities"] = Field("densities", description="what is shown")
    frozen_at: list[Annotated[int, Field(ge=0)]] = Field(
        [0, 20, 40, 60, 80, 120, 160],
        min_length=1,
        description="steps whose generators are kept, to train a new D against each",
    )
    frames: int = Field(40, gt=1, description="moments of the game that are kept for the film")

    @pydantic.field_validator("frozen_at")
    @classmethod
    def _once(cls, frozen_at: list[int]) -> list[int]:
        if len(set(frozen_at)) < len(frozen_at):
            raise ValueError("should name each step once")
        return frozen_at


class Gradients(OnTheLine):
    """A generator is frozen on its way, while D alone learns on."""

    part: Literal["gradients"]
    alone: int = Field(
        1000,
        ge=FIRST + LAST,
        description="steps of D against a frozen generator; the first and the last are compared",
    )


class Ring(Players):
    """Which modes of a ring the generator reaches."""

    part: Literal["ring"]
    method: Literal["minimax", "nonsaturating", "r1"] = Field(
        "r1", description="loss of the generator; r1: nonsaturating, with a penalty on D's slope"
    )
    penalty: float = Field(0.05, gt=0, description="coefficient gamma of R1, for method r1")
    latent_dim: int = Field(2, gt=0, description="numbers of noise that the generator gets")
    evaluations: int = Field(25, ge=5, description="of the samples during training")


Settings = Densities | Gradients | Ring
