"""Hinton, Osindero & Teh (2006), sections 2 to 4: distance by depth, and what untying gains."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from dgm.experiments.infinite_dbn.settings import DEPTHS, SHOWN
from dgm.recipe.schema import Expectation
from dgm.report import plotting
from dgm.report.summary import Metric
from dgm.report.tables import Cell, Results, metric_name

AXES = ["data", "part", "hidden"]
NEAR = 1e-3  # the total variation whose depth is reported
MARKERS = "os^Dv"  # of the seeds, in turn
SLACK = 1e-9  # nats that rounding may cost a bound


def summarise(results: Results) -> Iterator[Metric]:
    """Total variation by depth, gains of untying, and how alike the samplers' energies are."""
    for cell, rows in results.rows("depths"):
        by_depth = rows.set_index("depth")["total_variation"]
        for depth in DEPTHS:
            if depth in by_depth:
                name = named(f"total_variation/depth{depth}", cell)
                yield Metric(name, cell["seed"], by_depth[depth])
        yield Metric(named("total_variation/deepest", cell), cell["seed"], by_depth.iloc[-1])
        near = by_depth.index[by_depth < NEAR]
        if len(near):
            name = named("depth_of_total_variation_0.001", cell)
            yield Metric(name, cell["seed"], near[0])
    for cell, rows in results.rows("bounds"):
        for stem, value in claims(rows):
            yield Metric(named(stem, cell), cell["seed"], value)
    for cell, rows in results.rows("energies"):
        energies = rows.set_index("sampler")["free_energy"]
        for sampler in energies.index.drop("RBM"):
            name = named(f"free_energy_gap/depth{sampler}", cell)
            yield Metric(name, cell["seed"], energies[sampler] - energies["RBM"])


def claims(bounds: pd.DataFrame) -> Iterator[tuple[str, float]]:
    """What one machine's bounds say of the net that untying its layers makes."""
    for layer, rows in bounds.groupby("layer"):
        if layer == 1:
            yield "log_likelihood/rbm", rows["bound"].iloc[0]
        else:
            for name in ("bound", "log_likelihood"):
                values = rows[name].to_numpy()
                yield f"{name}_gain/layer{layer}", values[-1] - values[0]
    falls = -np.diff(bounds["bound"].to_numpy())
    yield "bound_never_falls", float((falls <= SLACK).all())
    above = (bounds["log_likelihood"] - bounds["bound"]).min()
    yield "bound_below_log_likelihood", float(above >= -SLACK)


def named(stem: str, cell: Cell) -> str:
    """ "bound_gain/layer2": the two parts have no metric in common."""
    return metric_name(stem, cell=cell, axes=AXES)


def draw(results: Results, expect: Mapping[str, Expectation]) -> dict[str, Figure]:
    """Distance and bounds of the small machine; fantasies of the first large one."""
    tables, figures = results.tables, {}
    if "depths" in tables:
        figures["exact"] = exact_figure(tables["depths"], tables["bounds"])
    if "energies" in tables:
        (_, rows), (_, images) = next(results.rows("energies")), next(results.each("fantasies"))
        figures["fantasies"] = fantasies_figure(images, [str(name) for name in rows["sampler"]])
    return figures


def exact_figure(depths: pd.DataFrame, bounds: pd.DataFrame) -> Figure:
    """Total variation against depth; and what bound and log-likelihood gain while layers 2 and 3
    are learned. A colour and a marker for each seed."""
    figure = plotting.panels(columns=2, width=9.6, height=4.3)
    left, right = figure.axes
    for i, (seed, rows) in enumerate(depths.groupby("seed")):
        look: dict[str, Any] = {"color": plotting.TEN(i + 1), "marker": MARKERS[i % len(MARKERS)]}
        look |= {"markevery": 0.1, "markersize": 5}
        left.plot(rows["depth"], rows["total_variation"], label=f"seed {seed}", **look)
        of_seed = bounds[bounds["seed"] == seed]
        for name, style in (("bound", "-"), ("log_likelihood", "--")):
            gain = (of_seed[name] - of_seed["bound"].iloc[0]).to_numpy()
            right.plot(gain, style, **look)
    for label, style in (("bound (right)", "-"), ("log-likelihood (right)", "--")):
        right.plot([], [], style, color="grey", label=label)
    left.axhline(NEAR, color="grey", linestyle=":", linewidth=1.5, label=f"{NEAR:g} (left)")
    left.set(xscale="log", yscale="log", xlabel="layers of the directed net")
    left.set(ylabel="total variation to the RBM's p(v)", title="Tied: deeper is nearer")
    turn = (bounds["layer"] == 2).sum() / bounds["seed"].nunique()
    label = "layer 3 begins (right)"
    right.axvline(turn + 0.5, color="grey", linestyle="-.", linewidth=1.5, label=label)
    right.set(xlabel="iterations", ylabel="gain (nats per image)")
    right.set_title("Untied: layer 2 learns, then layer 3")
    plotting.legend_below(figure, columns=4)
    return figure


def fantasies_figure(images: np.ndarray, samplers: list[str]) -> Figure:
    """A line of images for each sampler."""
    lines = images.reshape(len(samplers), SHOWN, *images.shape[1:])
    figure = plotting.panels(columns=1, rows=len(samplers), width=7.0, height=0.72)
    for axes, name, line in zip(figure.axes, samplers, lines, strict=True):
        plotting.show_images(axes, line, columns=SHOWN)
        label = "RBM's chain" if name == "RBM" else f"{int(name):,} layer{'s' * (name != '1')}"
        axes.text(-0.02, 0.5, label, transform=axes.transAxes, ha="right", va="center")
    return figure
