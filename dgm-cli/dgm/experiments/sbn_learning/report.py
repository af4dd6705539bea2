"""Likelihoods of sigmoid belief nets by method and depth, and how the posterior's chain mixes."""

import math
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from dgm.experiments.sbn_learning.settings import EQUAL, PAPER, RECOGNISING, SHOWN
from dgm.recipe.schema import Expectation
from dgm.report import plotting
from dgm.report.reproduction import stderr_of_images
from dgm.report.summary import Metric
from dgm.report.tables import Cell, Results, metric_name, own_axes

AXES = ["data", "part", "variant", "method", "layers"]
RIVALS = ("wake_sleep", "rws", "greedy")  # which are to be above the Gibbs route
WHOLE = "bars"  # the data set whose test images are the distribution itself
DEEP = 3  # layers of the nets at which they are compared
TITLES = {
    "gibbs": "Gibbs, delta rule",
    "mean_field": "mean field",
    "wake_sleep": "wake-sleep",
    "rws": "reweighted wake-sleep",
    "nvil": "NVIL",
    "greedy": "greedy RBMs, undirected top",
}
LOOKS = {  # colour and marker of a method
    "gibbs": (plotting.RED, "o"),
    "mean_field": (plotting.PURPLE, "v"),
    "wake_sleep": (plotting.ORANGE, "s"),
    "rws": (plotting.BLUE, "D"),
    "nvil": (plotting.GREEN, "^"),
    "greedy": (plotting.BLACK, "X"),
}
DEPTH_LOOKS = ((plotting.SKY, "o"), (plotting.BLUE, "s"), (plotting.BLACK, "^"))


# --- metrics ---------------------------------------------------------------------------------


def summarise(results: Results) -> Iterator[Metric]:
    """Bounds, likelihoods by each estimator, the KL of small nets, and what mixes how fast."""
    for cell, rows in results.rows("curves"):
        best = rows["log_likelihood"].max()
        yield Metric(named("validation_log_likelihood", cell), cell["seed"], best)
    for cell, rows in results.rows("bounds"):
        (row,) = rows.to_dict("records")
        share = math.nan if is_whole(cell) else stderr_of_images(row)
        yield Metric(named("test_bound", cell), cell["seed"], row["elbo"], share)
    for cell, rows in results.rows("importance"):
        mean, share = over_images(rows)
        share = math.nan if is_whole(cell) else share
        yield Metric(named("test_log_likelihood", cell), cell["seed"], mean, share)
        effective = np.average(rows["mean_effective_samples"], weights=rows["images"])
        yield Metric(named("importance_effective_samples", cell), cell["seed"], effective)
    for cell, rows in results.rows("bias"):
        few, many = (over_images(rows[rows["by"] == by])[0] for by in ("few", "many"))
        yield Metric(named("importance_bias", cell), cell["seed"], few - many)
    for cell, rows in results.rows("exact"):
        (row,) = rows.to_dict("records")
        yield Metric(kl_name(cell), cell["seed"], row["kl_bits"])
    yield from of_annealed(results)
    for cell, rows in results.rows("annealed_validation"):
        name = named("validation_annealed_log_likelihood", cell)
        yield Metric(name, cell["seed"], rows["log_likelihood"].item())
    for cell, rows in results.rows("mixing_learned"):
        name = named("autocorrelation_time", cell)
        yield Metric(name, cell["seed"], rows["tau"].max())
    for cell, rows in results.rows("mixing"):
        yield from of_mixing(cell, rows)
    for cell, rows in results.rows("causes"):
        one_each = rows[rows["first"] != rows["second"]]
        name = metric_name("cause_error", "exact", cell=cell, axes=AXES)
        yield Metric(name, cell["seed"], 0.5 - one_each["exact"].min())
        apart = (rows["exact"] - rows["sampled"]).abs().sum() / 2
        name = metric_name("cause_error", "chain", cell=cell, axes=AXES)
        yield Metric(name, cell["seed"], apart)


def is_whole(cell: Cell) -> bool:
    """Whether the images are the distribution itself, whose mean has no error of a sample."""
    return bool(cell["data"] == WHOLE)


def over_images(rows: pd.DataFrame) -> tuple[float, float]:
    """The mean over all blocks' images, and its standard error over images."""
    n = rows["images"].sum()
    mean = float(np.average(rows["log_likelihood"], weights=rows["images"]))
    squares = float(np.average(rows["squares"], weights=rows["images"]))
    return mean, math.sqrt(max(squares - mean**2, 0.0) / n)


