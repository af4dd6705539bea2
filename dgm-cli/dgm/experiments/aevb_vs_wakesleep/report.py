"""Figure 3 of Kingma & Welling (2014): likelihood against samples, and against seconds."""

import itertools
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from dgm.recipe.schema import Expectation
from dgm.report import plotting
from dgm.report.summary import Metric
from dgm.report.tables import Cell, Results, by_cell, metric_name

AXES = ["method", "train_size", "binarization"]
HEAD = 1 / 60  # of a run, before which methods are not compared: 1 of 60 million samples
NAMES = {"aevb": "AEVB", "wake_sleep": "Wake-sleep", "mcem": "Monte Carlo EM"}
COLORS = {"aevb": plotting.BLUE, "wake_sleep": plotting.ORANGE, "mcem": plotting.GREEN}
UNNORMALISED = "real-valued pixels as Bernoulli targets: an unnormalised likelihood"
BINARY = "binary pixels, evaluated on one fixed draw"
PAPER_RANGE = {1000: (-160.0, -100.0), 50000: (-160.0, -125.0)}  # nats, the figure's y axes


def summarise(results: Results) -> Iterator[Metric]:
    """Final likelihoods, the share of points at which AEVB leads, the two estimators' gap."""
    for cell, rows in results.rows("curves"):
        for split, of_split in rows.groupby("split", sort=False):
            final = of_split.loc[of_split["samples"].idxmax(), "log_likelihood"]
            stem = f"{split}_log_likelihood/{cell['method']}"
            yield Metric(named(stem, cell), cell["seed"], final)

    curves = results.tables["curves"]
    for cell, rows in by_cell(curves[curves["split"] == "train"], without=["method"]):
        by_method = rows.pivot(index="samples", columns="method", values="log_likelihood")
        if {"aevb", "wake_sleep"} <= set(by_method):
            lead = (by_method["aevb"] - by_method["wake_sleep"]).dropna()
            lead = lead[lead.index >= lead.index.max() * HEAD]
            lead_share = float((lead > 0).mean())
            yield Metric(named("aevb_above_wake_sleep", cell), cell["seed"], lead_share)

    gaps: dict[int, list[float]] = {}
    for cell, rows in results.rows("estimators"):
        ends = rows.pivot(index="split", columns="estimator", values="log_likelihood")
        gaps.setdefault(cell["seed"], []).extend((ends["hmc"] - ends["importance_sampling"]).abs())
    for seed, values in gaps.items():
        yield Metric("estimator_gap", seed, float(np.mean(values)))
        yield Metric("estimator_gap/worst", seed, max(values))


def named(stem: str, cell: Cell) -> str:
    """ "aevb_above_wake_sleep/n50000", "test_log_likelihood/mcem/n1000/binarized"."""
    size = f"n{cell['train_size']}" if "train_size" in cell else ""
    pixels = {"none": "", "dynamic": "binarized", "static": "static"}[cell["binarization"]]
    return metric_name(stem, size, pixels, cell=cell, axes=AXES)


def draw(results: Results, expect: Mapping[str, Expectation]) -> dict[str, Figure]:
    """The paper's figure, the same for binary images, and both against seconds.

    Each value of an axis that only a user's grid has gets figures of its own.
    """
    curves = with_seconds(results)
    curves = curves.assign(millions=curves["samples"] / 1e6)
    against = {
        "": ("millions", "training samples evaluated (millions)"),
        "_seconds": ("seconds", "seconds of training"),
    }
    figures = {}
    for cell, rows in by_cell(curves, without=["method", "train_size", "seed"]):
        name = named("figure3", cell).replace("/", "_")
        note = UNNORMALISED if cell["binarization"] == "none" else BINARY
        for kind, (x, label) in against.items():
            figures[name + kind] = likelihood_figure(rows, x, label, note)
    return figures


def with_seconds(results: Results) -> pd.DataFrame:
    """The curves with the wall-clock time of each point, from each trial's array."""
    trials = []
    for _, rows in results.rows("curves"):
        seconds = results.arrays["seconds"][rows["trial"].iloc[0]]
        point = rows["samples"].rank(method="dense").astype(int) - 1
        trials.append(rows.assign(seconds=seconds[point]))
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
