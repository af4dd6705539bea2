"""AEVB reaches a higher marginal likelihood than wake-sleep, and learns online where MCEM cannot.

Kingma & Welling (2014), Figure 3: the same decoder p(x|z) with three latent dimensions, learned
three ways; its marginal likelihood against the number of training samples evaluated.
Equations: `dgm.learning.aevb`, `wake_sleep`, `monte_carlo_em`; estimators:
`dgm.inference.likelihood`; densities: `dgm.models.vae`.
"""

from typing import Any

from torch import Tensor

from dgm.data.batches import Minibatches
from dgm.data.binarise import binarise
from dgm.errors import check_enough
from dgm.experiments.aevb_vs_wakesleep.settings import Settings
from dgm.fast.replay import replayed
from dgm.inference.likelihood import Estimate, hmc_estimator, importance_sampling
from dgm.learning.aevb import AEVB
from dgm.learning.monte_carlo_em import MonteCarloEM
from dgm.learning.wake_sleep import WakeSleep
from dgm.models.vae import VAE
from dgm.protocols.pilot import Learning, choose_rate
from dgm.report.tables import Artifacts
from dgm.trial.loop import Trial
from dgm.trial.measured import Rows
from dgm.trial.snapshots import Snapshots

MEASURED = {
    "curves": Rows(("samples", "split"), ("log_likelihood",)),
    "estimators": Rows(("split", "estimator"), ("log_likelihood",)),
}
LEARNERS: dict[str, type[AEVB | WakeSleep | MonteCarloEM]] = {
    "aevb": AEVB,
    "wake_sleep": WakeSleep,
    "mcem": MonteCarloEM,
}


def run_trial(settings: Settings, trial: Trial) -> Artifacts:
    """Choose the step, train, then evaluate the parameters kept at each evaluation point."""
    train, evaluated = images(settings, trial)

    def start(rate: float) -> Learning:
        model = VAE(train.shape[1], settings.hidden, settings.latent_dim, trial.device)
        model.initialise(settings.initial_std, trial.generator)
        dynamic = settings.binarization == "dynamic"
        batches = Minibatches(train, settings.batch, trial.generator, dynamic)
        learner = LEARNERS[settings.method](model, len(train), rate, trial.generator)
        return Learning(model, batches, learner)

    def score(rate: float, model: VAE) -> float:
        early = estimate(settings, trial, model, evaluated["train"])
        record(trial, "pilot", early, rate=rate)
        return early.mean()[0]

    pilot_steps = settings.pilot_samples // settings.batch
    learning = start(choose_rate(trial, settings.rates, pilot_steps, start, score))
    model, batches, learner = learning
    path = Snapshots(model.flat, settings.evaluation_steps())
    steps = settings.samples // settings.batch
    update = replayed(learner.update, trial.generator)
    for step in trial.steps(steps, path=path, **learning._asdict()):
        update(*batches.draw())
        path.keep(step + 1, trial.seconds)

    for i in trial.steps(len(path.steps) - 1, phase="evaluate"):
        model.flat.copy_(path.vectors[i])
        for split, x in evaluated.items():
            samples = path.steps[i] * settings.batch
            found = estimate(settings, trial, model, x)
            record(trial, "curves", found, samples=samples, split=split)
    model.flat.copy_(path.vectors[-1])
    left = measure(settings, trial, model)
    return Artifacts(left.tables, {"seconds": path.seconds.numpy()}, {"vae": model})


def estimate(settings: Settings, trial: Trial, model: VAE, x: Tensor) -> Estimate:
    """The likelihood of x (n, visible) by the estimator that the figure shows."""
    samples = settings.importance_samples
    return importance_sampling(model.decoder, x, samples, trial.generator)


def measure(settings: Settings, trial: Trial, model: VAE, full: bool = True) -> Artifacts:
    """The curves' last point, and both estimators; not `full`: importance sampling alone."""
    _, evaluated = images(settings, trial)
    samples = settings.evaluation_steps()[-1] * settings.batch
    for split, x in evaluated.items():
        found = estimate(settings, trial, model, x)
        record(trial, "curves", found, samples=samples, split=split)
    splits = list(evaluated.items())
    for i in trial.steps(len(splits), phase="estimators"):
        split, x = splits[i]
        ours = estimate(settings, trial, model, x)
        record(trial, "estimators", ours, split=split, estimator="importance_sampling")
        if full:
            papers = hmc_estimator(model.decoder, x, trial.generator, samples=settings.hmc_samples)
            record(trial, "estimators", papers, split=split, estimator="hmc")
    return Artifacts(trial.tables())


def images(settings: Settings, trial: Trial) -> tuple[Tensor, dict[str, Tensor]]:
    """The images to train on, and those of either split whose likelihood is estimated."""
    data = trial.data
    check_enough("train_size", settings.train_size, len(data.train), "training images")
    train = data.train[: settings.train_size]
    n, evaluated = settings.evaluated_images, {"train": train, "test": data.test}
    for split, x in evaluated.items():
        name = {"train": "training"}.get(split, split)
        check_enough("evaluated_images", n, len(x), f"{name} images")
    evaluated = {split: x[:n] for split, x in evaluated.items()}
    train, evaluated = binarise(data.name, settings.binarization, train, evaluated)
    return train.to(trial.device), {s: x.to(trial.device) for s, x in evaluated.items()}


def record(trial: Trial, table: str, estimate: Estimate, **where: Any) -> None:
    mean, stderr = estimate.mean()
    trial.record(
        table,
        **where,
        log_likelihood=mean,  # nats per image
        stderr=stderr,  # Monte Carlo error, bias included; not of the choice of images
        mean_effective_samples=estimate.effective_samples.mean().item(),
        least_effective_samples=estimate.effective_samples.min().item(),
    )
