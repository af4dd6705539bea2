"""Marginal likelihood during learning by AEVB, wake-sleep and Monte Carlo EM.

Kingma & Welling (2014), Figure 3: the same decoder p(x|z) with three latent dimensions, learned
three ways; its marginal likelihood against the number of training samples evaluated.
Equations: `dgm.learning.aevb`, `wake_sleep`, `monte_carlo_em`; estimators:
`dgm.inference.likelihood`; densities: `dgm.models.vae`.
"""

import itertools
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import pandas as pd
import pydantic
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from pydantic import Field
from torch import Tensor

from dgm.data.batches import Minibatches
from dgm.data.binarise import binarise
from dgm.errors import BadInput
from dgm.fast.replay import replayed
from dgm.inference.likelihood import Estimate, hmc_estimator, importance_sampling
from dgm.learning.aevb import AEVB
from dgm.learning.monte_carlo_em import MonteCarloEM
from dgm.learning.wake_sleep import WakeSleep
from dgm.models.vae import VAE
from dgm.protocols.fit_vae import LearningSettings
from dgm.protocols.pilot import Learning, choose_rate
from dgm.report import plotting
from dgm.report.summary import Metric
from dgm.report.tables import Artifacts, by_cell, label_of, own_axes
from dgm.trial.loop import Trial
from dgm.trial.snapshots import Snapshots

REVISION = 1
LEARNERS: dict[str, type[AEVB | WakeSleep | MonteCarloEM]] = {
    "aevb": AEVB,
    "wake_sleep": WakeSleep,
    "mcem": MonteCarloEM,
}
NAMES = {"aevb": "AEVB", "wake_sleep": "Wake-sleep", "mcem": "Monte Carlo EM"}
COLORS = {"aevb": plotting.BLUE, "wake_sleep": plotting.ORANGE, "mcem": plotting.GREEN}
HEAD = 1 / 60  # of a run, before which methods are not compared: 1 of 60 million samples
AXES = ["method", "train_size", "binarization"]  # what every table tells its rows apart by
UNNORMALISED = "real-valued pixels as Bernoulli targets: an unnormalised likelihood"
BINARY = "binary pixels, evaluated on one fixed draw"
PAPER_RANGE = {1000: (-160.0, -100.0), 50000: (-160.0, -125.0)}  # nats, the figure's y axes


class Settings(LearningSettings):
    """The paper's, Section 5 and Appendices C to E."""

    method: Literal["aevb", "wake_sleep", "mcem"] = Field(
        "aevb", description="how the decoder is learned"
    )
    train_size: int = Field(50_000, gt=0, description="the first so many training images")
    hidden: int = Field(100, gt=0, description="tanh units in each half's one hidden layer")
    latent_dim: int = Field(3, gt=0, description="dimensions of z")
    samples: int = Field(60_000_000, gt=0, description="training samples evaluated in all")
    evaluated_images: int = Field(1000, gt=0, description="the first so many of train and test")
    importance_samples: int = Field(300, gt=1, description="per image, of the canonical estimate")
    hmc_samples: int = Field(50, gt=4, description="posterior samples of the paper's estimator")

    @pydantic.model_validator(mode="after")
    def _a_batch_at_least(self) -> "Settings":
        if self.train_size < self.batch:
            raise ValueError(f"train_size {self.train_size} is less than batch {self.batch}")
        return self

    @pydantic.model_validator(mode="after")
    def _enough_to_fit_a_gaussian(self) -> "Settings":
        if self.hmc_samples < 2 * self.latent_dim:
            raise ValueError(
                f"hmc_samples {self.hmc_samples}: a covariance of latent_dim {self.latent_dim} "
                f"takes twice as many at least"
            )
        return self


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

    def estimate(model: VAE, x: Tensor) -> Estimate:
        samples = settings.importance_samples
        return importance_sampling(model.decoder, x, samples, trial.generator)

    def score(rate: float, model: VAE) -> float:
        early = estimate(model, evaluated["train"])
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

    for i in trial.steps(len(path.steps), phase="evaluate"):
        model.flat.copy_(path.vectors[i])
        for split, x in evaluated.items():
            samples = path.steps[i] * settings.batch
            record(trial, "curves", estimate(model, x), samples=samples, split=split)

    splits = list(evaluated.items())
    for i in trial.steps(len(splits), phase="estimators"):
        split, x = splits[i]
        ours = estimate(model, x)
        papers = hmc_estimator(model.decoder, x, trial.generator, samples=settings.hmc_samples)
        record(trial, "estimators", ours, split=split, estimator="importance_sampling")
        record(trial, "estimators", papers, split=split, estimator="hmc")

    return Artifacts(trial.tables(), {"seconds": path.seconds.numpy()}, {"vae": model})


def images(settings: Settings, trial: Trial) -> tuple[Tensor, dict[str, Tensor]]:
    """The images to train on, and those of either split whose likelihood is estimated."""
    data = trial.data
    if settings.train_size > len(data.train):
        raise BadInput(
            f"train_size {settings.train_size}: {data.name} has {len(data.train)} training images"
        )
    train = data.train[: settings.train_size]
    evaluated = {
        "train": train[: settings.evaluated_images],
        "test": data.test[: settings.evaluated_images],
    }
    train, evaluated = binarise(data.name, settings.binarization, train, evaluated)
    return train.to(trial.device), {s: x.to(trial.device) for s, x in evaluated.items()}


