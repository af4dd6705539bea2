"""Settings of the parts: InfoGAN, a VAE beside it, the lemmas, and what either side lends."""

from typing import Annotated, ClassVar, Literal

import pydantic
from pydantic import Field

from dgm.protocols.settings.vae import VAESettings
from dgm.recipe.schema import TrialSettings

REVISION = 1
ROWS, COLUMNS = 5, 10  # of images that show what a code does
SAMPLES = 100  # of a GAN, in the figure
GANS, VAES = ["gan", "iwgan"], ["vae", "aavae"]  # the plain one first
Width = Annotated[int, Field(gt=0)]


class ConvNets(TrialSettings):
    """A generator and a discriminator of images."""

    kinds: ClassVar[tuple[str, ...]] = ("images", "densities")

    filters: int = Field(64, gt=0, description="of the largest map, twice as many of the next")
    batch: int = Field(
        128, gt=1, description="images in a step; batch normalisation needs two at least"
    )
    judged: int = Field(10_000, ge=SAMPLES, description="generated images that are judged")


class InfoGAN(ConvNets):
    """Chen et al. (2016), appendix C.1."""

    part: Literal["infogan"] = Field("infogan", description="what is shown")
    noise: int = Field(62, gt=0, description="numbers of the generator that are no code")
    codes: int = Field(10, gt=1, description="values of the code; as many as classes")
    continuous: int = Field(2, gt=0, description="continuous codes")
    hidden: int = Field(128, gt=0, description="units of the layer that Q has alone")
    coefficient: float = Field(1.0, gt=0, description="of the mutual information")
    steps: int = Field(5000, gt=0, description="of both players")
    generator_rate: float = Field(1e-3, gt=0, description="of the generator's Adam")
    critic_rate: float = Field(2e-4, gt=0, description="of the Adam of D and Q")
    evaluations: int = Field(25, gt=0, description="points of the curve")


class Beside(VAESettings):
    """A VAE, whose latents are clustered where InfoGAN reads a code."""

    part: Literal["vae"]


class Lemmas(TrialSettings):
    """Both sides of the lemmas, at random parameters."""

    part: Literal["lemmas"]
    pairs: int = Field(20, gt=0, description="of a generator and a discriminator, or of p and q")
    units: int = Field(8, gt=0, description="bends of a generator of the line")
    critic_units: int = Field(16, gt=0, description="tanh units of a discriminator of the line")
    visible: int = Field(6, gt=0, le=10, description="binary units of x, whose states are summed")
    latent: int = Field(3, gt=0, le=6, description="binary units of z, likewise")


class Weighted(ConvNets):
    """A GAN, or one whose generated images are weighted by the discriminator."""

    part: Literal["gans"]
    model: Literal["gan", "iwgan"] = Field("gan", description="iwgan: importance-weighted")
    latent_dim: int = Field(100, gt=0, description="numbers of noise")
    epochs: int = Field(10, gt=0, description="passes over the images")
    rate: float = Field(2e-4, gt=0, description="of both players' Adam")
    classifier_steps: int = Field(
        3000, gt=0, description="minibatches of 100 by which the judging classifier learns"
    )


class Activated(VAESettings):
    """A VAE, or one that learns from its own samples too, where an adversary lets them pass."""

    part: Literal["aavae"]
    model: Literal["vae", "aavae"] = Field("vae", description="aavae: adversary-activated")
    share: float = Field(0.01, gt=0, le=1, description="of the training images, drawn by the seed")
    critic_hidden: list[Width] = Field(
        [200], min_length=1, description="units of the adversary's hidden layers"
    )
    critic_rate: float = Field(1e-3, gt=0, description="of the adversary's Adam")

    @pydantic.model_validator(mode="after")
    def _one_learner(self) -> "Activated":
        if self.method != "aevb" or len(self.rates) > 1:
            raise ValueError("rates: this part learns by AEVB with a single one")
        return self


Settings = InfoGAN | Beside | Lemmas | Weighted | Activated
