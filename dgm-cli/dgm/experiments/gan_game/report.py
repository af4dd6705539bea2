"""Goodfellow's Figure 1 and its film, gradients under a strong D, and modes of a ring."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from dgm.experiments.gan_game.settings import BOX, FIRST, LAST, METHODS
from dgm.recipe.schema import Expectation
from dgm.report import plotting
from dgm.report.rings import rings_figure
from dgm.report.summary import Metric
from dgm.report.tables import Cell, Results, metric_name, own_axes

AXES = ["data", "part", "method"]
APART = 0.1  # nats of Jensen-Shannon divergence from which a frozen generator counts as apart
END = 0.2  # the last share of training, over which a ring's value is the median
MOMENTS = (0, 1 / 12, 1 / 4, 1)  # of the game in the figure, as shares of it
SHOWN = (-4.5, 5.5)  # of the line
FILM = (5.2, 3.6)  # inches
DPI = 100
NAMES = {"minimax": "minimax", "nonsaturating": "non-saturating", "r1": "non-saturating, R1"}
COLOURS = {
    "minimax": plotting.BLUE,
    "log_d": plotting.RED,
    "nonsaturating": plotting.ORANGE,
    "r1": plotting.GREEN,
}
MARKERS = "os^DvP*X<>"  # of the seeds, in turn


# --- metrics -----------------------------------------------------------------------------------


def summarise(results: Results) -> Iterator[Metric]:
    """Distances to the best D, the end of the game, gradients before and after, modes found."""
    for cell, rows in results.rows("frozen"):
        for stem, value in of_frozen(rows):
            yield Metric(named(stem, cell), cell["seed"], value)
    for cell, rows in results.rows("separation"):
        yield Metric(named("separation", cell), cell["seed"], rows["jsd"].item())
    for cell, rows in results.rows("gradients"):
        for loss in ("minimax", "log_d"):
            early = rows.loc[rows["step"] <= FIRST, loss].median()
            late = rows.loc[rows["step"] > rows["step"].max() - LAST, loss].median()
            change = "drop" if loss == "minimax" else "rise"
            value = early / late if loss == "minimax" else late / early
            yield Metric(named(f"gradient_{change}/{loss}", cell), cell["seed"], value)
    for cell, rows in results.rows("ring"):
        ending = rows[rows["step"] > (1 - END) * rows["step"].max()]
        for stem in ("modes", "quality", "touched"):
            name = metric_name(stem, cell["method"], cell=cell, axes=AXES)
            yield Metric(name, cell["seed"], ending[stem].median())


def of_frozen(rows: pd.DataFrame) -> Iterator[tuple[str, float]]:
    """What the frozen generators of one game say; its final generator is the last row."""
    last, apart = rows.iloc[-1], rows[rows["jsd"] >= APART]
    yield "frozen_generators", len(apart)
    if len(apart):
        yield "discriminator_gap", apart["gap"].mean()
        yield "discriminator_gap/worst", apart["gap"].max()
        yield "discriminator_gap_share", apart["gap"].mean() / apart["gap_of_half"].mean()
    yield "jsd", last["jsd"]
    yield "game_value", last["value"]


def named(stem: str, cell: Cell) -> str:
    """The parts have no metric in common."""
    return metric_name(stem, cell=cell, axes=AXES)


# --- figures -----------------------------------------------------------------------------------


def draw(results: Results, expect: Mapping[str, Expectation]) -> dict[str, Figure | plotting.Film]:
    """The first seed's game as a figure and a film; gradients, and all samples of the ring."""
    figures: dict[str, Figure | plotting.Film] = {}
    if "generated" in results.arrays:
        game = Game(results)
        figures |= {"game": game_figure(game), "film": film(game)}
    if "gradients" in results.tables:
        figures["gradients"] = gradients_figure(results)
    if "ring" in results.tables:
        figures |= {"modes": modes_figure(results), "samples": samples_figure(results)}
    return figures


class Game:
    """What the first trial on the line left: densities and D at moments of its game."""

    def __init__(self, results: Results) -> None:
        first = {name: next(results.each(name)) for name in ("data", "generated")}
        cell, self.data = first["data"]
        self.generated = first["generated"][1]  # (moments, points)
        self.discriminator = next(results.each("discriminator"))[1]
        self.mapped = next(results.each("mapped"))[1]  # (moments, quantiles of z)
        self.x = np.linspace(*BOX, len(self.data))
        rows = next(rows for of, rows in results.rows("game") if of == cell)
        self.steps, self.jsd = rows["step"].to_numpy(), rows["jsd"].to_numpy()

    def show(self, axes: Axes, moment: int, grey: bool = False) -> None:
        """Densities and D above, the generator's map from z to x below."""
        p, q, d = self.data, self.generated[moment], self.discriminator[moment]
        dark, light = ("black", "#777777")
        colours = (
            (dark, light, dark, light)
            if grey
            else ("black", plotting.GREEN, plotting.BLUE, plotting.BLUE)
        )
        best = p / np.maximum(p + q, 1e-30)
        lines = zip(
            (p, q, d, best),
            ("p, data", "p, generated", "D", "best D"),
            colours,
            (":", "-", "--", "-."),
            (2.2, 2.2, 1.8, 1.0),
            strict=True,
        )
        for values, label, colour, style, width in lines:
            axes.plot(self.x, values, style, color=colour, linewidth=width, label=label)
        top, bottom = -0.12, -0.4
        spread = np.linspace(-1.5, 2.5, self.mapped.shape[1])
        for z, x in zip(spread, self.mapped[moment], strict=True):
            axes.plot([z, x], [bottom, top], color="#999999", linewidth=0.8)
        for y, label in ((top, "x"), (bottom, "z")):
            axes.axhline(y, color="black", linewidth=0.8)
            axes.text(SHOWN[1], y, f" {label}", va="center", clip_on=False)
        axes.set(xlim=SHOWN, ylim=(-0.45, 1.05), yticks=[0, 0.5, 1])
        axes.set_title(f"step {self.steps[moment]:,}: JSD {self.jsd[moment]:.3f}")


