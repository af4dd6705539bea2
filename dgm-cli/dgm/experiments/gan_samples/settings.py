"""Settings of models whose samples are judged: two GANs, and what they are compared with."""

from typing import Annotated, ClassVar, Literal

import pydantic
from pydantic import Field

from dgm.protocols.settings.vae import VAESettings
from dgm.recipe.schema import TrialSettings

REVISION = 1
SHOWN = 100  # samples in the figure, ten by ten
TENTHS = [round(10 ** (-1 + i / 9), 4) for i in range(10)]  # 0.1 to 1, log-spaced


class Judged(TrialSettings):
    """How samples are judged."""

    kinds: ClassVar[tuple[str, ...]] = ("images", "folders")

    judged_samples: int = Field(10_000, ge=SHOWN, description="of each model")
    bandwidths: list[Annotated[float, Field(gt=0)]] = Field(
        TENTHS,
        min_length=1,
        description="standard deviations of Parzen's Gaussians, to choose from",
    )
    chosen_on: int = Field(
        1000, gt=0, description="validation images on which the bandwidth is chosen"
    )
    compared: int = Field(
        2000, gt=0, description="samples, and test images, that are sought among training images"
    )
    classifier_steps: int = Field(
        3000, gt=0, description="minibatches of 100 by which the judging classifier learns"
    )


class Game(Judged):
    """What both games need."""

    uses_model: ClassVar[bool] = False

    latent_dim: int = Field(100, gt=0, description="numbers of noise, from N(0, I)")
    frames: int = Field(24, gt=1, description="of the film, at log-spaced steps")


class GAN(Game):
    """The fully connected GAN of Goodfellow et al. (2014), with its published settings."""

    model: Literal["gan"] = Field("gan", description="whose samples are judged")
    hidden: int = Field(1200, gt=0, description="units of each of the generator's two layers")
    units: int = Field(240, gt=0, description="maxout units of each of D's two layers")
    pieces: int = Field(5, gt=0, description="linear functions of a maxout unit")
    batch: int = Field(100, gt=0, description="images, and samples, in a step")
    epochs: int = Field(200, gt=0, description="passes over the training images")
    rate: float = Field(0.1, gt=0, description="of gradient descent at the first step")
    decay: float = Field(1.000004, ge=1, description="by which a step divides the rate")
    momentum: tuple[float, float] = Field((0.5, 0.7), description="at first, and later")
    momentum_epochs: int = Field(250, gt=0, description="in which momentum rises to the later one")

    @pydantic.field_validator("momentum")
    @classmethod
    def _below_one(cls, momentum: tuple[float, float]) -> tuple[float, float]:
        if not all(0 <= each < 1 for each in momentum):
            raise ValueError("should be two numbers from 0 to less than 1")
        return momentum


class DCGAN(Game):
    """The convolutional GAN of Radford et al. (2016), with half of its filters."""

    model: Literal["dcgan"]
    filters: int = Field(64, gt=0, description="of the largest maps; twice as many of each smaller")
    batch: int = Field(
        128, gt=1, description="images, and samples, in a step; one has no variance to normalise by"
    )
    epochs: int = Field(25, gt=0, description="passes over the training images")
    rate: float = Field(2e-4, gt=0, description="of Adam")
    beta1: float = Field(0.5, ge=0, lt=1, description="of Adam")


class VAE(Judged, VAESettings):
    """A VAE, as `vae_samples` trains it."""

    uses_model: ClassVar[bool] = False

    model: Literal["vae"]


class DBN(Judged):
    """The deep belief net of the recipe that `uses` names: clamped chains at its top."""

    model: Literal["dbn"]
    chains: int = Field(1000, gt=0, description="chains, as many with each label")
    between: int = Field(100, gt=0, description="Gibbs steps at the top before each sample")


class Images(Judged):
    """Training images in the place of samples, or the centres of clusters of them."""

    uses_model: ClassVar[bool] = False

    model: Literal["real", "kmeans"]
    passes: int = Field(10, gt=0, description="of Lloyd's algorithm over the training images")


Settings = GAN | DCGAN | VAE | DBN | Images
