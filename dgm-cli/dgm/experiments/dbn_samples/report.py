"""Figure 8 and section 7 of Hinton, Osindero & Teh (2006): generated and recognised digits."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from dgm.experiments.dbn_samples.settings import A_LINE
from dgm.recipe.schema import Expectation
from dgm.report import plotting
from dgm.report.reproduction import binomial_stderr
from dgm.report.summary import Metric
from dgm.report.tables import Cell, Results, metric_name

AXES = ["data"]


def summarise(results: Results) -> Iterator[Metric]:
    """The share of samples in which the judge sees the clamped label; its errors, and the net's."""
    for cell, rows in results.rows("judged"):
        worst = rows.groupby("label")["agree"].mean().min()
        name = named("clamped_label_agreement", cell)
        yield Metric(name, cell["seed"], rows["agree"].mean())
        name = named("clamped_label_agreement/worst_label", cell)
        yield Metric(name, cell["seed"], worst)
    for table, stem in (("judge", "judge_error"), ("recognised", "test_error")):
        for cell, rows in results.rows(table):
            wrong, images = rows["errors"].item(), rows["images"].item()
            stderr = binomial_stderr(wrong, images)
            yield Metric(named(stem, cell), cell["seed"], 100 * wrong / images, stderr)
    for cell, rows in results.rows("recognised"):
        for stem in ("least_distance_shown", "mean_distance"):
            yield Metric(named(stem, cell), cell["seed"], rows[stem].item())


def named(stem: str, cell: Cell) -> str:
    """The stem alone: only a user's own axes tell cells apart."""
    return metric_name(stem, cell=cell, axes=AXES)


def draw(results: Results, expect: Mapping[str, Expectation]) -> dict[str, Figure | plotting.Film]:
    """Of the first seed: Figure 8, the film as a strip and as a GIF, and the recognised digits."""
    first = {name: next(iter(arrays.values())) for name, arrays in results.arrays.items()}
    _, recognised = next(results.rows("recognised"))
    pairs = zip(first["mistaken_truth"], first["mistaken_for"], strict=True)
    return {
        "figure8": clamped_figure(first["clamped"]),
        "film_strip": plotting.picture(first["film"], 10, 3 * plotting.WIDE // 2),
        "film": plotting.Film(first["film"]),
        "unusual": unusual_figure(first["unusual"], first["unusual_truth"], recognised.iloc[0]),
        "mistaken": digits_figure(first["mistaken"], [f"{a} → {b}" for a, b in pairs]),
    }


def clamped_figure(images: np.ndarray) -> Figure:
    """As Figure 8: a line of samples for each label, which is written before it."""
    lines = images.reshape(-1, A_LINE, *images.shape[1:])
    figure = plotting.panels(columns=1, rows=len(lines), width=6.0, height=0.62)
    for label, (axes, line) in enumerate(zip(figure.axes, lines, strict=True)):
        plotting.show_images(axes, line, A_LINE)
        axes.text(-0.02, 0.5, str(label), transform=axes.transAxes, ha="right", va="center")
    return figure


def unusual_figure(images: np.ndarray, labels: np.ndarray, recognised: pd.Series) -> Figure:
    """Digits recognised though far from all training ones, the farthest first."""
    figure = digits_figure(images, [str(label) for label in labels])
    figure.suptitle(
        f"The {len(images)} recognised test digits farthest from all training digits\n"
        f"(distance to the nearest at least {recognised['least_distance_shown']:.2f}; "
        f"mean of all recognised {recognised['mean_distance']:.2f})",
        fontsize=9,
    )
    return figure


def digits_figure(images: np.ndarray, titles: Sequence[str]) -> Figure:
    """Ten digits a line, each below its title."""
    figure = plotting.rows_of(len(images), columns=10, width=0.7, height=0.85)
    for axes, image, title in zip(figure.axes, images, titles, strict=True):
        plotting.show_images(axes, image[None], columns=1)
        axes.set_title(title, fontsize=8, pad=1)
    return figure
