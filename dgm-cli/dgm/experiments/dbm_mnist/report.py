"""The bound and the errors of a deep Boltzmann machine, its learning, its samples and its units."""

import math
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from dgm.experiments.dbm_mnist.settings import A_LINE, ACROSS, FRAMES, PAPER, SMALL
from dgm.recipe.schema import Expectation
from dgm.report import plotting
from dgm.report.reproduction import binomial_stderr, stderr_of_images
from dgm.report.summary import Metric
from dgm.report.tables import Cell, Results, by_cell, metric_name

AXES = ["data", "variant", "pixels"]
ROUNDING = 1e-4  # nats; of a bound in single precision
STEP_OF_GREY = 17  # of 255; with 16 greys the film's file is a third as large
STRIP = 8  # frames of the film that are shown side by side


# --- metrics ---------------------------------------------------------------------------------


def summarise(results: Results) -> Iterator[Metric]:
    """Bounds at the upper end of log Z's interval, log Z from both sides, errors and units."""
    for cell, rows in results.rows("bound"):
        seed = cell["seed"]
        for row in rows.to_dict("records"):
            split = row["split"]
            share = stderr_of_images(row) if cell["variant"] != SMALL else math.nan
            yield Metric(named(f"{split}_bound", cell), seed, row["low"], share)
            if split != "train":
                yield Metric(named("mean_field_gain", cell), seed, row["gain"])
    for cell, rows in results.rows("partition"):
        for row in rows.to_dict("records"):
            name = f"{named('log_partition', cell)}/from_{row['direction']}"
            yield Metric(name, cell["seed"], row["log_partition"])
            if row["direction"] == "below":
                width = row["high"] - row["low"]
                yield Metric(named("ais_interval", cell), cell["seed"], width)
                chains = row["effective_chains"]
                yield Metric(named("ais_effective_chains", cell), cell["seed"], chains)
    for cell, rows in results.rows("units"):
        for row in rows.to_dict("records"):
            name = f"{named('dead_units', cell)}/layer{row['layer']}"
            yield Metric(name, cell["seed"], row["dead"])
    for cell, rows in results.rows("errors"):
        wrong, images = int(rows["wrong"].item()), int(rows["images"].item())
        stderr = binomial_stderr(wrong, images)
        yield Metric(named("test_error", cell), cell["seed"], 100 * wrong / images, stderr)
    for cell, rows in results.rows("curves"):
        yield Metric(named("validation_error", cell), cell["seed"], chosen_errors(rows).min())
    for cell, rows in results.rows("exact"):
        (row,) = rows.to_dict("records")
        below = float(row["least_gap"] >= -ROUNDING)
        yield Metric(named("bound_below_log_likelihood", cell), cell["seed"], below)
        gap = row["log_likelihood"] - row["bound"]
        yield Metric(named("bound_gap", cell), cell["seed"], gap)
        yield Metric(named("exact_log_likelihood", cell), cell["seed"], row["log_likelihood"])
        error = abs(row["by_ais"] - row["log_partition"])
        yield Metric(named("ais_error", cell), cell["seed"], error)


def chosen_errors(curves: pd.DataFrame) -> "pd.Series[float]":
    """Errors of the validation images by the rate and decay that were chosen."""
    settings = ["rate", "decay"]
    chosen = curves.loc[curves["split"] == "all", settings].drop_duplicates()
    of_validation = curves[curves["split"] == "validation"]
    return of_validation.merge(chosen, on=settings)["error"]


def named(stem: str, cell: Cell) -> str:
    """ "test_bound/dbm", "test_bound/dbm/real_pixels", "ais_error/small"."""
    machine = "dbm" if cell["variant"] == PAPER else cell["variant"]
    pixels = "" if cell["pixels"] == "binary" else "real_pixels"
    return metric_name(stem, machine, pixels, cell=cell, axes=AXES)


# --- figures ---------------------------------------------------------------------------------


