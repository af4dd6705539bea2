"""Settings of learning a sigmoid belief net, and of measuring how its posterior's chain mixes."""

import itertools
from typing import Annotated, ClassVar, Literal

import pydantic
from pydantic import Field

from dgm.protocols.settings.rbm import GreedySettings
from dgm.protocols.spacing import rising
from dgm.recipe.schema import TrialSettings

REVISION = 1
PAPER, EQUAL = "paper", "equal"  # variants: the one that names leave out, and equal computation
RECOGNISING = ("wake_sleep", "rws", "nvil")  # methods that learn a recognition net
SHOWN = 100  # samples in the figure, ten by ten
Betas = list[tuple[Annotated[int, Field(ge=1)], float, float]]


class Learning(GreedySettings):
    """A net that learns images by one of the methods, and how it is judged."""

    not_axes: ClassVar[tuple[str, ...]] = ("sweeps",)

    part: Literal["learning"] = Field("learning", description="what is shown")
    variant: str = Field(PAPER, description="another name for nets that are not the papers'")
    method: Literal["gibbs", "mean_field", "wake_sleep", "rws", "nvil", "greedy"] = Field(
        "rws",
        description="how the posterior is had: Gibbs chains, mean field, a recognition net "
        "(wake-sleep, reweighted, by its bound's gradient), or RBMs layer by layer",
    )
    layers: int = Field(2, ge=1, description="hidden layers")
    units: int = Field(200, gt=0, description="of each hidden layer")
    top_units: int | None = Field(None, gt=0, description="of the highest one; null: as `units`")
    epochs: int = Field(500, gt=0, description="passes over the training images")
    unit_updates: int | None = Field(
        None,
        gt=0,
        description="units that are drawn, or whose mean is, in all of learning: as many epochs as "
        "that allows; null: `epochs`",
    )
    rate: float = Field(1e-3, gt=0, description="of Adam, falling to 0 in a straight line")
    initial_std: float = Field(0.05, gt=0, description="of the weights")
    particles: int = Field(5, ge=1, description="recognised samples an image of rws")
    sweeps: int = Field(1, ge=1, description="of an image's Gibbs chain at a visit")
    iterations: int = Field(10, ge=1, description="of mean field at a visit, at most")
    baseline_units: int = Field(100, gt=0, description="tanh units of each of NVIL's baselines")
    evaluations: int = Field(
        0,
        ge=0,
        description="evenly spaced epochs that are judged by validation images, of which the best "
        "is kept; 0: the last is",
    )
    validation_particles: int = Field(
        20, ge=1, description="of each validation image; NVIL's bound takes one"
    )
    bound_samples: int = Field(10, gt=1, description="per test image of the bound")
    importance_samples: int = Field(5000, gt=1, description="per test image of the likelihood")
    evaluated_images: int = Field(10_000, gt=0, description="test images, the first ones")
    bias_samples: int = Field(100_000, gt=1, description="per image, to measure the bias of fewer")
    bias_images: int = Field(0, ge=0, description="test images with that many samples")
    ais_images: int = Field(100, ge=0, description="test images that are annealed, the first ones")
    ais_chains: int = Field(10, gt=1, description="annealed chains an image")
    ais_schedule: Betas = Field(
        [(1000, 0, 1)],
        min_length=1,
        description="parts of the temperatures from prior to posterior: how many, from beta, to "
        "beta",
    )
    top_schedule: Betas = Field(
        [(500, 0, 0.5), (4000, 0.5, 0.9), (10_000, 0.9, 1)],
        min_length=1,
        description="likewise, of log Z of the greedy route's undirected top",
    )
    top_chains: int = Field(100, gt=1, description="annealed chains of the undirected top")
    chain_steps: int = Field(0, ge=0, description="sweeps of the posterior's chain once learned")

    @pydantic.model_validator(mode="after")
    def _temperatures(self) -> "Learning":
        for name in ("ais_schedule", "top_schedule"):
            parts = getattr(self, name)
            if not rising(parts):
                raise ValueError(f"{name}: betas must rise from 0 to 1, not as {parts}")
        return self

    @property
    def hidden(self) -> list[int]:
        """Units of each hidden layer, the lowest first."""
        return [self.units] * (self.layers - 1) + [self.top_units or self.units]

    def draws(self, visible: int) -> int:
        """Units drawn for an image at a visit: those of dreams and reconstructions count too."""
        sizes = [visible, *self.hidden]
        hidden, dream = sum(self.hidden), sum(sizes)
        return {
            "gibbs": self.sweeps * hidden,
            "mean_field": self.iterations * hidden,
            "wake_sleep": hidden + dream,
            "rws": self.particles * hidden + dream,
            "nvil": hidden,
            "greedy": sum(below + 2 * above for below, above in itertools.pairwise(sizes)),
        }[self.method]

    def passes(self, images: int, visible: int) -> int:
        """How many epochs learning has."""
        if self.unit_updates is None:
            return self.epochs
        return max(1, round(self.unit_updates / (images * self.draws(visible))))


class Mixing(TrialSettings):
    """Random nets whose posterior is sampled, from its own draws on."""

    part: Literal["mixing"]
    units: int = Field(50, gt=0, description="of every layer, the visible one too")
    depths: list[Annotated[int, Field(ge=1)]] = Field(
        [1, 2, 3], min_length=1, description="hidden layers of the nets"
    )
    scales: list[Annotated[float, Field(gt=0)]] = Field(
        [0.5, 1, 2, 4, 8],
        min_length=1,
        description="standard deviations of a unit's input when all its parents are on",
    )
    nets: int = Field(5, gt=0, description="random nets of each depth and scale, an image of each")
    chains: int = Field(20, gt=1, description="of each net, each from a draw of the posterior")
    steps: int = Field(2000, gt=1, description="sweeps of each chain")
    cause_steps: int = Field(100_000, gt=1, description="sweeps of the two causes' chain")


Settings = Learning | Mixing
