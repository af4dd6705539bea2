"""Figure 8 and section 7 of Hinton, Osindero & Teh (2006): generated and recognised digits."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from dgm.experiments.dbn_samples.settings import A_LINE, FRAMES
from dgm.recipe.schema import Expectation
from dgm.report import plotting
from dgm.report.summary import Metric
from dgm.report.tables import Cell, Results, metric_name

AXES = ["data"]


def summarise(results: Results) -> Iterator[Metric]:
    """The share of samples in which the judge sees the clamped label, and the net's errors."""
    for cell, rows in results.rows("judged"):
        worst = rows.groupby("label")["agree"].mean().min()
        name = named("clamped_label_agreement", cell)
        yield Metric(name, cell["seed"], rows["agree"].mean())
        name = named("clamped_label_agreement/worst_label", cell)
        yield Metric(name, cell["seed"], worst)
    for cell, rows in results.rows("recognised"):
        error = 100 * rows["errors"].item() / rows["images"].item()
        yield Metric(named("test_error", cell), cell["seed"], error)
        for stem in ("least_distance_shown", "mean_distance"):
            yield Metric(named(stem, cell), cell["seed"], rows[stem].item())


def named(stem: str, cell: Cell) -> str:
    """The stem alone: only a user's own axes tell cells apart."""
    return metric_name(stem, cell=cell, axes=AXES)


def draw(results: Results, expect: Mapping[str, Expectation]) -> dict[str, Figure | plotting.Film]:
    """Of the first seed: Figure 8, the film as a strip and as a GIF, and the recognised digits."""
    first = {name: next(iter(arrays.values())) for name, arrays in results.arrays.items()}
    _, recognised = next(results.rows("recognised"))
    return {
        "figure8": clamped_figure(first["clamped"]),
        "film_strip": plotting.picture(first["film"], FRAMES // 2),
        "film": plotting.Film(first["film"]),
        "unusual": unusual_figure(first["unusual"], recognised.iloc[0]),
        "mistaken": mistaken_figure(
            first["mistaken"], first["mistaken_truth"], first["mistaken_for"]
        ),
    }


def clamped_figure(images: np.ndarray) -> Figure:
    """As Figure 8: a line of samples for each label, which is written before it."""
    lines = images.reshape(-1, A_LINE, *images.shape[1:])
    figure = plotting.panels(columns=1, rows=len(lines), width=6.0, height=0.62)
    for label, (axes, line) in enumerate(zip(figure.axes, lines, strict=True)):
        plotting.show_images(axes, line, A_LINE)
        axes.text(-0.02, 0.5, str(label), transform=axes.transAxes, ha="right", va="center")
    return figure


def unusual_figure(images: np.ndarray, recognised: pd.Series) -> Figure:
    """Digits recognised though far from all training ones, the farthest first."""
    across = min(20, len(images))
    images = images[: len(images) // across * across]
    lines = len(images) // across
    figure = plotting.panels(columns=1, width=0.36 * across, height=0.36 * lines + 0.5)
    (axes,) = figure.axes
    gaps = np.pad(images, ((0, 0), (0, 1), (0, 1)), constant_values=255)
    plotting.show_images(axes, gaps, across)
    axes.set_title(
        f"The {len(images)} recognised test digits farthest from all training digits\n"
        f"(distance to the nearest at least {recognised['least_distance_shown']:.2f}; "
        f"mean of all recognised {recognised['mean_distance']:.2f})",
        fontsize=9,
    )
    return figure


def mistaken_figure(images: np.ndarray, truth: np.ndarray, taken: np.ndarray) -> Figure:
    """Every wrongly recognised digit, with its label, an arrow and the label it was given."""
    figure = plotting.rows_of(len(images), columns=10, width=0.7, height=0.85)
    for i, axes in enumerate(figure.axes):
        plotting.show_images(axes, images[i : i + 1], columns=1)
        axes.set_title(f"{truth[i]} → {taken[i]}", fontsize=8, pad=1)
    return figure