def draw(results: Results, expect: Mapping[str, Expectation]) -> dict[str, Figure | plotting.Film]:
    """How the first machine that is not the small one learned, and what it makes."""
    tables = {name: of_first(table) for name, table in results.tables.items()}
    figures: dict[str, Figure | plotting.Film] = {}
    if len(tables["learning"]):
        figures["learning"] = learning_figure(tables["learning"], tables["joint"], expect)
    if len(tables.get("curves", [])):
        figures["tuning"] = tuning_figure(tables["curves"])
    arrays = {
        name: next((a for cell, a in results.each(name) if cell["variant"] != SMALL), None)
        for name in results.arrays
    }
    samples, training = arrays.get("samples"), arrays.get("training")
    if samples is not None and training is not None:
        figures["samples"] = samples_figure(training, samples)
    film = arrays.get("film")
    if film is not None:
        frames = in_frames(film)
        few = np.round(frames / STEP_OF_GREY) * STEP_OF_GREY
        figures["film"] = plotting.Film(few.astype(np.uint8), scale=2)
        shown = frames[np.linspace(0, FRAMES - 1, STRIP).round().astype(int)]
        figures["film_strip"] = plotting.picture(gapped(shown), STRIP // 2, 2 * plotting.WIDE)
    filters = [arrays.get(f"filters_{layer}") for layer in (1, 2)]
    if all(each is not None for each in filters):
        figures["filters"] = filters_figure([each for each in filters if each is not None])
    return figures


def of_first(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the first cell and seed that are not the small machine's."""
    large = table[table["variant"] != SMALL]
    return next((rows for _, rows in by_cell(large)), large) if len(large) else large


def learning_figure(
    learning: pd.DataFrame, joint: pd.DataFrame, expect: Mapping[str, Expectation]
) -> Figure:
    """The bound against epochs of joint learning, with the interval of log Z; and the error of
    images given the first layer."""
    figure = plotting.panels(columns=2, width=9.6, height=4.0)
    left, right = figure.axes
    looks = {"train": (plotting.BLUE, "o"), "validation": (plotting.ORANGE, "s")}
    looks["test"] = plotting.RED, "D"
    for split, rows in learning.groupby("split"):
        color, marker = looks[str(split)]
        left.plot(rows["epoch"], rows["bound"], f"{marker}-", color=color, label=f"{split} images")
        ends = np.isfinite(rows["low"]) & np.isfinite(rows["high"])
        known = rows[ends]
        bars = known["bound"] - known["low"], known["high"] - known["bound"]
        left.errorbar(known["epoch"], known["bound"], bars, fmt="none", ecolor=color, capsize=3)
        unknown = rows[~ends]  # few annealed chains carry the weight: the interval has no end
        left.plot(unknown["epoch"], unknown["bound"], marker, color=color, mfc="white")
    entry = expect.get("test_bound/dbm")
    if entry and entry.reported is not None:
        left.axhline(entry.reported, color=plotting.BLACK, linestyle=":", label="reported, test")
    best = learning["bound"].max()
    highest = learning["high"][np.isfinite(learning["high"])].max()
    bottom = best - 1.3 * max(best - learning["bound"].quantile(0.2), 1.0)
    left.set_ylim(bottom, np.fmax(best, highest) + 1.5)
    left.set(xlabel="epochs of joint learning", xscale="log", ylabel="nats per image")
    left.set_title("Variational bound")
    right.plot(joint["epoch"], joint["error"], color=plotting.BLUE)
    right.set(xlabel="epochs of joint learning", xscale="log", ylabel="squared error per image")
    right.set_title("Error of E[v|m$_1$]")
    plotting.legend_below(figure, columns=4)
    return figure


def tuning_figure(curves: pd.DataFrame) -> Figure:
    """Errors by epoch of the net that begins as the machine."""
    figure = plotting.panels(columns=1, width=6.4, height=4.0)
    (axes,) = figure.axes
    chosen = curves[curves["split"] == "all"]
    tried = curves[curves["split"] == "validation"].groupby(["rate", "decay"])
    for settings, rows in tried:
        best = len(chosen) and settings == (chosen["rate"].iloc[0], chosen["decay"].iloc[0])
        axes.plot(
            rows["epoch"],
            rows["error"],
            color=plotting.BLUE if best else "#bbbbbb",
            zorder=3 if best else 2,
            label="validation images" if best else "validation images, settings not chosen",
        )
    label = "training and validation images, learned from"
    axes.plot(chosen["epoch"], chosen["error"], "--", color=plotting.ORANGE, label=label)
    worst = 3 * curves.loc[curves["split"] == "validation", "error"].min()
    axes.set(xlabel="epochs", ylabel="error (percent)", ylim=(0, max(worst, 1e-3)))
    plotting.legend_below(figure, columns=1)
    return figure


def samples_figure(training: np.ndarray, samples: np.ndarray) -> Figure:
    """Training images and samples, side by side."""
    figure = plotting.panels(columns=2, width=8.0, height=4.4)
    for axes, images, title in zip(
        figure.axes, (training, samples), ("Training images", "Samples"), strict=True
    ):
        plotting.show_images(axes, images, A_LINE)
        axes.set_title(title)
    return figure


def filters_figure(filters: list[np.ndarray]) -> Figure:
    """Weights to the pixels of some units of the first layer, and of the second through it."""
    figure = plotting.panels(columns=2, width=8.0, height=4.4)
    for number, (axes, images) in enumerate(zip(figure.axes, filters, strict=True), start=1):
        across = min(round(len(images) ** 0.5), len(images))
        plotting.show_images(axes, images[: len(images) // across * across], across)
        axes.set_title(f"Layer {number}")
    return figure


def in_frames(film: np.ndarray) -> np.ndarray:
    """The film's images, each frame's after the other's, as frames of `ACROSS` x `ACROSS`."""
    each = film.reshape(FRAMES, ACROSS**2, *film.shape[1:])
    return np.stack([plotting.tile(images, ACROSS) for images in each])


def gapped(frames: np.ndarray) -> np.ndarray:
    return np.pad(frames, ((0, 0), (0, 6), (0, 6)), constant_values=255)
