"""Training a VAE: the bound on every split along the way, and the best parameters kept.

The step size is chosen on early training images, the checkpoint on validation images, and nothing
on test images. Kingma & Welling (2014), section 5; the equations are in `dgm.learning.aevb` and
`dgm.learning.wake_sleep`.
"""

from collections.abc import Callable

from torch import Tensor

from dgm.data.batches import Minibatches
from dgm.data.binarise import binarise
from dgm.fast.replay import replayed
from dgm.learning.adagrad import Adagrad
from dgm.learning.adam import Adam
from dgm.learning.aevb import AEVB, mean_elbo
from dgm.learning.wake_sleep import WakeSleep
from dgm.models.vae import VAE
from dgm.protocols.pilot import Learning, choose_rate
from dgm.protocols.settings.vae import VAESettings
from dgm.trial.loop import Trial
from dgm.trial.snapshots import Best

OPTIMISERS: dict[str, type[Adagrad | Adam]] = {"adagrad": Adagrad, "adam": Adam}
# Posterior samples per bound: one for each of the first 10,000 images, more per image if there are
# fewer.
JUDGED = 10_000
Make = Callable[[VAE, float], AEVB]


def images(settings: VAESettings, trial: Trial) -> tuple[Tensor, dict[str, Tensor]]:
    """The images to train on, and those of each split on which bounds are estimated."""
    data = trial.data
    train = data.train
    whole = {"train": train, "validation": data.validation, "test": data.test}
    evaluated = {split: x[:JUDGED] for split, x in whole.items()}
    if settings.decoder == "bernoulli":
        train, evaluated = binarise(data.name, settings.binarization, train, evaluated)
    return train.to(trial.device), {s: x.to(trial.device) for s, x in evaluated.items()}


def fit(
    settings: VAESettings,
    trial: Trial,
    train: Tensor,
    evaluated: dict[str, Tensor],
    make: Make | None = None,
) -> VAE:
    """Choose the step, train, and return the model as it was best on validation images.

    `make` gives another learner for a model and a rate than the settings' method.

    Records "pilot" (rate, elbo) and "curves" (samples, split, elbo), in nats per image. Notes rate
    and chosen_samples. Each point of the curves takes `JUDGED` posterior samples, one an image
    where there are as many images: the maximum over a noisy curve of few images would be luck.
    """

    def start(rate: float) -> Learning:
        return _start(settings, trial, train, rate, make)

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
    update = learner.update if make else replayed(learner.update, trial.generator)
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
    return model


def bounds(settings: VAESettings, trial: Trial, model: VAE, evaluated: dict[str, Tensor]) -> None:
    """Record "bounds" (split, elbo, stderr), in nats per image."""
    for split, x in evaluated.items():
        elbo, stderr = mean_elbo(model, x, trial.generator, settings.bound_samples)
        trial.record("bounds", split=split, elbo=elbo, stderr=stderr)


def _start(
    settings: VAESettings, trial: Trial, train: Tensor, rate: float, make: Make | None
) -> Learning:
    """An untrained model, its minibatches, and what learns."""
    units = [settings.hidden] * settings.hidden_layers
    model = VAE(train.shape[1], units, settings.latent_dim, trial.device, settings.decoder)
    model.initialise(settings.initial_std, trial.generator)
    dynamic = settings.binarization == "dynamic"
    batches = Minibatches(train, settings.batch, trial.generator, dynamic)
    learner: AEVB | WakeSleep
    if make:
        learner = make(model, rate)
    elif settings.method == "aevb":
        optimiser = OPTIMISERS[settings.optimiser]
        learner = AEVB(model, len(train), rate, trial.generator, optimiser)
    else:
        learner = WakeSleep(model, len(train), rate, trial.generator)
    return Learning(model, batches, learner)