def of_annealed(results: Results) -> Iterator[Metric]:
    """Likelihoods by annealing, their half intervals, and who is above the Gibbs route."""
    exact = {tuple(cell.values()): rows for cell, rows in results.rows("exact")}
    deep: dict[str, tuple[Cell, dict[str, tuple[float, float]]]] = {}
    for cell, rows in results.rows("annealed"):
        (row,) = rows.to_dict("records")
        seed, half = cell["seed"], 1.96 * row["stderr"]
        yield Metric(named("annealed_log_likelihood", cell), seed, row["log_likelihood"])
        yield Metric(named("annealed_half_interval", cell), seed, half)
        gap = row.get("by_importance", math.nan) - row["log_likelihood"]
        if math.isfinite(gap):
            yield Metric(named("annealing_gap", cell), seed, gap)
        if tuple(cell.values()) in exact:
            truth = exact[tuple(cell.values())]["annealed_log_likelihood"].item()
            error = abs(row["log_likelihood"] - truth)
            yield Metric(named("annealing_error", cell), seed, error)
        if cell["variant"] == EQUAL and cell["layers"] == DEEP:
            others = {name: value for name, value in cell.items() if name != "method"}
            by_method = deep.setdefault(str(others), (cell, {}))[1]
            by_method[cell["method"]] = row["log_likelihood"], half
    for cell, by_method in deep.values():
        if {"gibbs", *RIVALS} <= by_method.keys():
            value, half = by_method["gibbs"]
            behind = all(
                mean - own_half > value + half
                for mean, own_half in (by_method[rival] for rival in RIVALS)
            )
            name = metric_name("gibbs_falls_behind", cell=cell, axes=AXES)
            yield Metric(name, cell["seed"], float(behind))


def of_mixing(cell: Cell, rows: pd.DataFrame) -> Iterator[Metric]:
    """The autocorrelation time of random nets by depth at the largest scale, and whether it rises.

    A net's is that of its slowest layer; of several nets it is the geometric mean.
    """
    times = time_of_nets(rows)
    for scale in times.columns:
        for depth, tau in times[scale].items():
            stem = f"autocorrelation_time/scale{scale:g}/layers{depth}"
            name = metric_name(stem, cell=cell, axes=AXES)
            yield Metric(name, cell["seed"], tau)
    largest = times[times.columns.max()].to_numpy()
    if len(largest) > 1 and np.isfinite(largest).all():
        name = metric_name("autocorrelation_rises", cell=cell, axes=AXES)
        yield Metric(name, cell["seed"], float((np.diff(largest) > 0).all()))


def time_of_nets(rows: pd.DataFrame) -> pd.DataFrame:
    """By depth (rows) and scale (columns): of the slowest layer, the geometric mean over nets."""
    slowest = rows.groupby(["depth", "scale", "net"])["tau"].max()
    return np.exp(np.log(slowest).groupby(["depth", "scale"]).mean()).unstack("scale")


def kl_name(cell: Cell) -> str:
    """ "bars_kl/wake_sleep": of the one small net on each data set."""
    return metric_name(f"{cell['data']}_kl", cell["method"], depth_of(cell), cell=cell, axes=AXES)


def named(stem: str, cell: Cell) -> str:
    """ "test_bound/nvil", "annealed_log_likelihood/gibbs/equal/layers3"."""
    variant = "" if cell["variant"] == PAPER else cell["variant"]
    return metric_name(stem, cell["method"], variant, depth_of(cell), cell=cell, axes=AXES)


def depth_of(cell: Cell) -> str:
    return f"layers{cell['layers']}" if cell["variant"] == EQUAL else ""


# --- figures ---------------------------------------------------------------------------------


def draw(results: Results, expect: Mapping[str, Expectation]) -> dict[str, Figure]:
    """Likelihood by depth, mixing, learning curves and samples; where there is something."""
    figures: dict[str, Figure] = {}
    annealed = results.tables.get("annealed", pd.DataFrame({"variant": []}))
    equal = annealed[annealed["variant"] == EQUAL]
    if len(equal):
        figures["depth"] = depth_figure(equal)
    if "mixing" in results.tables:
        tables = (of_first(results.tables[name]) for name in ("mixing", "causes"))
        figures["mixing"] = mixing_figure(*tables)
    if "curves" in results.tables:
        figures["learning"] = learning_figure(results.tables["curves"])
    samples = samples_of(results)
    if samples:
        figures["samples"] = samples_figure(samples)
    return figures


