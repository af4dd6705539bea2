"""The variational lower bound during learning by AEVB and wake-sleep, per latent dimension.

Kingma & Welling (2014), Figure 2. Equations: `dgm.learning.aevb`, `dgm.learning.wake_sleep`;
densities: `dgm.models.vae`; the choice of step and checkpoint: `dgm.protocols.fit_vae`.
"""

from collections.abc import Iterator
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from dgm.data import title
from dgm.learning.aevb import active_latents
from dgm.protocols.fit_vae import VAESettings, fit, group, images
from dgm.report import plotting
from dgm.report.summary import Metric
from dgm.report.tables import Artifacts, by_cell, own_axes
from dgm.trial.loop import Trial

REVISION = 1
NAMES = {"aevb": "AEVB", "wake_sleep": "Wake-sleep"}
COLORS = {"aevb": plotting.BLUE, "wake_sleep": plotting.ORANGE}
AXES = ["data", "decoder", "binarization", "method", "latent_dim"]
SUPERFLUOUS = {"mnist": (20, 200), "digits": (10, 40)}  # dimensions that suffice, and too many
COMPARED = ["method", "latent_dim"]  # within a figure
NOTES = {
    ("bernoulli", "none"): "real-valued pixels as Bernoulli targets: an unnormalised likelihood",
    ("bernoulli", "static"): "binary pixels, one fixed draw",
    ("bernoulli", "dynamic"): "binary pixels, drawn at each visit, evaluated on one fixed draw",
    ("gaussian", "none"): "Gaussian pixels",
}
PAPER_RANGE = {"mnist": (-150.0, -90.0), "frey_faces": (0.0, 1600.0)}  # nats, the y axes


class Settings(VAESettings):
    """The paper's, Section 5: Figure 2."""


def run_trial(settings: Settings, trial: Trial) -> Artifacts:
    """Train, recording the figure's curves on the way, and count the latents that are active."""
    train, evaluated = images(settings, trial)
    model = fit(settings, trial, train, evaluated)
    trial.record("latents", active=active_latents(model, evaluated["test"]))
    return Artifacts(trial.tables(), models={"vae": model})


def summarise(artifacts: Artifacts) -> Iterator[Metric]:
    """Bounds, active latents, the share of dimensions AEVB wins, what the most cost and overfit."""
    tables = artifacts.tables
    for cell, rows in by_cell(tables["bounds"]):
        by_split = rows.set_index("split")["elbo"]
        for split in ("test", "train"):
            yield Metric(f"{split}_elbo{ending(cell)}", cell["seed"], by_split[split])
    # Results of trials from before they were counted have no such table.
    for cell, rows in by_cell(tables["latents"]) if "latents" in tables else []:
        yield Metric(f"active_latents{ending(cell)}", cell["seed"], rows["active"].item())

    curves = by_cell(tables["curves"])
    at_end = pd.concat([rows[rows["samples"] == rows["samples"].max()] for _, rows in curves])
    for name, table in (("", tables["bounds"]), ("_at_end", at_end)):
        for cell, rows in by_cell(table, without=COMPARED):
            for claim, value in claims(rows, *SUPERFLUOUS.get(cell["data"], (0, 0))):
                yield Metric(f"{claim}{name}{ending(cell)}", cell["seed"], value)


def claims(bounds: pd.DataFrame, enough: int, too_many: int) -> Iterator[tuple[str, float]]:
    """What the paper says of the bounds of one kind of pixels, where all it takes is measured."""
    test = bounds[bounds["split"] == "test"]
    by_method = test.pivot(index="latent_dim", columns="method", values="elbo")
    if set(NAMES) <= set(by_method) and not by_method.isna().any(axis=None):
        yield "aevb_above_wake_sleep", float((by_method["aevb"] > by_method["wake_sleep"]).mean())
    aevb = bounds[bounds["method"] == "aevb"]
    by_split = aevb.pivot(index="latent_dim", columns="split", values="elbo")
    if {enough, too_many} <= set(by_split.index):
        gained = by_split.loc[too_many] - by_split.loc[enough]
        yield "superfluous_latents_cost", gained["test"]
        yield "superfluous_latents_overfitting", gained["train"] - gained["test"]


def ending(cell: dict[str, Any]) -> str:
    """A cell in a metric's name: "/aevb/latent3", "/aevb/latent3/unnormalised", "/frey/latent2".

    The paper's method is not named where the data are not MNIST's.
    """
    parts = group(cell["data"], cell["decoder"])
    if "method" in cell and not (parts and cell["method"] == "aevb"):
        parts += f"/{cell['method']}"
    if "latent_dim" in cell:
        parts += f"/latent{cell['latent_dim']}"
    if cell["decoder"] == "bernoulli":
        parts += {"none": "/unnormalised", "static": "", "dynamic": "/dynamic"}[
            cell["binarization"]
        ]
    return parts + own_axes(cell, AXES)


def draw(artifacts: Artifacts) -> dict[str, Figure]:
    """A figure for each kind of pixels, a panel for each latent dimension."""
    figures = {}
    for cell, rows in by_cell(artifacts.tables["curves"], without=[*COMPARED, "seed"]):
        own = own_axes(cell, AXES, ", ")
        note = f"{title(cell['data'])}: {NOTES[cell['decoder'], cell['binarization']]}{own}"
        name = "figure2" + ending(cell).replace("/", "_")
        figures[name] = bound_figure(rows, note, PAPER_RANGE.get(cell["data"]))
    return figures


def bound_figure(curves: pd.DataFrame, note: str, paper: tuple[float, float] | None) -> Figure:
    """One panel a latent dimension: train solid, test dashed, a colour for each method."""
    dimensions = sorted(curves["latent_dim"].unique())
    width = max(2.1 * len(dimensions) + 0.9, 6.5)
    figure = plotting.panels(columns=len(dimensions), width=width, height=3.6)
    shown = curves[curves["samples"] == curves["samples"].max()]["elbo"]
    low, high = paper or (shown.min() - 0.5 * shown.std() - 5, shown.max() + 2)
    for axes, dimension in zip(figure.axes, dimensions, strict=True):
        panel = curves[curves["latent_dim"] == dimension]
        for method in NAMES:
            for split in ("train", "test"):
                rows = panel[(panel["method"] == method) & (panel["split"] == split)]
                if len(rows):
                    label = f"{NAMES[method]}, {split}"
                    plotting.seeds_line(axes, rows, "samples", "elbo", label, COLORS[method], split)
        axes.set_xscale("log")
        axes.set_xlim(panel["samples"].min(), panel["samples"].max())
        axes.set_ylim(min(low, shown.min() - 3), max(high, shown.max() + 2))
        axes.set(title=f"$N_z$ = {dimension}", xlabel="samples evaluated")
        if dimension != dimensions[0]:
            axes.tick_params(labelleft=False)
    figure.axes[0].set_ylabel("lower bound (nats per image)")
    plotting.legend_below(figure, columns=2 if width < 9 else 4)
    figure.suptitle(note, fontsize=9)
    return figure
