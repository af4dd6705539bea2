"""RBMs learned by contrastive divergence: likelihood by AIS, and CD against the true gradient.

Hinton (2002), Tieleman (2008), Salakhutdinov & Murray (2008). The machine: `dgm.models.rbm`;
learning: `dgm.learning.contrastive_divergence`; log Z: `dgm.inference.ais`; a machine small
enough is enumerated beside it: `dgm.inference.enumeration`.
"""

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import pandas as pd
import pydantic
import torch
from matplotlib.figure import Figure
from pydantic import Field
from torch import Tensor

from dgm.data.batches import Minibatches
from dgm.data.binarise import binarise
from dgm.fast.draws import bernoulli
from dgm.inference.ais import AIS, LogPartition, schedule
from dgm.inference.enumeration import MOST, Enumerated
from dgm.learning.contrastive_divergence import ContrastiveDivergence, gibbs
from dgm.learning.weight_prior import WeightPrior
from dgm.models.rbm import RBM, log_odds
from dgm.protocols.fit_rbm import fit_rbm
from dgm.protocols.spacing import log_spaced
from dgm.recipe.schema import TrialSettings
from dgm.report import plotting
from dgm.report.summary import Metric
from dgm.report.tables import Artifacts, by_cell, own_axes, read_label
from dgm.trial.loop import Trial
from dgm.trial.snapshots import Average, Snapshots

REVISION = 1
AXES = ["data", "variant", "method", "k"]
PAPER, SMALL = "paper", "small"  # variants: what goes without saying, and what is enumerated
STEPS_SHOWN = [0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]  # of a Gibbs chain, left to right
CHAINS_SHOWN, FILTERS_SHOWN = 5, 64
TOLD = 200  # log-spaced epochs whose reconstruction error is recorded
KS = [1, 2, 3, 5, 10, 25, 100]  # at which CD's expected gradient is compared to the exact one
COLORS = {"CD-1": plotting.ORANGE, "CD-3": plotting.GREEN, "CD-25": plotting.BLUE}


class Settings(TrialSettings):
    """An RBM of binary units, its learning, and the annealing that finds its log Z."""

    variant: str = Field(PAPER, description="another name for machines that are not the paper's")
    method: Literal["cd", "pcd"] = Field(
        "cd", description="negative phase from the data, or from chains that go on"
    )
    k: int = Field(1, ge=1, description="Gibbs steps of an update's negative phase")
    hidden: int = Field(500, gt=0, description="hidden units")
    epochs: int = Field(100, gt=0, description="passes over the training images")
    batch: int = Field(100, gt=0, description="images a minibatch, and chains of pcd")
    rate: float = Field(0.05, gt=0, description="learning rate, falling to 0 in a straight line")
    momentum: float = Field(0.0, ge=0, lt=1, description="at most 0.5 in the first five epochs")
    decay: float = Field(0.0, ge=0, description="of the weights, times the rate")
    lasso: float = Field(0.0, ge=0, description="decay of the weights' absolute values")
    smoothness: float = Field(
        0.0, ge=0, description="decay of differences between neighbouring pixels' weights"
    )
    averaged: float = Field(
        0.0, ge=0, lt=1, description="share of the epochs, the last ones, whose mean is the end"
    )
    refit: bool = Field(
        False,
        description="whether validation images too are learned from in the end, anew, for as many "
        "epochs as were best",
    )
    centred: bool = Field(
        False, description="whether weights learn from what units differ by from their means"
    )
    initial_std: float = Field(0.01, gt=0, description="of the weights")
    evaluations: int = Field(10, gt=0, description="log-spaced epochs at which log Z is estimated")
    ais_chains: int = Field(100, gt=1, description="annealed chains")
    ais_schedule: list[tuple[int, float, float]] = Field(
        [(500, 0, 0.5), (4000, 0.5, 0.9), (10_000, 0.9, 1)],
        min_length=1,
        description="parts of the temperatures: how many, from beta, to beta",
    )

    @pydantic.model_validator(mode="after")
    def _temperatures(self) -> "Settings":
        schedule(*self.ais_schedule)  # ValueError where they are none
        return self


