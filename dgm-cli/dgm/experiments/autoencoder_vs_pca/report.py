"""Figure 2B of Hinton & Salakhutdinov (2006): reconstructions, errors by code size and epoch."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

from dgm.recipe.schema import Expectation
from dgm.report import plotting
from dgm.report.reproduction import stderr_of_images
from dgm.report.summary import Metric
from dgm.report.tables import Cell, Results, by_cell, metric_name

AXES = ["data", "row", "code"]
PAPER_CODE = 30  # numbers; a metric's name gives other sizes
MARKERS = {  # in the figure by code size; several rows lie nearly on one another
    "autoencoder": "D",
    "autoencoder_adam": "x",
    "autoencoder_shifted": "*",
    "autoencoder_brief": "v",
    "not_pretrained_brief": "P",
    "not_pretrained": "+",
    "logistic_pca": "s",
    "logistic_pca_best_codes": "^",
}
ROWS = {  # as the figures name and colour them, in their order
    "autoencoder": ("autoencoder", plotting.BLUE),
    "autoencoder_adam": ("autoencoder, Adam", plotting.GREEN),
    "autoencoder_shifted": ("Adam, shifted images", plotting.SKY),
    "autoencoder_brief": ("Adam, ten epochs", plotting.BROWN),
    "not_pretrained_brief": ("ten epochs, not pre-trained", plotting.PURPLE),
    "not_pretrained": ("without pre-training", plotting.PURPLE),
    "logistic_pca": ("logistic PCA", plotting.ORANGE),
    "logistic_pca_best_codes": ("logistic PCA, best codes", plotting.RED),
    "pca": ("PCA", plotting.BLACK),
}


# --- metrics ---------------------------------------------------------------------------------


def summarise(results: Results) -> Iterator[Metric]:
    """Squared errors by row; rows of other code sizes than the paper's are named with theirs."""
    for cell, rows in by_cell(errors_of(results)):
        for of in rows.to_dict("records"):
            name = named(f"{of['split']}_squared_error", cell, of["stage"])
            stderr = math.nan if of["split"] == "train" else stderr_of_images(of)
            yield Metric(name, cell["seed"], of["squared_error"], stderr)


def errors_of(results: Results) -> pd.DataFrame:
    """The table "errors", whose blank stage is read back as no value."""
    return results.tables["errors"].astype({"stage": object}).fillna({"stage": ""})


def named(stem: str, cell: Cell, stage: str) -> str:
    """ "test_squared_error/pca/code2", "test_squared_error/logistic_pca_best_codes"."""
    code = "" if cell["code"] == PAPER_CODE else f"code{cell['code']}"
    return metric_name(stem, with_stage(cell["row"], stage), code, cell=cell, axes=AXES)


def with_stage(row: str, stage: str) -> str:
    return f"{row}_{stage}" if stage else row


# --- figures ---------------------------------------------------------------------------------


def draw(results: Results, expect: Mapping[str, Expectation]) -> dict[str, Figure]:
    """Reconstructions, error by code size, and error along the fine-tuning."""
    tables = results.tables
    errors = errors_of(results).query("split != 'train'")
    code = shown_code(errors)
    figures = {"reconstructions": reconstructions_figure(results, errors, code)}
    if errors["code"].nunique() > 1:
        figures["codes"] = codes_figure(errors, expect)
    if "curves" in tables:
        figures["tuning"] = tuning_figure(tables["curves"].query(f"code == {code}"))
    return figures


def shown_code(errors: pd.DataFrame) -> int:
    """The paper's code size where there is one, else the one that most rows have."""
    codes = errors.drop_duplicates(["row", "code"])["code"]
    return PAPER_CODE if PAPER_CODE in set(codes) else int(codes.mode().iloc[-1])


def reconstructions_figure(results: Results, errors: pd.DataFrame, code: int) -> Figure:
    """A digit of each class, and below it its reconstruction by the first seed of each row."""
    lines: dict[str, np.ndarray] = {}
    for array in (name for name in results.arrays if not name.endswith("_values")):
        stage = array.removeprefix("reconstructed").removeprefix("_")
        for cell, images in results.each(array):
            if cell["code"] == code:
                name = array if array == "original" else with_stage(cell["row"], stage)
                lines.setdefault(name, images)
    order = ["original", *ROWS]
    names = sorted(lines, key=lambda name: order.index(name) if name in order else len(order))
    means = {
        with_stage(*key): rows["squared_error"].mean()
        for key, rows in errors[errors["code"] == code].groupby(["row", "stage"])
    }
    figure = plotting.panels(columns=1, rows=len(names), width=7.0, height=0.72)
    for axes, name in zip(figure.axes, names, strict=True):
        plotting.show_images(axes, lines[name], len(lines[name]))
        text = f"{look(name)[0]}  {means[name]:.2f}" if name in means else name
        axes.text(-0.02, 0.5, text, transform=axes.transAxes, ha="right", va="center")
    return figure


def look(name: str) -> tuple[str, str]:
    """A row's title and colour; a user's own row is titled by its name and grey."""
    return ROWS.get(name, (name, "grey"))


def codes_figure(errors: pd.DataFrame, expect: Mapping[str, Expectation]) -> Figure:
    """Squared error against the numbers of a code; a point where a row has only one size.

    Markers are hollow and of different shapes, so that none hides another; a black dash is the
    reported value.
    """
    figure = plotting.panels(columns=1, width=7.4, height=5.4)
    (axes,) = figure.axes
    reported: list[tuple[int, float]] = []
    for key, rows in errors.groupby(["row", "stage"], sort=False):
        name = with_stage(*key)
        title, color = look(name)
        by_code = rows.groupby("code")["squared_error"].mean()
        style: dict[str, Any] = {"color": color, "label": title, "markersize": 8}
        style |= {"marker": MARKERS.get(name, "o"), "markerfacecolor": "none"}
        style |= {"linestyle": "-" if len(by_code) > 1 else "", "linewidth": 1.2}
        axes.plot(by_code.index, by_code, markeredgewidth=1.5, **style)
        for cell, _ in by_cell(rows, without=["seed"]):
            entry = expect.get(named("test_squared_error", cell, key[1]))
            if entry and entry.reported is not None:
                reported.append((cell["code"], entry.reported))
    if reported:
        axes.plot(*zip(*reported, strict=True), "k_", markersize=26, label="reported")
    log_of_errors(axes)
    axes.set_xlabel("numbers in the code")
    plotting.legend_below(figure, columns=2)
    return figure


def log_of_errors(axes: Axes) -> None:
    """A logarithmic y axis for squared errors of a digit, which are from one to some tens."""
    axes.set(yscale="log", ylabel="squared error, summed over pixels")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FormatStrFormatter("%g"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def tuning_figure(curves: pd.DataFrame) -> Figure:
    """Squared error against epochs of fine-tuning, training and judged images."""
    figure = plotting.panels(columns=1, width=6.6, height=4.8)
    (axes,) = figure.axes
    for name in curves["row"].unique():
        title, color = look(name)
        of_row = curves[(curves["row"] == name) & (curves["epoch"] > 0)]
        for split, rows in of_row.groupby("split", sort=False):
            train = split == "train"
            label = f"{title}, training" if train else title
            kind = "train" if train else "test"
            plotting.seeds_line(axes, rows, "epoch", "squared_error", label, color, kind)
    log_of_errors(axes)
    axes.set(xscale="log", xlabel="epochs")
    plotting.legend_below(figure, columns=2)
    return figure
