"""Settings of the two parts: Gaussians fitted in either direction, and models of a ring."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from dgm.recipe.schema import TrialSettings

REVISION = 1
SAMPLES = 2500  # of a model, by which its modes are judged
BOX = 9.0  # densities in the plane are integrated between -BOX and BOX
Direction = Literal["model_data", "data_model"]
DIRECTIONS: list[Direction] = [
    "model_data",
    "data_model",
]  # KL(P || Q) and KL(Q || P), P the model, Q the data
MODELS = ["gan", "vae", "fgan_model_data", "fgan_data_model"]
Width = Annotated[int, Field(gt=0)]


class Either(TrialSettings):
    """What both parts share: the kind of data."""

    kinds: ClassVar[tuple[str, ...]] = ("densities",)


class Fit(Either):
    """A Gaussian fitted by optimisation, in both directions, from many starts."""

    part: Literal["fit"] = Field("fit", description="what is shown")
    family: Literal["factorised", "full"] = Field("factorised", description="of the Gaussian")
    starts: int = Field(40, gt=0, description="of each direction, drawn about the data")


class Ring(Either):
    """A model of a ring of Gaussians, all of equal nets."""

    part: Literal["ring"]
    model: Literal["gan", "vae", "fgan_model_data", "fgan_data_model"] = Field(
        "gan", description="fgan_*: a GAN whose generator follows that direction of KL"
    )
    hidden: list[Width] = Field(
        [64, 64], min_length=1, description="units of the hidden layers of each net"
    )
    latent_dim: int = Field(2, gt=0, description="numbers of noise")
    batch: int = Field(128, gt=0, description="points of data, and generated ones, in a step")
    steps: int = Field(3000, gt=0, description="of the generator, or of the VAE")
    rate: float = Field(3e-3, gt=0, description="of Adam, falling to 0")
    decoder_std: float = Field(
        0.1, gt=0, description="of the VAE before learning; from the data's spread it collapses"
    )
    d_steps: int = Field(2, gt=0, description="of D before each step of a GAN's generator")
    penalty: float = Field(0.0, ge=0, description="coefficient gamma of R1, on a GAN's D")
    evaluations: int = Field(25, ge=5, description="of the samples during training")


Settings = Fit | Ring