def record(trial: Trial, table: str, estimate: Estimate, **where: Any) -> None:
    mean, stderr = estimate.mean()
    trial.record(
        table,
        **where,
        log_likelihood=mean,  # nats per image
        stderr=stderr,  # of the Monte Carlo estimate, not of the choice of images
        mean_effective_samples=estimate.effective_samples.mean().item(),
        least_effective_samples=estimate.effective_samples.min().item(),
    )


def summarise(artifacts: Artifacts) -> Iterator[Metric]:
    """Final likelihoods, the share of points at which AEVB leads, the two estimators' gap."""
    curves = artifacts.tables["curves"]
    for cell, rows in by_cell(curves):
        for split, of_split in rows.groupby("split", sort=False):
            final = of_split.loc[of_split["samples"].idxmax(), "log_likelihood"]
            name = f"{split}_log_likelihood/{cell['method']}{ending(cell)}"
            yield Metric(name, cell["seed"], final)

    for cell, rows in by_cell(curves[curves["split"] == "train"], without=["method"]):
        by_method = rows.pivot(index="samples", columns="method", values="log_likelihood")
        if {"aevb", "wake_sleep"} <= set(by_method):
            lead = (by_method["aevb"] - by_method["wake_sleep"]).dropna()
            lead = lead[lead.index >= lead.index.max() * HEAD]
            lead_share = float((lead > 0).mean())
            yield Metric(f"aevb_above_wake_sleep{ending(cell)}", cell["seed"], lead_share)

    gaps: dict[int, list[float]] = {}
    for cell, rows in by_cell(artifacts.tables["estimators"]):
        ends = rows.pivot(index="split", columns="estimator", values="log_likelihood")
        gaps.setdefault(cell["seed"], []).extend((ends["hmc"] - ends["importance_sampling"]).abs())
    for seed, values in gaps.items():
        yield Metric("estimator_gap", seed, float(np.mean(values)))


def ending(cell: dict[str, Any]) -> str:
    """A cell in a metric's name: "/n50000", "/n1000/binarized", "/n1000/hidden=20"."""
    size = f"/n{cell['train_size']}" if "train_size" in cell else ""
    pixels = {"none": "", "dynamic": "/binarized", "static": "/static"}[cell["binarization"]]
    return size + pixels + own_axes(cell, AXES)


def draw(artifacts: Artifacts) -> dict[str, Figure]:
    """The paper's figure, the same for binary images, and both against seconds.

    A user's own axes of the grid have a figure a value.
    """
    curves = with_seconds(artifacts.tables["curves"], artifacts.arrays["seconds"])
    curves = curves.assign(millions=curves["samples"] / 1e6)
    against = {
        "": ("millions", "training samples evaluated (millions)"),
        "_seconds": ("seconds", "seconds of training"),
    }
    figures = {}
    for cell, rows in by_cell(curves, without=["method", "train_size", "seed"]):
        name = "figure3" + ending(cell).replace("/", "_")
        note = UNNORMALISED if cell["binarization"] == "none" else BINARY
        for kind, (x, label) in against.items():
            figures[name + kind] = likelihood_figure(rows, x, label, note)
    return figures


def with_seconds(curves: pd.DataFrame, seconds: dict[str, np.ndarray]) -> pd.DataFrame:
    """The curves with the wall-clock time of each point, from each trial's array."""
    trials = []
    for cell, rows in by_cell(curves):
        point = rows["samples"].rank(method="dense").astype(int) - 1
        trials.append(rows.assign(seconds=seconds[label_of(cell)][point]))
    return pd.concat(trials)


def likelihood_figure(curves: pd.DataFrame, x: str, x_label: str, note: str) -> Figure:
    """One panel a training-set size: train solid, test dashed, a colour for each method."""
    sizes = sorted(curves["train_size"].unique())
    figure = plotting.panels(columns=len(sizes))
    for axes, size in zip(figure.axes, sizes, strict=True):
        panel = curves[curves["train_size"] == size]
        for method, split in itertools.product(NAMES, ("train", "test")):
            rows = panel[(panel["method"] == method) & (panel["split"] == split)]
            if len(rows):
                label = f"{NAMES[method]}, {split}"
                plotting.seeds_line(axes, rows, x, "log_likelihood", label, COLORS[method], split)
        low, high = PAPER_RANGE.get(size, (None, None))
        if low is not None and high is not None:  # the paper's range, and what goes beyond it
            ends = panel[panel["samples"] == panel["samples"].max()]["log_likelihood"]
            low, high = min(low, ends.min() - 3), max(high, ends.max() + 2)
        axes.set_ylim(low, high)
        axes.set(title=f"N = {size:,}", xlabel=x_label)
        if x == "seconds":
            axes.set_xscale("log")
            axes.xaxis.set_minor_formatter(NullFormatter())
        else:
            axes.set_xlim(0, panel[x].max())
    figure.axes[0].set_ylabel("log marginal likelihood\n(nats per image)")
    plotting.legend_below(figure, columns=curves["method"].nunique())  # test below train
    figure.suptitle(note, fontsize=9)
    return figure
