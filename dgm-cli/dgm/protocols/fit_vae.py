"""Training a VAE with the bound on every split along the way, and the best parameters kept.

What the experiments that show a trained VAE have in common; the step is chosen on early training
images, the checkpoint on validation images, and nothing on test images.
"""

from typing import Annotated, Literal

import pydantic
from pydantic import Field
from torch import Tensor

from dgm.data.batches import Minibatches
from dgm.data.binarise import Binarization, binarise
from dgm.fast.replay import replayed
from dgm.learning.adagrad import Adagrad
from dgm.learning.adam import Adam
from dgm.learning.aevb import AEVB, mean_elbo
from dgm.learning.wake_sleep import WakeSleep
from dgm.models.vae import VAE
from dgm.protocols.pilot import Learning, choose_rate
from dgm.protocols.spacing import log_spaced
from dgm.recipe.schema import TrialSettings
from dgm.trial.loop import Trial
from dgm.trial.snapshots import Best

OPTIMISERS: dict[str, type[Adagrad | Adam]] = {"adagrad": Adagrad, "adam": Adam}
JUDGED = 10_000  # images of a split, the first, or posterior samples of fewer, behind a bound


class LearningSettings(TrialSettings):
    """What learning a VAE's decoder needs by whatever algorithm; the paper's values, Section 5."""

    binarization: Binarization = Field(
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
            raise ValueError(f"rates {self.rates}: one stands there twice")
        return self

    def evaluation_steps(self) -> list[int]:
        """Log-spaced numbers of updates, the last being the end of training."""
        last = self.samples // self.batch
        return log_spaced(self.first_evaluation // self.batch, last, self.evaluations)


class VAESettings(LearningSettings):
    """The paper's, Section 5 and Appendix C."""

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


def images(settings: VAESettings, trial: Trial) -> tuple[Tensor, dict[str, Tensor]]:
    """The images to train on, and those of each split on which bounds are estimated."""
    data = trial.data
    train = data.train
    whole = {"train": train, "validation": data.validation, "test": data.test}
    evaluated = {split: x[:JUDGED] for split, x in whole.items()}
    if settings.decoder == "bernoulli":
        train, evaluated = binarise(data.name, settings.binarization, train, evaluated)
    return train.to(trial.device), {s: x.to(trial.device) for s, x in evaluated.items()}


def fit(settings: VAESettings, trial: Trial, train: Tensor, evaluated: dict[str, Tensor]) -> VAE:
    """Choose the step, train, and return the model as it was best on validation images.

    Records "pilot" (rate, elbo), "curves" (samples, split, elbo) and, of the model returned,
    "bounds" (split, elbo, stderr), in nats per image. Notes rate and chosen_samples. The curves
    are of `JUDGED` posterior samples a split, which is one an image where there are as many: the
    maximum over a noisy curve of few images would be luck.
    """

    def start(rate: float) -> Learning:
        return _start(settings, trial, train, rate)

    def bound(model: VAE, x: Tensor) -> float:
        samples = max(1, round(JUDGED / len(x)))
        return mean_elbo(model, x, trial.generator, samples)[0]

    def score(rate: float, model: VAE) -> float:
        early = bound(model, evaluated["train"])
        trial.record("pilot", rate=rate, elbo=early)
        return early

    pilot_steps = settings.pilot_samples // settings.batch
    learning = start(choose_rate(trial, settings.rates, pilot_steps, start, score))
    model, batches, learner = learning
    best, points = Best(model.flat), set(settings.evaluation_steps())
    steps = settings.samples // settings.batch
    update = replayed(learner.update, trial.generator)
    for step in trial.steps(steps, best=best, **learning._asdict()):
        update(*batches.draw())
        if step + 1 in points:
            bounds = {split: bound(model, x) for split, x in evaluated.items()}
            for split, elbo in bounds.items():
                samples = (step + 1) * settings.batch
                trial.record("curves", samples=samples, split=split, elbo=elbo)
            best.offer(bounds["validation"], step + 1)
    model.flat.copy_(best.vector)
    trial.choose(chosen_samples=int(best.step) * settings.batch)
    for split, x in evaluated.items():
        elbo, stderr = mean_elbo(model, x, trial.generator, settings.bound_samples)
        trial.record("bounds", split=split, elbo=elbo, stderr=stderr)
    return model


def _start(settings: VAESettings, trial: Trial, train: Tensor, rate: float) -> Learning:
    """An untrained model, its minibatches, and what learns."""
    units = [settings.hidden] * settings.hidden_layers
    model = VAE(train.shape[1], units, settings.latent_dim, trial.device, settings.decoder)
    model.initialise(settings.initial_std, trial.generator)
    dynamic = settings.binarization == "dynamic"
    batches = Minibatches(train, settings.batch, trial.generator, dynamic)
    learner: AEVB | WakeSleep
    if settings.method == "aevb":
        optimiser = OPTIMISERS[settings.optimiser]
        learner = AEVB(model, len(train), rate, trial.generator, optimiser)
    else:
        learner = WakeSleep(model, len(train), rate, trial.generator)
    return Learning(model, batches, learner)


def group(data: str, decoder: str) -> str:
    """What a metric's name says of the data: nothing for digits as Bernoulli pixels, "/frey"."""
    if decoder == "bernoulli":
        return ""
    return "/frey" if data == "frey_faces" else f"/{decoder}"
