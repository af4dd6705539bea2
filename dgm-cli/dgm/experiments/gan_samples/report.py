"""Samples of two GANs, and what Parzen windows and a classifier say of them and of others."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from dgm.recipe.schema import Expectation
from dgm.report import plotting
from dgm.report.summary import Metric
from dgm.report.tables import Cell, Results, metric_name, own_axes

AXES = ["model"]
NAMES = {
    "real": "training images",
    "gan": "GAN, fully connected",
    "dcgan": "DCGAN",
    "vae": "VAE",
    "dbn": "DBN",
    "kmeans": "k-means centres",
}
WAYS = 10  # images in a line of the interpolation
PAIRS = 10  # of a sample and its nearest training image in a line
FILM = 10  # latents in a line of the film
GREYS = 17  # levels between two greys of the film: few of them make a small file
Found = dict[tuple[str, int], float]  # the best value by model and seed
MEASURES = (
    ("parzen", "log_likelihood", "Parzen log-likelihood\n(nats, higher is better)"),
    ("classified", "frechet", "Fréchet distance to test images\n(lower is better)"),
    ("classified", "score", "classifier score\n(higher is better)"),
)


def summarise(results: Results) -> Iterator[Metric]:
    """Each judgement of each model's samples, and then one model's beside another's."""
    likelihoods: Found = {}
    for cell, rows in results.rows("parzen"):
        for row in rows.to_dict("records"):
            stem = named("parzen", cell, row["of"])
            yield Metric(stem, cell["seed"], row["log_likelihood"], row["stderr"])
            yield Metric(named("bandwidth", cell, row["of"]), cell["seed"], row["bandwidth"])
            keep(likelihoods, cell, row["log_likelihood"], max)
    distances: Found = {}
    for cell, rows in results.rows("classified"):
        for row in rows.to_dict("records"):
            seed, model = cell["seed"], cell["model"]
            yield Metric(named("frechet", cell, row["of"]), seed, row["frechet"])
            yield Metric(named("classifier_score", cell, row["of"]), seed, row["score"])
            for stem, value in (("digits_entropy", "entropy"), ("digits_sure", "sure")):
                name = metric_name(f"{model}_{stem}", text(row["of"]), cell=cell, axes=AXES)
                yield Metric(name, seed, row[value])
            keep(distances, cell, row["frechet"], min)
    for cell, rows in results.rows("copies"):
        yield Metric(named("copies", cell), cell["seed"], rows["copies"].item())
    for cell, rows in results.rows("classifier"):
        yield Metric(named("classifier_error", cell), cell["seed"], rows["test_error"].item())
    for (model, seed), distance in distances.items():
        if model == "dcgan" and ("vae", seed) in distances:
            yield Metric("frechet_below_vae/dcgan", seed, distances["vae", seed] - distance)
    for (model, seed), likelihood in likelihoods.items():
        if model == "kmeans" and ("real", seed) in likelihoods:
            above = likelihood - likelihoods["real", seed]
            yield Metric("parzen_above_real/kmeans", seed, above)


def keep(found: Found, cell: Cell, value: float, better: Callable[[float, float], float]) -> None:
    """Keep the better value of a model; cells of a user's own axes are not compared."""
    if not own_axes(cell, AXES):
        key = cell["model"], cell["seed"]
        found[key] = better(found.get(key, value), value)


def named(stem: str, cell: Cell, of: object = "") -> str:
    """ "parzen/vae", or "parzen/vae/draws" of draws of its pixels."""
    return metric_name(stem, cell["model"], text(of), cell=cell, axes=AXES)


def text(of: object) -> str:
    """What samples are of; a model's own have an empty text, which a CSV gives back as NaN."""
    return "" if pd.isna(of) else str(of)


