"""Figure 4 of Kingma & Welling (2014): the manifold, how smooth it is, and what is on it."""

from collections.abc import Iterator, Mapping

import numpy as np
from matplotlib import patheffects
from matplotlib.figure import Figure
from scipy.special import ndtri

from dgm.data import title
from dgm.protocols.settings.vae import pixels
from dgm.recipe.schema import Expectation
from dgm.report import plotting
from dgm.report.summary import Metric
from dgm.report.tables import Cell, Results, metric_name

AXES = ["data", "decoder"]
FOUND = 0.01  # least share of the grid's images for a digit to count as found


def summarise(results: Results) -> Iterator[Metric]:
    """Bounds, how smooth and how varied the manifold is, and how many digits are found on it."""
    for cell, rows in results.rows("bounds"):
        test = rows.loc[rows["split"] == "test", "elbo"].item()
        yield Metric(named("test_elbo", cell), cell["seed"], test)
    for cell, rows in results.rows("smoothness"):
        smoothness, spread = rows["neighbours"] / rows["pairs"], rows["pairs"] / rows["test_pairs"]
        yield Metric(named("manifold_smoothness", cell), cell["seed"], smoothness.item())
        yield Metric(named("manifold_spread", cell), cell["seed"], spread.item())
    for key, posterior in results.arrays["posterior"].items():
        cell = results.cells[key]
        outside = np.abs(posterior).max(1) > reach(results.arrays["manifold"][key])
        name = named("posterior_outside_grid", cell)
        yield Metric(name, cell["seed"], float(outside.mean()))
    for cell, rows in results.rows("digits"):
        found = rows["images"] >= FOUND * rows["images"].sum()
        yield Metric(named("manifold_digits", cell), cell["seed"], int(found.sum()))


def reach(manifold: np.ndarray) -> float:
    """The largest coordinate of the grid of z whose images these are, in single precision."""
    side = side_of(manifold)
    return float(np.float32(ndtri((side - 0.5) / side)))


def side_of(manifold: np.ndarray) -> int:
    """Images along either side of the grid."""
    return round(len(manifold) ** 0.5)


def named(stem: str, cell: Cell) -> str:
    """ "test_elbo" of digits as Bernoulli pixels, "test_elbo/frey" of the faces."""
    return metric_name(stem, pixels(cell["data"], cell["decoder"]), cell=cell, axes=AXES)


def draw(results: Results, expect: Mapping[str, Expectation]) -> dict[str, Figure]:
    """Of the first seed of each cell: the manifold, and the labelled images' posterior means."""
    figures: dict[str, Figure] = {}
    for key, manifold in results.arrays["manifold"].items():
        cell = results.cells[key]
        name = named("figure4", cell).replace("/", "_")
        if name in figures:
            continue
        figures[name] = plotting.picture(manifold, side_of(manifold))
        if key in results.arrays.get("labels", {}):
            posterior, labels = (results.arrays[of][key] for of in ("posterior", "labels"))
            figures[f"{name}_posterior"] = posterior_figure(
                posterior, labels, reach(manifold), cell["data"]
            )
    return figures


def posterior_figure(
    posterior: np.ndarray, labels: np.ndarray, grid_reach: float, data: str
) -> Figure:
    """Posterior means of test images, coloured by digit, or by time if they are frames of a film.

    The square is what the manifold's grid spans. The title says how many far points are cut off.
    """
    figure = plotting.panels(columns=1, width=5.2, height=4.3)
    (axes,) = figure.axes
    faces = data == "frey_faces"
    points = axes.scatter(
        posterior[:, 0],
        posterior[:, 1],
        s=14 if faces else 3,
        c=labels,
        cmap="viridis" if faces else plotting.TEN,
        vmin=None if faces else -0.5,
        vmax=None if faces else 9.5,
        linewidths=0,
        rasterized=True,  # thousands of points
    )
    bar = figure.colorbar(points, ax=axes, label="frame of the film" if faces else "digit")
    if not faces:
        bar.set_ticks(range(10))
        digits = np.unique(labels)
        middles = [np.median(posterior[labels == digit], axis=0) for digit in digits]
        for digit, (x, y) in zip(digits, apart(np.array(middles), 0.4), strict=True):
            text = axes.text(x, y, str(digit), ha="center", va="center", fontweight="bold")
            text.set_path_effects([patheffects.withStroke(linewidth=3, foreground="white")])
    axes.plot(*grid_reach * np.array([[-1, 1, 1, -1, -1], [-1, -1, 1, 1, -1]]), "k--", linewidth=1)
    far = max(1.1 * grid_reach, 1.05 * float(np.quantile(np.abs(posterior), 0.998)))
    axes.set(xlabel="$z_1$", ylabel="$z_2$", xlim=(-far, far), ylim=(-far, far))
    beyond = int((np.abs(posterior).max(1) > far).sum())
    of_all = f"\n({beyond} of {len(posterior)} lie beyond)" if beyond else ""
    axes.set_title(f"{title(data)}: posterior means, test{of_all}", fontsize=10)
    axes.set_axisbelow(True)
    axes.set_box_aspect(1)
    return figure


def apart(points: np.ndarray, least: float) -> np.ndarray:
    """Points (n, 2) moved until hardly any two are nearer to each other than `least`."""
    points = points.copy()
    for _ in range(100):
        between = points[:, None] - points
        distance = np.hypot(*between.T).T + np.eye(len(points)) * least
        push = np.maximum(0, least - distance) / np.maximum(distance, 1e-9)
        points += 0.25 * (push[..., None] * between).sum(1)
    return points