def run_trial(settings: Settings, trial: Trial) -> Artifacts:
    """Train, estimate log Z at points along the way, and show the machine best on validation."""
    data = trial.data
    whole = {"train": data.train, "validation": data.validation, "test": data.test}
    _, evaluated = binarise(data.name, "static", data.train, whole)
    evaluated = {split: x.to(trial.device) for split, x in evaluated.items()}
    train = evaluated["train"]

    rbm = RBM(train.shape[1], settings.hidden, trial.device)
    kept = learn(settings, trial, rbm, train, settings.epochs)
    small = train.shape[1] + settings.hidden <= MOST
    validation = []
    for epoch, vector in zip(kept.steps, kept.vectors, strict=True):
        rbm.flat.copy_(vector)
        validation.append(evaluate(settings, trial, rbm, epoch, evaluated))
        if small:
            compare(trial, rbm, epoch, train)
    best = int(np.argmax(validation))
    rbm.flat.copy_(kept.vectors[best])
    trial.choose(chosen_epoch=kept.steps[best])
    if settings.refit:
        both = torch.cat([train, evaluated["validation"]])
        rbm.flat.copy_(learn(settings, trial, rbm, both, kept.steps[best], "all").vectors[-1])
        found = anneal(settings, trial, rbm, "ais_all", both)
        effective, row = found.effective_chains, likelihood(rbm, evaluated["test"], found)
        trial.record("refit", epoch=kept.steps[best], effective_chains=effective, **row)
    arrays = {
        "filters": filters(rbm)[:FILTERS_SHOWN].reshape(-1, *data.shape),
        "from_data": chain(rbm, evaluated["test"][:CHAINS_SHOWN], trial, data.shape),
        "from_noise": chain(rbm, noise(train[:CHAINS_SHOWN], trial), trial, data.shape),
    }
    return Artifacts(trial.tables(), arrays, {"rbm": rbm})


def learn(
    settings: Settings, trial: Trial, rbm: RBM, x: Tensor, epochs: int, phase: str = "train"
) -> Snapshots:
    """Train on x (N, visible), binary; the machine at log-spaced epochs, averaged at the last."""
    rbm.initialise(settings.initial_std, trial.generator, x)
    rows, columns = trial.data.shape
    prior = WeightPrior(settings.decay, settings.lasso, settings.smoothness, (rows, columns))
    chains = settings.batch if settings.method == "pcd" else 0
    learner = ContrastiveDivergence(
        rbm,
        settings.k,
        settings.rate,
        trial.generator,
        settings.momentum,
        prior,
        chains,
        centred=settings.centred,
    )
    kept = Snapshots(rbm.flat, log_spaced(1, epochs, settings.evaluations))
    average = Average(rbm.flat)
    batches = Minibatches(x, settings.batch, trial.generator)
    told = set(log_spaced(1, epochs, TOLD))
    state = {"kept": kept, "average": average}
    for epoch, error in fit_rbm(trial, phase, learner, batches, epochs, **state):
        if epoch in told and phase == "train":
            trial.record("reconstruction", epoch=epoch, error=error)
        kept.keep(epoch, trial.seconds)
        if epoch > (1 - settings.averaged) * epochs:
            average.take()
    if settings.averaged:
        kept.vectors[-1] = average.vector
    return kept


def evaluate(
    settings: Settings, trial: Trial, rbm: RBM, epoch: int, evaluated: dict[str, Tensor]
) -> float:
    """Record log Z by AIS and with it the splits' mean log p(x); that of validation images."""
    found = anneal(settings, trial, rbm, f"ais_{epoch}", evaluated["train"])
    trial.record("partition", epoch=epoch, **found._asdict())
    means = {}
    for split, x in evaluated.items():
        row = likelihood(rbm, x, found)
        trial.record("likelihood", epoch=epoch, split=split, **row)
        means[split] = row["log_likelihood"]
    return means["validation"]


def anneal(
    settings: Settings, trial: Trial, rbm: RBM, phase: str, learned_from: Tensor
) -> LogPartition:
    """log Z by AIS, from a machine whose pixels are on as often as in the images learned from."""
    base = log_odds(learned_from)
    ais = AIS(
        rbm, schedule(*settings.ais_schedule), settings.ais_chains, trial.generator, base=base
    )
    for step in trial.steps(ais.steps, phase, ais=ais):
        ais.update(step)
    return ais.result()


