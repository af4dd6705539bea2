"""Gaussians fitted in either direction, their local optima, and what models of a ring leave out."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dgm.experiments.kl_directions.settings import BOX, DIRECTIONS, MODELS
from dgm.recipe.schema import Expectation
from dgm.report import plotting
from dgm.report.rings import rings_figure
from dgm.report.summary import Metric
from dgm.report.tables import Results, metric_name

AXES = ["data", "part", "family", "model"]
PARAMETERS = ["x", "y", "xx", "xy", "yy"]  # of a Gaussian of the plane
ALIKE = 1e-3  # in each parameter: fits that are one optimum
END = 0.2  # the last share of training, over which a ring's value is the median
TITLES = {"model_data": "KL(P || Q)", "data_model": "KL(Q || P)"}
NAMES = {
    "gan": "GAN",
    "vae": "VAE",
    "fgan_model_data": "f-GAN, KL(P || Q)",
    "fgan_data_model": "f-GAN, KL(Q || P)",
}
COLOURS = dict(
    zip(MODELS, (plotting.ORANGE, plotting.BLUE, plotting.RED, plotting.GREEN), strict=True)
)
MARKERS = dict(zip(MODELS, "os^D", strict=True))
OF_OPTIMA = (plotting.RED, plotting.GREEN, plotting.PURPLE, plotting.ORANGE)


# --- metrics -----------------------------------------------------------------------------------


def summarise(results: Results) -> Iterator[Metric]:
    """Errors of fits, their local optima, and modes and gaps of the ring's models."""
    exact = {(c["family"], c["data"], c["seed"]): rows for c, rows in results.rows("exact")}
    for cell, rows in results.rows("fits"):
        known = exact[cell["family"], cell["data"], cell["seed"]].set_index("direction")
        for direction, fits in rows.groupby("direction", sort=False):
            optima = distinct(fits)
            values = {"local_optima": float(len(optima))}
            values["kl_error"] = (fits["divergence"] - fits["by_quadrature"]).abs().max()
            if direction in known.index:
                away = fits[PARAMETERS] - known.loc[direction, PARAMETERS].astype(float)
                values["optimum_error"] = away.abs().max(axis=None)
            for stem, value in values.items():
                name = metric_name(stem, cell["family"], str(direction), cell=cell, axes=AXES)
                yield Metric(name, cell["seed"], value)
    found: dict[int, dict[str, dict[str, float]]] = {}
    for cell, rows in results.rows("ring"):
        ending = rows[rows["step"] > (1 - END) * rows["step"].max()]
        values = {
            stem: float(ending[stem].median())
            for stem in ("modes", "sharp_modes", "gaps", "quality")
        }
        found.setdefault(cell["seed"], {})[cell["model"]] = values
        for stem, value in values.items():
            name = metric_name(stem, cell["model"], cell=cell, axes=AXES)
            yield Metric(name, cell["seed"], value)
    for cell, rows in results.rows("decoder"):
        yield Metric(
            metric_name("learned_std", cell=cell, axes=AXES),
            cell["seed"],
            rows["learned_std"].item(),
        )
    for seed, models in found.items():
        if all(model in models for model in MODELS):
            yield from (Metric(name, seed, value) for name, value in claims(models))


def claims(models: Mapping[str, Mapping[str, float]]) -> Iterator[tuple[str, float]]:
    """What one seed says of the lecture's claims: 1 for, 0 against."""
    gan, vae = models["gan"], models["vae"]
    seeking, covering = models["fgan_model_data"], models["fgan_data_model"]
    yield "gan_misses_modes", float(gan["modes"] < vae["modes"])
    yield "vae_covers_gaps", float(vae["gaps"] > gan["gaps"])
    explains = seeking["modes"] < covering["modes"] and seeking["gaps"] < covering["gaps"]
    yield "direction_explains", float(explains)