def draw(results: Results, expect: Mapping[str, Expectation]) -> dict[str, Figure | plotting.Film]:
    """Of the first seed of each model: samples, nearest training images, ways, and films."""
    figures: dict[str, Figure | plotting.Film] = {"samples": samples_figure(results)}
    if "nearest" in results.arrays:
        generated = [of for of in firsts(results, "nearest") if of[0]["model"] != "real"]
        figures["nearest"] = lines_figure(generated, beside, 2 * PAIRS)
    if "between" in results.arrays:
        figures["interpolation"] = lines_figure(firsts(results, "between"), lambda x: x, WAYS)
    for cell, film in firsts(results, "film"):
        figures[f"film_{cell['model']}{own_axes(cell, AXES, '_')}"] = moving(film)
    if "parzen" in results.tables:
        figures["measures"] = measures_figure(results)
    return figures


def firsts(results: Results, name: str) -> list[tuple[Cell, np.ndarray]]:
    """The array of the first seed of each cell, in the order of NAMES."""
    first: dict[str, tuple[Cell, np.ndarray]] = {}
    for cell, array in results.each(name):
        first.setdefault(label(cell), (cell, array))
    order = [*NAMES]
    return sorted(first.values(), key=lambda found: order.index(found[0]["model"]))


def label(cell: Cell) -> str:
    return NAMES[cell["model"]] + own_axes(cell, AXES, ", ")


def samples_figure(results: Results) -> Figure:
    """A hundred samples of each model, ten by ten."""
    panels = firsts(results, "samples")
    figure = plotting.rows_of(len(panels), columns=3, width=3.0, height=3.4)
    for axes, (cell, images) in zip(figure.axes, panels, strict=True):
        plotting.show_images(axes, images, columns=10)
        axes.set_title(label(cell))
    return figure


def beside(images: np.ndarray) -> np.ndarray:
    """Samples, then as many nearest training images, as pairs with a gap to their right."""
    samples, near = np.split(images, 2)
    pairs = np.stack([samples, near], 1).reshape(-1, *images.shape[1:])
    pairs[1::2, :, -1] = 255
    return pairs


def lines_figure(
    panels: list[tuple[Cell, np.ndarray]],
    arranged: Callable[[np.ndarray], np.ndarray],
    columns: int,
) -> Figure:
    """A panel of lines of images for each model, one below the other."""
    heights = [len(arranged(images)) / columns for _, images in panels]
    width = 8.0
    height = max(heights) * width / columns + 0.35
    figure = plotting.panels(columns=1, rows=len(panels), width=width, height=height)
    for axes, (cell, images) in zip(figure.axes, panels, strict=True):
        plotting.show_images(axes, arranged(images), columns)
        axes.set_title(label(cell))
    return figure


def moving(film: np.ndarray) -> plotting.Film:
    """The latents of every moment side by side, in few greys; the last moment stays a while."""
    frames = np.stack([plotting.tile(moment, FILM) for moment in film])
    few = (frames.astype(float) / GREYS).round().astype(np.uint8) * GREYS
    held = np.concatenate([few, few[-1:].repeat(4, 0)])
    return plotting.Film(held, scale=2 if film.shape[2] < 64 else 1, milliseconds=250)


def measures_figure(results: Results) -> Figure:
    """Each measure of each model, a point a seed."""
    figure = plotting.panels(columns=len(MEASURES), width=11.0, height=3.2)
    for axes, (table, column, title) in zip(figure.axes, MEASURES, strict=True):
        values: dict[str, list[float]] = {}
        for cell, rows in results.rows(table):
            for row in rows.to_dict("records"):
                ending = f", {text(row['of'])}" if text(row["of"]) else ""
                values.setdefault(label(cell) + ending, []).append(row[column])
        names = sorted(values, key=lambda name: -np.mean(values[name]))
        for y, name in enumerate(names[::-1]):
            axes.plot(values[name], [y] * len(values[name]), "o", color=plotting.BLUE, zorder=3)
        axes.set_yticks(range(len(names)), names[::-1])
        axes.set_title(title, fontsize=9)
        if column == "frechet":
            axes.set_xlim(left=0)
    return figure