def likelihood(rbm: RBM, x: Tensor, found: LogPartition) -> dict[str, float]:
    """The mean of log p(x), and its ends by the interval of log Z; the images are as they are."""
    minus_f = -torch.cat([rbm.free_energy(part) for part in x.split(10_000)]).mean().item()
    return {
        "log_likelihood": minus_f - found.log_partition,
        "low": minus_f - found.high,
        "high": minus_f - found.low,
    }


def compare(trial: Trial, rbm: RBM, epoch: int, x: Tensor) -> None:
    """Record the exact log Z and log-likelihood, and how far CD-k's expected gradient is off."""
    exact, log_partition = Enumerated(rbm), rbm.log_partition()
    log_likelihood = -rbm.free_energy(x).mean().item() - log_partition
    trial.record("exact", epoch=epoch, log_partition=log_partition, log_likelihood=log_likelihood)
    data = exact.of(x)
    gradient = exact.gradient(data)
    for k in KS:
        followed = exact.contrastive_divergence(data, k)
        cosine = torch.nn.functional.cosine_similarity(followed, gradient, 0).clamp(-1, 1)
        trial.record(
            "gradient",
            epoch=epoch,
            cd_steps=k,
            angle=torch.rad2deg(torch.arccos(cosine)).item(),
            bias=(followed - gradient).norm().item(),
            exact_norm=gradient.norm().item(),
        )


def filters(rbm: RBM) -> np.ndarray:
    """Each hidden unit's weights, grey at zero, black and white at their own extremes."""
    W = rbm.parameters["W"].t()
    return plotting.grey(0.5 + 0.5 * W / W.abs().amax(1, keepdim=True), (1, W.shape[1]))


def noise(like: Tensor, trial: Trial) -> Tensor:
    """Images whose pixels are on with a probability of one half."""
    return bernoulli(torch.full_like(like, 0.5), trial.generator)


def chain(rbm: RBM, v: Tensor, trial: Trial, shape: tuple[int, int]) -> np.ndarray:
    """Gibbs chains from v, a row each: the start, then p(v|h) after so many steps."""
    shown = [v]
    for done, steps in zip(STEPS_SHOWN, STEPS_SHOWN[1:], strict=False):
        v = gibbs(rbm, v, steps - done - 1, trial.generator)
        mean = rbm.visible_mean(rbm.sample_hidden(v, trial.generator))
        v = rbm.draw_visible(mean, trial.generator)
        shown.append(mean)
    return plotting.grey(torch.stack(shown, 1).flatten(0, 1), shape)


# --- metrics ---------------------------------------------------------------------------------


def summarise(artifacts: Artifacts) -> Iterator[Metric]:
    """Likelihoods of the epochs best on validation images, AIS's errors, and CD's."""
    tables = artifacts.tables
    chosen: dict[int, Any] = {}  # by seed: (validation, test, cell)
    refit = dict(_refit(tables["refit"])) if "refit" in tables else {}
    epochs: dict[str, int] = {}  # by cell: the one chosen
    partition = {repr(cell): rows.set_index("epoch") for cell, rows in by_cell(tables["partition"])}
    for cell, rows in by_cell(tables["likelihood"]):
        seed, name = cell["seed"], ending(cell)
        by_split = rows.pivot(index="epoch", columns="split", values="log_likelihood")
        best = by_split.loc[by_split["validation"].idxmax()]
        epochs[repr(cell)] = best.name
        for split in ("test", "train"):
            yield Metric(f"{split}_log_likelihood/{name}", seed, best[split])
        at_end = by_split.loc[by_split.index.max(), "test"]
        yield Metric(f"test_log_likelihood_at_end/{name}", seed, at_end)
        at_best = rows[(rows["epoch"] == best.name) & (rows["split"] == "test")]
        yield Metric(f"ais_interval/{name}", seed, (at_best["high"] - at_best["low"]).item())
        effective = partition[repr(cell)].loc[best.name, "effective_chains"]
        yield Metric(f"ais_effective_chains/{name}", seed, effective)
        if cell["variant"] != SMALL:
            chosen.setdefault(seed, []).append((best["validation"], best["test"], cell))
        if repr(cell) in refit:
            yield Metric(f"test_log_likelihood/{name}/refit", seed, refit[repr(cell)])
    for seed, found in chosen.items():
        _, test, cell = max(found, key=lambda of: of[0])
        yield Metric("test_log_likelihood/best", seed, refit.get(repr(cell), test))
        by_k = sorted((cell["k"], test) for _, test, cell in found if cell["method"] == "cd")
        tests = [test for _, test in by_k]
        if len(tests) > 1:
            yield Metric("rising_in_k", seed, float(tests == sorted(tests)))
    for cell, rows in by_cell(tables["reconstruction"]):
        error = rows["error"].iloc[-1]
        yield Metric(f"reconstruction_error/{ending(cell)}", cell["seed"], error)
    if "exact" not in tables:
        return
    for cell, rows in by_cell(tables["exact"]):
        by_epoch = rows.set_index("epoch")
        exact = by_epoch.loc[epochs[repr(cell)], "log_likelihood"]
        yield Metric(f"exact_log_likelihood/{ending(cell)}", cell["seed"], exact)
        by_ais = partition[repr(cell)]["log_partition"]
        error = (by_ais - by_epoch["log_partition"]).abs().max()
        yield Metric(f"ais_error/{ending(cell)}", cell["seed"], error)
    for cell, rows in by_cell(tables["gradient"]):
        for k, of_k in rows[rows["epoch"] == rows["epoch"].max()].groupby("cd_steps"):
            if k in (1, 3, 25):
                name = f"{ending(cell)}/k{k}"
                yield Metric(f"gradient_angle/{name}", cell["seed"], of_k["angle"].item())
                yield Metric(f"gradient_bias/{name}", cell["seed"], of_k["bias"].item())


