"""An RBM is an infinitely deep sigmoid belief net with tied weights; untying the layers helps.

Hinton, Osindero & Teh (2006), sections 2 to 4. A directed net whose layers take turns to be as wide
as v and as h, with the weights W^T, W, W^T ... from the data up and independent units at its top,
generates as an RBM's Gibbs chain does from that top: the deeper, the nearer to the RBM. A small
machine shows both facts exactly (`dgm.inference.enumeration`), a large one its fantasies.
"""

from collections.abc import Iterator
from typing import Literal

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from pydantic import Field
from torch import Tensor

from dgm.data.batches import Minibatches
from dgm.data.binarise import binarise
from dgm.errors import BadInput
from dgm.fast.draws import bernoulli
from dgm.inference.enumeration import MOST, Enumerated, fit_exactly, log_bernoulli
from dgm.learning.contrastive_divergence import ContrastiveDivergence, gibbs
from dgm.models.rbm import RBM
from dgm.protocols.fit_rbm import fit_rbm
from dgm.recipe.schema import TrialSettings
from dgm.report import plotting
from dgm.report.summary import Metric
from dgm.report.tables import Artifacts, by_cell, own_axes
from dgm.trial.loop import Trial

REVISION = 2
AXES = ["data", "part", "hidden"]
DEPTHS = [1, 3, 11, 101, 1001, 10_001]  # layers of directed weights that summary and figure show
NEAR = 1e-3  # the total variation whose depth is reported
SHOWN = 10  # fantasies a line
SLACK = 1e-9  # nats that rounding may cost a bound


class Settings(TrialSettings):
    """A small machine that is enumerated, or a large one that fantasises."""

    part: Literal["exact", "fantasies"] = Field("exact", description="what is shown")
    hidden: int = Field(6, gt=0, description="hidden units of the RBM")
    initial_std: float = Field(0.1, gt=0, description="of the weights")
    iterations: int = Field(16, gt=0, description="exact: of L-BFGS, for each layer")
    deepest: int = Field(20_001, gt=1, description="layers of the deepest net; odd")
    epochs: int = Field(20, gt=0, description="fantasies: passes over the training images by PCD")
    batch: int = Field(100, gt=0, description="fantasies: images a minibatch, and chains")
    rate: float = Field(0.05, gt=0, description="fantasies: learning rate, falling to 0")
    samples: int = Field(500, ge=SHOWN, description="fantasies: of either sampler")


def run_trial(settings: Settings, trial: Trial) -> Artifacts:
    """Either part; they share the claim and nothing else."""
    data = trial.data
    _, whole = binarise(data.name, "static", data.train, {"train": data.train})
    train = whole["train"].to(trial.device)
    rbm = RBM(train.shape[1], settings.hidden, trial.device)
    if settings.part == "fantasies":
        rbm.initialise(settings.initial_std, trial.generator, train)
        return fantasies(settings, trial, rbm, train)
    rbm.initialise(settings.initial_std, trial.generator)
    if train.shape[1] + settings.hidden > MOST:
        raise BadInput(f"{data.name}, hidden {settings.hidden}: {MOST} units can be enumerated")
    return exact(settings, trial, rbm, train)


# --- exactly, on a small machine ---------------------------------------------------------------


def exact(settings: Settings, trial: Trial, rbm: RBM, x: Tensor) -> Artifacts:
    """Train by the exact gradient, truncate at every depth, then untie two layers in turn."""
    data = Enumerated(rbm).of(x)
    fit_exactly(rbm, data, settings.iterations)
    of_rbm = Enumerated(rbm)
    for depth, p_v in enumerate(truncated(rbm, of_rbm, settings.deepest)):
        distance = 0.5 * (p_v - of_rbm.log_p_v.exp()).abs().sum().item()
        trial.record("depths", depth=2 * depth + 1, total_variation=distance)
        if distance < NEAR / 10:
            break

    bound = (data @ of_rbm.log_p_v).item()
    trial.record("bounds", layer=1, iteration=0, bound=bound, log_likelihood=bound)
    layers, below = [of_rbm], rbm
    aggregated = data  # the distribution of the layer that the new machine is to model
    for layer in (2, 3):
        aggregated = aggregated @ layers[-1].up
        above = transposed(below)
        path = fit_exactly(above, aggregated, settings.iterations)
        before, first = bound, None
        for iteration, parameters in enumerate(path):
            above.flat.copy_(parameters)
            machine = Enumerated(above)
            objective = (aggregated @ machine.log_p_v).item()
            first = objective if first is None else first
            # Of the bound, all but the mean log p of what the new machine models stays as it was.
            bound = before + objective - first
            exactly = log_likelihood(data, [*layers, machine])
            about = {"layer": layer, "iteration": iteration}
            trial.record("bounds", **about, bound=bound, log_likelihood=exactly)
        layers.append(Enumerated(above))
        below = above
    return Artifacts(trial.tables(), models={"rbm": rbm})