def of_first(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the first cell, of all its seeds."""
    cell = [name for name in axes_of(table) if name != "seed"]
    return next((rows for _, rows in table.groupby(cell, sort=False, dropna=False)), table)


def lines_of(
    table: pd.DataFrame, across: str = ""
) -> Iterator[tuple[str, tuple[str, str], pd.DataFrame]]:
    """The label, colour and marker, and rows of each method: of each of its cells, where a user's
    grid has several beside those `across` the figure."""
    others = [name for name in axes_of(table) if name not in ("method", "seed", across)]
    own = [name for name in others if table[name].nunique(dropna=False) > 1]
    lines = table.groupby(["method", *own], sort=False, dropna=False)
    for number, ((method, *values), rows) in enumerate(lines):
        ending = "".join(f", {name}={value}" for name, value in zip(own, values, strict=True))
        if method == "nvil" and "epoch" in table:
            ending = " (bound)" + ending
        looks = [*LOOKS.values()]
        color, marker = LOOKS[method]
        if own:
            color = looks[number % len(looks)][0]
            marker = looks[(number + number // len(looks)) % len(looks)][1]
        yield TITLES[method] + ending, (color, marker), rows


def axes_of(table: pd.DataFrame) -> list[str]:
    """The columns of a table that name a trial's cell, the seed among them."""
    head = table.columns[: table.columns.get_loc("seed") + 1]
    return [name for name in head if name != "trial"]


def depth_figure(annealed: pd.DataFrame) -> Figure:
    """The likelihood of each method against the number of layers, with annealing's interval."""
    figure = plotting.panels(columns=1, width=6.4, height=4.4)
    (axes,) = figure.axes
    lines = list(lines_of(annealed, across="layers"))
    shift = np.linspace(-0.06, 0.06, len(lines))
    for (label, (color, marker), rows), by in zip(lines, shift, strict=True):
        of_depth = rows.groupby("layers")
        mean, half = of_depth["log_likelihood"].mean(), 1.96 * of_depth["stderr"].mean()
        axes.errorbar(
            mean.index + by,
            mean,
            half,
            color=color,
            marker=marker,
            label=label,
            capsize=3,
        )
    axes.set(xlabel="hidden layers", ylabel="test log-likelihood (nats per image)")
    layers = sorted(annealed["layers"].unique())
    axes.set(xticks=layers, xlim=(layers[0] - 0.3, layers[-1] + 0.3))
    plotting.legend_below(figure, columns=2)
    return figure


def mixing_figure(mixing: pd.DataFrame, causes: pd.DataFrame) -> Figure:
    """Autocorrelation times of random nets against the scale of their weights, and two causes."""
    figure = plotting.panels(columns=2, width=9.6, height=4.1)
    left, right = figure.axes
    times = time_of_nets(
        mixing.assign(net=mixing["seed"].astype(str) + "/" + mixing["net"].astype(str))
    )
    for (depth, of_depth), (color, marker) in zip(times.iterrows(), DEPTH_LOOKS * 9, strict=False):
        label = f"{depth} hidden layer{'s' if depth != 1 else ''}"
        of_depth = of_depth[np.isfinite(of_depth)]
        left.plot(of_depth.index, of_depth, marker=marker, color=color, label=label)
    left.set(xscale="log", yscale="log", xlabel="scale of the weights")
    left.set(ylabel="autocorrelation time (sweeps)", title="The posterior's chain in random nets")
    left.set_xticks(times.columns, [f"{scale:g}" for scale in times.columns])
    left.minorticks_off()
    left.legend(frameon=False)
    first = causes[causes["seed"] == causes["seed"].iloc[0]]
    across = np.arange(len(first))
    names = {(0, 0): "neither", (1, 0): "truck", (0, 1): "earthquake", (1, 1): "both"}
    right.bar(across - 0.2, first["exact"], 0.4, color=plotting.BLACK, label="exact")
    right.bar(across + 0.2, first["sampled"], 0.4, color=plotting.ORANGE, label="one Gibbs chain")
    pairs = zip(first["first"], first["second"], strict=True)
    right.set_xticks(across, [names[pair] for pair in pairs])
    right.set(ylabel="probability", title="What made the house jump?")
    right.legend(frameon=False)
    return figure


def learning_figure(curves: pd.DataFrame) -> Figure:
    """Validation likelihood by recognised samples (of NVIL the bound) against epochs."""
    figure = plotting.panels(columns=1, width=6.4, height=4.2)
    (axes,) = figure.axes
    for label, (color, marker), rows in lines_of(curves):
        plotting.seeds_line(axes, rows, "epoch", "log_likelihood", label, color, "train", marker)
    axes.set(xlabel="epochs", ylabel="validation log-likelihood (nats per image)")
    best = curves["log_likelihood"].max()
    low = curves["log_likelihood"].quantile(0.1)
    axes.set_ylim(best - max(1.5 * (best - low), 1.0), best + 1)
    plotting.legend_below(figure, columns=2)
    return figure


def samples_of(results: Results) -> dict[str, np.ndarray]:
    """Samples of the first seed of each method's net, those of equal computation left out where
    the same method has another one."""
    found: dict[str, np.ndarray] = {}
    for cell, images in results.each("samples"):
        if cell["variant"] == PAPER or (cell["variant"] == EQUAL and cell["layers"] == DEEP):
            title = TITLES[cell["method"]] + own_axes(cell, AXES, ", ")
            if cell["variant"] == PAPER or cell["method"] not in RECOGNISING:
                found.setdefault(title, images)
    return found


def samples_figure(samples: dict[str, np.ndarray]) -> Figure:
    figure = plotting.rows_of(len(samples), columns=3, width=3.0, height=3.2)
    for axes, (title, images) in zip(figure.axes, samples.items(), strict=True):
        plotting.show_images(axes, images, columns=round(SHOWN**0.5))
        axes.set_title(title, fontsize=10)
    return figure