def _refit(table: pd.DataFrame) -> Iterator[tuple[str, float]]:
    """By cell, test images' log-likelihood by the machine that learned validation images too."""
    for cell, rows in by_cell(table):
        yield repr(cell), rows["log_likelihood"].item()


def ending(cell: dict[str, Any]) -> str:
    """A cell in a metric's name: "cd1", "pcd", "cd25/small"."""
    name = f"{cell['method']}{cell['k'] if cell['method'] == 'cd' or cell['k'] > 1 else ''}"
    variant = "" if cell["variant"] == PAPER else f"/{cell['variant']}"
    return name + variant + own_axes(cell, AXES)


def title(cell: dict[str, Any]) -> str:
    """A cell in a figure: "CD-1", "PCD"."""
    persistent = cell["method"] == "pcd" and cell["k"] == 1
    name = "PCD" if persistent else f"{cell['method'].upper()}-{cell['k']}"
    variant = "" if cell["variant"] in (PAPER, SMALL) else f", {cell['variant']}"
    return name + variant + own_axes(cell, AXES, ", ")


# --- figures ---------------------------------------------------------------------------------


def draw(artifacts: Artifacts) -> dict[str, Figure]:
    """Learning curves; filters and chains of each machine; and the small one against the exact."""
    tables, figures = artifacts.tables, {}
    for suffix, small in (("", False), ("_small", True)):
        likelihood, reconstruction = (
            table[(table["variant"] == SMALL) == small]
            for table in (tables["likelihood"], tables["reconstruction"])
        )
        if len(likelihood):
            figures[f"learning{suffix}"] = learning_figure(likelihood, reconstruction)
    if "gradient" in tables:
        figures["gradient"] = gradient_figure(tables["gradient"])
    arrays: dict[str, dict[str, np.ndarray]] = {}
    for name, by_label in artifacts.arrays.items():
        for label, array in by_label.items():
            about: dict[str, Any] = read_label(label)
            if about["variant"] != SMALL:
                cell = about | {"k": int(about["k"])}
                arrays.setdefault(name, {}).setdefault(title(cell), array)
    if arrays:
        figures["filters"] = filters_figure(arrays["filters"])
        figures["chains"] = chains_figure(arrays["from_data"], arrays["from_noise"])
    return figures


