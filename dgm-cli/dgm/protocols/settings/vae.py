"""Settings of learning a VAE; the values of Kingma & Welling (2014), section 5 and appendix C."""

from typing import Annotated, ClassVar, Literal

import pydantic
from pydantic import Field

from dgm.protocols.spacing import log_spaced
from dgm.recipe.schema import TrialSettings


class LearningSettings(TrialSettings):
    """What every algorithm that learns a VAE's decoder needs."""

    not_axes: ClassVar[tuple[str, ...]] = ("samples",)

    binarization: Literal["none", "static", "dynamic"] = Field(
        "none",
        description="none: pixels as they are, whose Bernoulli likelihood is unnormalised; "
        "static: one fixed Bernoulli draw; dynamic: drawn at each visit in training, evaluated on "
        "the fixed draw",
    )
    latent_dim: int = Field(20, gt=0, description="dimensions of z")
    samples: int = Field(20_000_000, gt=0, description="training samples evaluated in all")
    batch: int = Field(100, gt=0, description="images a minibatch")
    initial_std: float | None = Field(
        0.1,
        gt=0,
        description="of every parameter: N(0, 0.01); null: of each matrix 1 / sqrt(its inputs)",
    )
    rates: list[Annotated[float, Field(gt=0)]] = Field(
        [0.01, 0.02, 0.1], min_length=1, description="step sizes to choose from"
    )
    pilot_samples: int = Field(
        500_000, gt=0, description="samples after which the step is chosen, by training data"
    )
    evaluations: int = Field(40, gt=1, description="log-spaced points of the curves")
    first_evaluation: int = Field(100_000, gt=0, description="samples at the first of them")

    @pydantic.model_validator(mode="after")
    def _a_step_at_least(self) -> "LearningSettings":
        for name in ("samples", "pilot_samples"):
            if getattr(self, name) < self.batch:
                raise ValueError(f"{name} {getattr(self, name)} is less than batch {self.batch}")
        if len(set(self.rates)) < len(self.rates):
            raise ValueError(f"rates {self.rates}: one is given twice")
        return self

    def evaluation_steps(self) -> list[int]:
        """Log-spaced numbers of updates, the last being the end of training."""
        last = self.samples // self.batch
        return log_spaced(self.first_evaluation // self.batch, last, self.evaluations)


class VAESettings(LearningSettings):
    """A whole VAE and how it is learned."""

    method: Literal["aevb", "wake_sleep"] = Field("aevb", description="how the model is learned")
    decoder: Literal["bernoulli", "gaussian"] = Field(
        "bernoulli",
        description="p(x|z): Bernoulli pixels, or Gaussian ones with a sigmoid mean, a variance of "
        "their own and a standard deviation of 1/255 at least",
    )
    hidden: int = Field(500, gt=0, description="tanh units in each hidden layer")
    hidden_layers: int = Field(1, gt=0, description="hidden layers in each half")
    optimiser: Literal["adagrad", "adam"] = Field("adagrad", description="of AEVB")
    bound_samples: int = Field(
        10, gt=1, description="posterior samples per image of the final bounds"
    )

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> "VAESettings":
        if self.decoder == "gaussian" and self.binarization != "none":
            raise ValueError("a Gaussian decoder is not for binary pixels; binarization: none")
        if self.optimiser != "adagrad" and self.method != "aevb":
            raise ValueError("wake-sleep ascends by adagrad alone")
        return self


def pixels(data: str, decoder: str) -> str:
    """What a metric's name says of the pixels: nothing where they are Bernoulli, else "frey" for
    the faces and the decoder's name for other data."""
    if decoder == "bernoulli":
        return ""
    return "frey" if data == "frey_faces" else decoder