def truncated(rbm: RBM, exact: Enumerated, deepest: int) -> Iterator[Tensor]:
    """p(v) of the directed net with 1, 3, 5 ... layers of weights, its top h_j ~ sigmoid(b_j)."""
    p_h = log_bernoulli(rbm.parameters["b"].double().cpu()[None], exact.h)[0].exp()
    step = exact.up @ exact.down
    p_v = p_h @ exact.down
    for _ in range(0, deepest, 2):
        yield p_v
        p_v = p_v @ step


def transposed(rbm: RBM) -> RBM:
    """The machine that has h for its visible units and the same weights: p(h) is the same."""
    p = rbm.parameters
    turned = RBM(rbm.config["hidden"], rbm.config["visible"], rbm.flat.device)
    turned.parameters["W"].copy_(p["W"].t())
    turned.parameters["a"].copy_(p["b"])
    turned.parameters["b"].copy_(p["a"])
    return turned


def log_likelihood(data: Tensor, layers: list[Enumerated]) -> float:
    """sum_v data(v) log p(v) of a deep belief net: directed layers, and the last one undirected."""
    p = layers[-1].log_p_v.exp()
    for layer in reversed(layers[:-1]):
        p = p @ layer.down
    return (data @ p.log()).item()


# --- fantasies of a large machine ----------------------------------------------------------------