def game_figure(game: Game) -> Figure:
    """The start, two early moments and the end."""
    last = len(game.steps) - 1
    figure = plotting.panels(columns=2, rows=2, width=9.6, height=3.2)
    for axes, share in zip(figure.axes, MOMENTS, strict=True):
        game.show(axes, round(share * last))
    plotting.legend_below(figure, columns=4)
    return figure


def film(game: Game) -> plotting.Film:
    """Every moment that was kept, in grey."""
    frames = []
    for moment in range(len(game.steps)):
        figure = plotting.panels(columns=1, width=FILM[0], height=FILM[1])
        game.show(figure.axes[0], moment, grey=True)
        figure.axes[0].grid(False)
        figure.axes[0].legend(loc="upper right", frameon=False, handlelength=2.5)
        figure.set_dpi(DPI)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        rgb = np.asarray(canvas.buffer_rgba())[..., :3]
        # A few greys are enough, and make a small file.
        frames.append((rgb.mean(-1) / 17).round().astype(np.uint8) * 17)
    return plotting.Film(np.stack(frames), scale=1, milliseconds=200)


def gradients_figure(results: Results) -> Figure:
    """Norms of the generator's gradient while D alone learns; and where the densities lie."""
    figure = plotting.panels(columns=2, width=9.6, height=3.9)
    left, right = figure.axes
    table = results.tables["gradients"]
    for loss, label in (("minimax", "minimax: log(1 - D)"), ("log_d", "non-saturating: -log D")):
        marker = "o" if loss == "minimax" else "s"
        plotting.seeds_line(
            left, table, "step", loss, label, COLOURS[loss], split="", marker=marker
        )
    left.set(xscale="log", yscale="log", xlabel="steps of D alone")
    left.set(
        ylabel="norm of the generator's gradient", title="D learns, the generator stands still"
    )
    _, (data, generated, d) = next(results.each("separated"))
    x = np.linspace(*BOX, len(data))
    right.plot(x, data, ":", color="black", linewidth=2.2, label="p, data (right)")
    right.plot(x, generated, "-", color=plotting.GREEN, linewidth=2.2, label="p, generated (right)")
    right.plot(x, d, "--", color=plotting.BLUE, linewidth=1.8, label="D, in the end (right)")
    seen = x[(data > 1e-3) | (generated > 1e-3)]
    separation = results.tables["separation"]["jsd"].iloc[0]
    right.set(xlim=(seen[0] - 1, seen[-1] + 1), xlabel="x")
    right.set_title(f"far apart: JSD {separation:.4f} of {np.log(2):.4f}")
    plotting.legend_below(figure, columns=3)
    return figure


def modes_figure(results: Results) -> Figure:
    """Modes and quality against training, a line for each seed."""
    cells = list(results.rows("ring"))
    methods = in_order({of["method"] for of, _ in cells})
    figure = plotting.panels(columns=len(methods), rows=2, width=3.4 * len(methods), height=2.6)
    for cell, rows in cells:
        column = methods.index(cell["method"])
        for row, what in enumerate(("modes", "quality")):
            axes = figure.axes[row * len(methods) + column]
            look: dict[str, Any] = {
                "color": COLOURS[cell["method"]],
                "linewidth": 1.0,
                "alpha": 0.7,
            }
            axes.plot(rows["step"], rows[what], label=own_axes(cell, AXES, ", "), **look)
    for i, axes in enumerate(figure.axes):
        row, column = divmod(i, len(methods))
        axes.axvspan(*last_fifth(cells[0][1]), color="#eeeeee", zorder=0)
        if row == 0:
            axes.set(ylim=(-0.3, 8.5), title=NAMES.get(methods[column], methods[column]))
        else:
            axes.set(ylim=(-0.03, 1.03), xlabel="steps of the generator")
        if column == 0:
            axes.set_ylabel("modes reached" if row == 0 else "samples at a mode")
    return figure


def last_fifth(rows: pd.DataFrame) -> tuple[float, float]:
    """From the first to the last step whose evaluations count."""
    end = rows["step"].max()
    return (1 - END) * end, end


def in_order(methods: set[str]) -> list[str]:
    """As the settings name them."""
    return [method for method in METHODS if method in methods]


def samples_figure(results: Results) -> Figure:
    """The samples of every seed at the end of training, a line a method."""
    return rings_figure(results, "method", METHODS, NAMES, COLOURS, side=1.15, reach=1.4)
