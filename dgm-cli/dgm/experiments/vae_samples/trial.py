"""A VAE's random samples look like digits, the more so the more latent dimensions it has.

Kingma & Welling (2014), Figure 5. Densities: `dgm.models.vae`; training: `dgm.protocols.fit_vae`;
the test images' likelihood: `dgm.inference.likelihood.importance_sampling`, whose proposal is
fitted to each posterior and has many times the effective samples of the encoder's on MNIST.
"""

import torch
from torch import Tensor

from dgm.errors import check_enough
from dgm.experiments.vae_samples.settings import SHOWN, Settings
from dgm.inference.likelihood import (
    Estimate,
    encoder_importance_sampling,
    importance_sampling,
)
from dgm.models.neighbours import classify
from dgm.models.vae import VAE
from dgm.protocols.fit_vae import bounds, fit, images
from dgm.report.pixels import grey
from dgm.report.tables import Artifacts
from dgm.trial.loop import Trial
from dgm.trial.measured import Rows

CHECKED = 200  # test images at which both proposals are compared
BLOCK = 100  # test images whose likelihood is estimated between two looks at the clock
FEW = 2  # blocks that are enough to verify a likelihood


MEASURED = {
    "bounds": Rows(("split",), ("elbo",)),
    "likelihood": Rows(("first_image",), ("log_likelihood",)),
    "estimators": Rows(("estimator",), ("log_likelihood",)),
    "labels": Rows(("label",)),  # of other random samples
}


def run_trial(settings: Settings, trial: Trial) -> Artifacts:
    """Train, estimate bound and likelihood, and have a judge label samples."""
    there = len(trial.data.test)
    check_enough("evaluated_images", settings.evaluated_images, there, "test images")
    train, evaluated = images(settings, trial)
    model = fit(settings, trial, train, evaluated)
    left = measure(settings, trial, model)
    return Artifacts(left.tables, left.arrays, {"vae": model})


def measure(settings: Settings, trial: Trial, model: VAE, full: bool = True) -> Artifacts:
    """Bounds, the test images' likelihood (not `full`: of the first images), and judged samples."""
    _, evaluated = images(settings, trial)
    bounds(settings, trial, model, evaluated)
    test = evaluated["test"][: settings.evaluated_images]
    estimate_likelihood(settings, trial, model, test if full else test[: FEW * BLOCK])
    if not full:
        return Artifacts(trial.tables())
    compare_proposals(settings, trial, model, evaluated["test"][:CHECKED])
    shape = settings.judged_samples, settings.latent_dim
    z = torch.randn(shape, generator=trial.generator, device=trial.device)
    drawn = model.decoder.mean(z)
    judge(trial, drawn)
    return Artifacts(trial.tables(), {"samples": grey(drawn[:SHOWN], trial.data.shape)})


def estimate_likelihood(settings: Settings, trial: Trial, model: VAE, test: Tensor) -> None:
    """Record "likelihood" of test images (n, visible), a block of them a row."""
    blocks = test.split(BLOCK)
    for i in trial.steps(len(blocks), phase="likelihood"):
        found = fitted(model, blocks[i], settings.importance_samples, trial.generator)
        mean, stderr = found.mean()
        trial.record(
            "likelihood",
            first_image=i * BLOCK,
            images=len(blocks[i]),
            log_likelihood=mean,
            stderr=stderr,
            mean_effective_samples=found.effective_samples.mean().item(),
            least_effective_samples=found.effective_samples.min().item(),
        )


def compare_proposals(settings: Settings, trial: Trial, model: VAE, x: Tensor) -> None:
    """Record "estimators": the likelihood of x (n, visible) by the fitted proposal and by the
    encoder's."""
    for name, estimator in {"fitted": fitted, "encoder": encoder_importance_sampling}.items():
        mean, stderr = estimator(model, x, settings.importance_samples, trial.generator).mean()
        trial.record("estimators", estimator=name, log_likelihood=mean, stderr=stderr)


def fitted(model: VAE, x: Tensor, samples: int, generator: torch.Generator) -> Estimate:
    """Importance sampling from a mixture fitted to each image's posterior."""
    guess = model.encoder(x).mean
    return importance_sampling(model.decoder, x, samples, generator, block=5, guess=guess)


def judge(trial: Trial, drawn: Tensor) -> None:
    """Record "labels": how many of the images drawn (n, visible) nearest neighbours put in each
    class, where the data have classes."""
    data = trial.data
    if data.classes:
        labels = classify(data.train, data.labels["train"], drawn)
        for label in range(data.classes):
            trial.record("labels", label=label, samples=int((labels == label).sum()))