def learning_figure(likelihood: pd.DataFrame, reconstruction: pd.DataFrame) -> Figure:
    """Test log-likelihood with AIS's 95 % interval, and reconstruction error, against epochs.

    Where a few chains carry all of AIS's weight, its interval has no end: a point is hollow there.
    """
    figure = plotting.panels(columns=2, width=9.0, height=3.7)
    left, right = figure.axes
    shown = [
        (left, likelihood[likelihood["split"] == "test"], "log_likelihood"),
        (right, reconstruction, "error"),
    ]
    spare = iter([plotting.PURPLE, plotting.SKY, plotting.BLACK])
    colors = dict(COLORS)
    for axes, table, value in shown:
        for cell, rows in by_cell(table, without=["seed"]):
            name = title(cell)
            if name not in colors:
                colors[name] = plotting.RED if name == "PCD" else next(spare, plotting.BLACK)
            plotting.seeds_line(axes, rows, "epoch", value, name, colors[name], "train")
            if "low" in rows:
                for _, of_seed in rows.groupby("seed"):
                    axes.fill_between(
                        of_seed["epoch"],
                        of_seed["low"].clip(lower=-1e4),
                        of_seed["high"],
                        color=colors[name],
                        alpha=0.2,
                        linewidth=0,
                    )
                endless = rows[np.isinf(rows["high"])]
                axes.plot(
                    endless["epoch"],
                    endless[value],
                    "o",
                    color=colors[name],
                    markerfacecolor="white",
                )
        axes.set(xlabel="epochs", xscale="log")
    best = likelihood["log_likelihood"].max()
    spread = best - likelihood["log_likelihood"].quantile(0.1)
    left.set_ylim(best - max(1.5 * spread, 1.0), best + 0.1 * max(spread, 1.0))
    left.set(ylabel="test log-likelihood (nats per image)", title="What is wanted")
    if np.isinf(likelihood["high"]).any():
        left.plot([], [], "ok", markerfacecolor="white", label="AIS unsure")
    right.set(ylabel="squared error, summed over pixels", title="One-step reconstruction error")
    plotting.legend_below(figure, columns=5)
    return figure


def gradient_figure(gradient: pd.DataFrame) -> Figure:
    """The angle between CD-k's expected gradient and the exact one, and its bias, against k."""
    figure = plotting.panels(columns=2, width=9.0, height=3.7)
    of_first = next(rows for _, rows in by_cell(gradient))
    epochs = sorted(of_first["epoch"].unique())
    stages = [epochs[0], epochs[len(epochs) // 2], epochs[-1]]
    for epoch, color in zip(stages, (plotting.SKY, plotting.BLUE, plotting.BLACK), strict=True):
        rows = of_first[of_first["epoch"] == epoch]
        for axes, value in zip(figure.axes, ("angle", "bias"), strict=True):
            axes.plot(rows["cd_steps"], rows[value], "o-", color=color, label=f"epoch {epoch}")
        norm = rows["exact_norm"].iloc[0]
        figure.axes[1].axhline(norm, color=color, linestyle=":", linewidth=1)
    left, right = figure.axes
    for axes in figure.axes:
        axes.set(xscale="log", xlabel="$k$, Gibbs steps of CD-$k$", xticks=KS)
        axes.set_xticklabels([str(k) for k in KS])
        axes.minorticks_off()
    left.set(ylabel="angle to the exact gradient (degrees)", ylim=(0, None))
    right.set(ylabel="norm of the bias", yscale="log", title="dotted: the exact gradient's norm")
    right.set_ylim(bottom=max(right.get_ylim()[0], 1e-8))  # below is rounding
    plotting.legend_below(figure, columns=3)
    return figure


def filters_figure(filters: dict[str, np.ndarray]) -> Figure:
    """The first hidden units' weights, a panel a machine."""
    figure = plotting.panels(columns=len(filters), width=2.2 * len(filters), height=2.5)
    for axes, (name, images) in zip(figure.axes, filters.items(), strict=True):
        columns = min(round(FILTERS_SHOWN**0.5), len(images))
        plotting.show_images(axes, images[: len(images) // columns * columns], columns)
        axes.set_title(name)
    return figure


def chains_figure(from_data: dict[str, np.ndarray], from_noise: dict[str, np.ndarray]) -> Figure:
    """Gibbs chains from test images and from noise, a line of panels a machine."""
    figure = plotting.panels(columns=2, rows=len(from_data), width=9.0, height=2.3)
    for i, name in enumerate(from_data):
        starts = {"test images": from_data[name], "noise": from_noise[name]}
        for axes, (start, images) in zip(figure.axes[2 * i :], starts.items(), strict=False):
            plotting.show_images(axes, images, columns=len(STEPS_SHOWN))
            axes.set_title(f"{name} from {start}")
    steps = ", ".join(map(str, STEPS_SHOWN))
    figure.supxlabel(f"left to right: after {steps} Gibbs steps", fontsize=10)
    return figure