def fantasies(settings: Settings, trial: Trial, rbm: RBM, train: Tensor) -> Artifacts:
    """Train by PCD; images of directed nets of several depths beside those of the RBM."""
    learner = ContrastiveDivergence(rbm, 1, settings.rate, trial.generator, chains=settings.batch)
    batches = Minibatches(train, settings.batch, trial.generator)
    for epoch, error in fit_rbm(trial, "train", learner, batches, settings.epochs):
        trial.record("reconstruction", epoch=epoch, error=error)

    generator, n = trial.generator, settings.samples
    shown = {}
    top = rbm.parameters["b"].sigmoid().expand(n, -1)
    v = rbm.sample_visible(bernoulli(top, generator), generator)
    done = 1
    for depth in [depth for depth in DEPTHS if depth <= settings.deepest]:
        v = gibbs(rbm, v, (depth - done) // 2, generator)
        done = depth
        shown[f"{depth}"] = v
    start = train[torch.randperm(len(train), generator=generator, device=train.device)[:n]]
    shown["RBM"] = gibbs(rbm, start, settings.deepest // 2, generator)
    for name, images in shown.items():
        energy = rbm.free_energy(images)
        stderr = energy.std().item() / n**0.5
        trial.record("energies", sampler=name, free_energy=energy.mean().item(), stderr=stderr)
    images = torch.cat([images[:SHOWN] for images in shown.values()])
    arrays = {"fantasies": plotting.grey(images, trial.data.shape)}
    return Artifacts(trial.tables(), arrays, {"rbm": rbm})


# --- metrics and figures -------------------------------------------------------------------------


def summarise(artifacts: Artifacts) -> Iterator[Metric]:
    """Total variation by depth, gains of untying, and how alike the samplers' energies are."""
    tables = artifacts.tables
    for cell, rows in by_cell(tables.get("depths", pd.DataFrame(columns=["seed"]))):
        own, by_depth = own_axes(cell, AXES), rows.set_index("depth")["total_variation"]
        for depth in DEPTHS:
            if depth in by_depth:
                yield Metric(f"total_variation/depth{depth}{own}", cell["seed"], by_depth[depth])
        yield Metric(f"total_variation/deepest{own}", cell["seed"], by_depth.iloc[-1])
        near = by_depth.index[by_depth < NEAR]
        if len(near):
            yield Metric(f"depth_of_total_variation_0.001{own}", cell["seed"], near[0])
    for cell, rows in by_cell(tables.get("bounds", pd.DataFrame(columns=["seed"]))):
        own, seed = own_axes(cell, AXES), cell["seed"]
        for layer, of_layer in rows.groupby("layer"):
            for name in ("bound", "log_likelihood"):
                values = of_layer[name].to_numpy()
                if layer == 1:
                    if name == "bound":
                        yield Metric(f"log_likelihood/rbm{own}", seed, values[0])
                else:
                    yield Metric(f"{name}_gain/layer{layer}{own}", seed, values[-1] - values[0])
        falls = -np.diff(rows["bound"].to_numpy())
        yield Metric(f"bound_never_falls{own}", seed, float((falls <= SLACK).all()))
        above = (rows["log_likelihood"] - rows["bound"]).min()
        yield Metric(f"bound_below_log_likelihood{own}", seed, float(above >= -SLACK))
    for cell, rows in by_cell(tables.get("energies", pd.DataFrame(columns=["seed"]))):
        energies = rows.set_index("sampler")["free_energy"]
        for sampler in energies.index.drop("RBM"):
            gap = energies[sampler] - energies["RBM"]
            name = f"free_energy_gap/depth{sampler}{own_axes(cell, AXES)}"
            yield Metric(name, cell["seed"], gap)


def draw(artifacts: Artifacts) -> dict[str, Figure]:
    """Distance and bounds of the small machine; fantasies of the first large one."""
    tables, figures = artifacts.tables, {}
    if "depths" in tables:
        figures["exact"] = exact_figure(tables["depths"], tables["bounds"])
    if "energies" in tables:
        _, rows = next(by_cell(tables["energies"]))
        first = next(iter(artifacts.arrays["fantasies"].values()))
        figures["fantasies"] = fantasies_figure(first, [str(name) for name in rows["sampler"]])
    return figures


def exact_figure(depths: pd.DataFrame, bounds: pd.DataFrame) -> Figure:
    """Total variation against depth; what bound and log-likelihood gain while layers 2 and 3 are
    learned. A colour for each seed."""
    figure = plotting.panels(columns=2, width=9.0, height=3.9)
    left, right = figure.axes
    for i, (seed, rows) in enumerate(depths.groupby("seed")):
        color = plotting.TEN(i + 1)
        left.plot(rows["depth"], rows["total_variation"], color=color)
        of_seed = bounds[bounds["seed"] == seed]
        for name, style in (("log_likelihood", "--"), ("bound", "-")):
            gain = (of_seed[name] - of_seed["bound"].iloc[0]).to_numpy()
            label = name.replace("_", "-") if i == 0 else None
            right.plot(gain, style, color=color, label=label)
    left.axhline(NEAR, color=plotting.RED, linestyle=":", linewidth=1)
    left.set(xscale="log", yscale="log", xlabel="layers of the directed net")
    left.set(ylabel="total variation to the RBM's p(v)", title="Tied: deeper is nearer")
    turn = (bounds["layer"] == 2).sum() / bounds["seed"].nunique()
    right.axvline(turn + 0.5, color=plotting.RED, linestyle=":", linewidth=1)
    right.set(xlabel="iterations: layer 2, then layer 3", ylabel="gain, nats per image")
    right.set_title("Untied: the bound never falls")
    right.legend(loc="upper left")
    return figure


def fantasies_figure(images: np.ndarray, samplers: list[str]) -> Figure:
    """A line of images for each sampler."""
    lines = images.reshape(len(samplers), SHOWN, *images.shape[1:])
    figure = plotting.panels(columns=1, rows=len(samplers), width=7.0, height=0.72)
    for axes, name, line in zip(figure.axes, samplers, lines, strict=True):
        plotting.show_images(axes, line, columns=SHOWN)
        said = "RBM's chain" if name == "RBM" else f"{int(name):,} layer{'s' * (name != '1')}"
        axes.text(-0.02, 0.5, said, transform=axes.transAxes, ha="right", va="center")
    return figure
