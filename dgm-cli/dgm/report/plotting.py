"""One look for every figure: colour-blind-safe, legible at the README's width."""

import io
from typing import Any, NamedTuple

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

# Okabe & Ito's palette: distinct in the common forms of colour blindness and in grey.
BLUE, ORANGE, GREEN, RED, PURPLE, SKY, BLACK = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#56B4E9",
    "#000000",
)
BROWN = "#8C564B"
# Ten classes: Okabe & Ito's eight with a brown and a grey between them, told apart by lightness.
TEN = ListedColormap(
    [BLACK, BLUE, ORANGE, GREEN, RED, PURPLE, SKY, "#F0E442", BROWN, "#999999"], "ten"
)
STYLE: dict[Any, Any] = {
    "font.size": 10,
    "font.family": "DejaVu Sans",
    "axes.titlesize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "figure.dpi": 100,
    "savefig.dpi": 130,
    "svg.fonttype": "path",
    "svg.hashsalt": "dgm",
}


WIDE = 560  # pixels that a picture should have across, about


class Film(NamedTuple):
    """Grey images (n, rows, columns of pixels) that follow one another, `scale` times as large."""

    frames: np.ndarray
    scale: int = 5
    milliseconds: int = 150


def panels(columns: int, rows: int = 1, width: float = 9.0, height: float = 3.9) -> Figure:
    """An empty figure of `rows` x `columns` axes; `height` inches a row."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height * rows), layout="constrained")
        figure.subplots(rows, columns, squeeze=False)
    return figure


def rows_of(n: int, columns: int, width: float, height: float) -> Figure:
    """An empty figure of n axes, at most `columns` side by side; inches of each."""
    across, down = max(1, min(columns, n)), max(1, -(-n // columns))
    figure = panels(across, down, width=width * across, height=height)
    for unused in figure.axes[n:]:
        unused.remove()
    return figure


def seeds_line(
    axes: Axes, rows: pd.DataFrame, x: str, y: str, label: str, color: str, split: str
) -> None:
    """y against x: the mean over seeds as a line (dashed for test), their range as a band."""
    wide = rows.assign(point=rows.groupby("seed")[x].rank(method="first")).pivot(
        index="point", columns="seed", values=[x, y]
    )
    across, values = wide[x].mean(axis=1), wide[y]
    style = "--" if split == "test" else "-"
    axes.plot(across, values.mean(axis=1), color=color, linestyle=style, label=label)
    if values.shape[1] > 1:
        low, high = values.min(axis=1), values.max(axis=1)
        axes.fill_between(across, low, high, color=color, alpha=0.2, linewidth=0)


def legend_below(figure: Figure, columns: int, markers: float = 1.0) -> None:
    """One legend for all panels, under them; its markers so many times the size of theirs."""
    entries: dict[str, Artist] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    figure.legend(
        list(entries.values()),
        list(entries),
        loc="outside lower center",
        ncols=columns,
        markerscale=markers,
        frameon=False,
    )


def render(figure: Figure | Film, suffix: str) -> bytes:
    """The figure as a file of that kind; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    if isinstance(figure, Film):
        from PIL import Image  # which matplotlib needs too

        large = figure.frames.repeat(figure.scale, 1).repeat(figure.scale, 2)
        first, *others = (Image.fromarray(frame) for frame in large)
        duration = figure.milliseconds
        first.save(buffer, "gif", save_all=True, append_images=others, duration=duration, loop=0)
        return buffer.getvalue()
    metadata = {"Date": None} if suffix == "svg" else {}
    with matplotlib.rc_context(STYLE):
        figure.savefig(buffer, format=suffix, metadata=metadata)
    return buffer.getvalue()


def suffixes(drawn: Figure | Film) -> tuple[str, ...]:
    """The kinds of files that a figure is saved as."""
    return ("gif",) if isinstance(drawn, Film) else ("png", "svg")


def tile(images: np.ndarray, columns: int) -> np.ndarray:
    """Images (n, rows, columns of pixels) side by side, `columns` of them a line, without gaps."""
    n, height, width = images.shape
    lines = images.reshape(n // columns, columns, height, width).swapaxes(1, 2)
    return lines.reshape(n // columns * height, columns * width)


def show_images(axes: Axes, images: np.ndarray, columns: int) -> None:
    """Grey images, 0 black and 255 white, as one picture without axes."""
    # Without interpolation an SVG holds the pixels as they are, not those of the figure's size.
    axes.imshow(tile(images, columns), cmap="gray", vmin=0, vmax=255, interpolation="none")
    axes.set_axis_off()


def picture(images: np.ndarray, columns: int) -> Figure:
    """Images as one picture and nothing else, a pixel of theirs being a square of the file's."""
    height, width = tile(images, columns).shape
    dpi = STYLE["savefig.dpi"] / max(1, round(WIDE / width))
    figure = panels(columns=1, width=width / dpi, height=height / dpi)
    figure.set_layout_engine("none")
    show_images(figure.axes[0], images, columns)
    figure.axes[0].set_position((0, 0, 1, 1))
    return figure