def distinct(fits: pd.DataFrame) -> pd.DataFrame:
    """One row for each optimum, the lowest divergence first, and how many starts came to it."""
    rows: list[dict[str, Any]] = []
    for row in fits.sort_values("divergence").to_dict("records"):
        same = (r for r in rows if all(abs(r[p] - row[p]) < ALIKE for p in PARAMETERS))
        seen = next(same, None)
        if seen is None:
            rows.append({**row, "starts": 1})
        else:
            seen["starts"] += 1
    return pd.DataFrame(rows)


# --- figures -----------------------------------------------------------------------------------


def draw(results: Results, expect: Mapping[str, Expectation]) -> dict[str, Figure]:
    """The fits of the first seed in the plane, and the ring's models."""
    figures = {}
    for cell, density in results.each("density"):
        name = f"fits_{cell['family']}"
        if name not in figures:
            fits = next(rows for of, rows in results.rows("fits") if of == cell)
            figures[name] = fits_figure(density, fits)
    if "ring" in results.tables:
        figures |= {"ring": ring_figure(results), "contrast": contrast_figure(results)}
    return figures


def fits_figure(density: np.ndarray, fits: pd.DataFrame) -> Figure:
    """The data's contours, and every local optimum of either direction as an ellipse."""
    figure = plotting.panels(columns=2, width=9.6, height=4.6)
    line = np.linspace(-BOX, BOX, len(density))
    for axes, direction in zip(figure.axes, DIRECTIONS, strict=True):
        levels = density.max() * np.exp(-0.5 * np.array([9.0, 4.0, 1.0]))
        axes.contour(line, line, density.T.astype(float), levels, colors="#888888", linewidths=1.2)
        axes.plot([], [], color="#888888", label="Q, the data")
        optima = distinct(fits[fits["direction"] == direction])
        for i, row in enumerate(optima.to_dict("records")):
            colour, style = OF_OPTIMA[i % len(OF_OPTIMA)], ("-", "--", "-.", ":")[i % 4]
            label = f"P: {row['divergence']:.3f} nats, {row['starts']} of {len(fits) // 2} starts"
            ellipses(axes, row, color=colour, linestyle=style, label=label)
        title = f"{TITLES[direction]}: {len(optima)} local optim{'um' if len(optima) == 1 else 'a'}"
        axes.set(title=title, aspect="equal", xlim=(-5.8, 5.8), ylim=(-5.8, 5.8))
        axes.legend(loc="upper left", fontsize=8)
    return figure


def ellipses(axes: Axes, row: Mapping[str, float], label: str, **look: Any) -> None:
    """Points at one, two and three standard deviations of a Gaussian."""
    factor = np.linalg.cholesky([[row["xx"], row["xy"]], [row["xy"], row["yy"]]])
    turn = np.linspace(0, 2 * np.pi, 200)
    circle = np.stack([np.cos(turn), np.sin(turn)])
    for radius in (1, 2, 3):
        x, y = radius * factor @ circle + np.array([[row["x"]], [row["y"]]])
        axes.plot(x, y, label=label if radius == 1 else None, linewidth=1.5, **look)


def ring_figure(results: Results) -> Figure:
    """The samples of every seed at the end of training, a line a model."""
    return rings_figure(results, "model", MODELS, NAMES, COLOURS, side=1.9, reach=1.5)


def contrast_figure(results: Results) -> Figure:
    """Modes reached against the share of samples in gaps: a point a seed."""
    figure = plotting.panels(columns=1, width=6.4, height=4.4)
    (axes,) = figure.axes
    for cell, rows in results.rows("ring"):
        ending = rows[rows["step"] > (1 - END) * rows["step"].max()]
        label = (
            NAMES[cell["model"]] if cell["seed"] == results.tables["ring"]["seed"].min() else None
        )
        look: dict[str, Any] = {"color": COLOURS[cell["model"]], "marker": MARKERS[cell["model"]]}
        axes.plot(
            ending["gaps"].median(),
            ending["modes"].median(),
            label=label,
            linestyle="",
            alpha=0.8,
            markersize=8,
            **look,
        )
    axes.set(xlim=(-0.03, 1.03), ylim=(-0.3, 8.5), ylabel="modes reached")
    axes.set_xlabel("samples in gaps, farther than 5 standard deviations from every mode")
    plotting.legend_below(figure, columns=2)
    return figure
