"""Random samples from VAEs of several latent dimensions, and how likely test images are under each.

Kingma & Welling (2014), Figure 5. Densities: `dgm.models.vae`; training: `dgm.protocols.fit_vae`;
the likelihood: `dgm.inference.likelihood.importance_sampling`, whose proposal is fitted to each
posterior and has many times the effective samples of the encoder's on MNIST.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from pydantic import Field
from torch import Tensor

from dgm.inference.likelihood import (
    Estimate,
    encoder_importance_sampling,
    importance_sampling,
)
from dgm.models.neighbours import classify
from dgm.models.vae import VAE
from dgm.protocols.fit_vae import VAESettings, fit, images
from dgm.report import plotting
from dgm.report.summary import Metric
from dgm.report.tables import Artifacts, by_cell, own_axes, read_label
from dgm.trial.loop import Trial

REVISION = 3
AXES = ["variant", "latent_dim"]
PAPER = "paper"  # the variant that goes without saying
CHECKED = 200  # test images at which both proposals are compared
SHOWN = 100  # samples in the figure, ten by ten
BLOCK = 100  # test images whose likelihood is estimated between two looks at the clock


class Settings(VAESettings):
    """The paper's, Section 5: Figure 5."""

    variant: str = Field(PAPER, description="another name for a model that is not the paper's")
    judged_samples: int = Field(1000, ge=SHOWN, description="samples that the judge labels")
    importance_samples: int = Field(5000, gt=1, description="per test image")
    evaluated_images: int = Field(10_000, gt=0, description="the first so many test images")


def run_trial(settings: Settings, trial: Trial) -> Artifacts:
    """Train, estimate bound and likelihood, and have a judge label samples."""
    data = trial.data
    train, evaluated = images(settings, trial)
    model = fit(settings, trial, train, evaluated)

    samples, generator = settings.importance_samples, trial.generator
    blocks = evaluated["test"][: settings.evaluated_images].split(BLOCK)
    for i in trial.steps(len(blocks), phase="likelihood"):
        found = fitted(model, blocks[i], samples, generator)
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
    for name, estimator in {"fitted": fitted, "encoder": encoder_importance_sampling}.items():
        found = estimator(model, evaluated["test"][:CHECKED], samples, generator)
        mean, stderr = found.mean()
        trial.record("estimators", estimator=name, log_likelihood=mean, stderr=stderr)

    shape = settings.judged_samples, settings.latent_dim
    z = torch.randn(shape, generator=trial.generator, device=trial.device)
    drawn = model.decoder.mean(z)
    if data.classes:
        labels = classify(data.train, data.labels["train"], drawn)
        for label in range(data.classes):
            trial.record("labels", label=label, samples=int((labels == label).sum()))
    arrays = {"samples": plotting.grey(drawn[:SHOWN], data.shape)}
    return Artifacts(trial.tables(), arrays, {"vae": model})


def fitted(model: VAE, x: Tensor, samples: int, generator: torch.Generator) -> Estimate:
    """Importance sampling from a mixture fitted to each image's posterior."""
    guess = model.encoder(x).mean
    return importance_sampling(model.decoder, x, samples, generator, block=5, guess=guess)


def summarise(artifacts: Artifacts) -> Iterator[Metric]:
    """Test likelihood, what stands behind it, bound, and the entropy of the samples' labels."""
    tables = artifacts.tables
    for cell, rows in by_cell(tables["likelihood"]):
        name, images = ending(cell), rows["images"]
        mean = np.average(rows["log_likelihood"], weights=images)
        yield Metric(f"test_log_likelihood/{name}", cell["seed"], float(mean))
        effective = np.average(rows["mean_effective_samples"], weights=images)
        yield Metric(f"mean_effective_samples/{name}", cell["seed"], float(effective))
        least = rows["least_effective_samples"].min()
        yield Metric(f"least_effective_samples/{name}", cell["seed"], float(least))
    for cell, rows in by_cell(tables["estimators"]):
        by_estimator = rows.set_index("estimator")["log_likelihood"]
        gap = by_estimator["fitted"] - by_estimator["encoder"]
        yield Metric(f"estimator_gap/{ending(cell)}", cell["seed"], gap)
    for cell, rows in by_cell(tables["bounds"]):
        test = rows.loc[rows["split"] == "test", "elbo"].item()
        yield Metric(f"test_elbo/{ending(cell)}", cell["seed"], test)
    for cell, rows in by_cell(tables["labels"]) if "labels" in tables else []:
        yield Metric(
            f"sample_entropy/{ending(cell)}", cell["seed"], entropy(rows["samples"].to_numpy())
        )


def entropy(counts: np.ndarray) -> float:
    """-sum_i p_i log2 p_i in bits, of the histogram with these counts."""
    p = counts[counts > 0] / counts.sum()
    return float(-(p * np.log2(p)).sum())


def ending(cell: dict[str, Any]) -> str:
    """A cell in a metric's name: "latent20" of the paper's models, else the variant's name."""
    variant = cell["variant"]
    return (f"latent{cell['latent_dim']}" if variant == PAPER else variant) + own_axes(cell, AXES)


def draw(artifacts: Artifacts) -> dict[str, Figure]:
    """Of the first seed of each cell, ten by ten samples."""
    panels: dict[str, np.ndarray] = {}
    for label, samples in artifacts.arrays["samples"].items():
        about = read_label(label)
        variant = "" if about["variant"] == PAPER else f"{about['variant']}, "
        own = own_axes(about, AXES, ", ")
        panels.setdefault(f"{variant}{about['latent_dim']}-D latent{own}", samples)
    figure = plotting.rows_of(len(panels), columns=3, width=3.0, height=3.2)
    for axes, (name, samples) in zip(figure.axes, panels.items(), strict=True):
        plotting.show_images(axes, samples, columns=10)
        axes.set_title(name)
    return {"figure5": figure}
