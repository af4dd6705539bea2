"""One look for every figure: colour-blind-safe, legible at the README's width.

Figures are drawn by `render_all` in matplotlib's defaults and `STYLE`: nothing is taken from the
user's matplotlibrc, and no window or notebook is asked for.
"""

import io
from collections.abc import Callable, Mapping
from types import MappingProxyType
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
# Ten classes: Okabe & Ito's eight with a brown and a grey, which differ in lightness.
TEN = ListedColormap(
    [BLACK, BLUE, ORANGE, GREEN, RED, PURPLE, SKY, "#F0E442", BROWN, "#999999"], "ten"
)
# What differs from matplotlib's defaults, whatever a user's matplotlibrc or style files say.
STYLE: dict[Any, Any] = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "savefig.dpi": 130,
    "svg.fonttype": "path",
    "svg.hashsalt": "dgm",
}
DEFAULTS = {key: value for key, value in matplotlib.rcParamsDefault.items() if key != "backend"}
FEW = 20  # points of a line that can each have a marker
WIDE = 560  # a picture's width in pixels, roughly, unless another is given


class Film(NamedTuple):
    """Images (n, rows, columns of pixels) that follow one another, `scale` times as large.

    Grey ones, or coloured ones with one dimension more.
    """

    frames: np.ndarray
    scale: int = 5
    milliseconds: int = 150


def panels(columns: int, rows: int = 1, width: float = 9.0, height: float = 3.9) -> Figure:
    """An empty figure of `rows` x `columns` axes; `height` inches a row."""
    figure = Figure(figsize=(width, height * rows), layout="constrained")
    figure.subplots(rows, columns, squeeze=False)
    return figure


def rows_of(n: int, columns: int, width: float, height: float) -> Figure:
    """An empty figure of n axes, at most `columns` side by side, each `width` x `height` inches."""
    across, down = max(1, min(columns, n)), max(1, -(-n // columns))
    figure = panels(across, down, width=width * across, height=height)
    for unused in figure.axes[n:]:
        unused.remove()
    return figure


def seeds_line(
    axes: Axes,
    rows: pd.DataFrame,
    x: str,
    y: str,
    label: str,
    color: str,
    split: str,
    marker: str = "",
    zorder: float = 2,
) -> None:
    """y against x: the mean over seeds as a line (dashed for test), and the range of the seeds.

    The range is a band, or where few points have a `marker`, a bar at each; of many some have it.
    """
    wide = rows.assign(point=rows.groupby("seed")[x].rank(method="first")).pivot(
        index="point", columns="seed", values=[x, y]
    )
    across, values = wide[x].mean(axis=1), wide[y]
    mean, low, high = values.mean(axis=1), values.min(axis=1), values.max(axis=1)
    look: dict[str, Any] = {
        "color": color,
        "linestyle": "--" if split == "test" else "-",
        "label": label,
        "zorder": zorder,
    }
    few = len(across) <= FEW
    axes.plot(across, mean, marker=marker, markersize=5, markevery=None if few else 0.12, **look)
    if values.shape[1] > 1 and marker and few:
        axes.vlines(across, low, high, color=color, linewidth=3, alpha=0.5, zorder=zorder)
    elif values.shape[1] > 1:
        axes.fill_between(across, low, high, color=color, alpha=0.2, linewidth=0)


def legend_below(figure: Figure, columns: int, markers: float = 1.0) -> None:
    """One legend for all panels, below them; `markers` scales its markers."""
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


def render_all(
    draw: Callable[[], Mapping[str, Figure | Film]],
    origin: Mapping[str, str] = MappingProxyType({}),
) -> tuple[dict[str, bytes], dict[str, str]]:
    """The files of all figures that `draw` makes, and why others could not be drawn; by name.

    A figure becomes .png and .svg, a film .gif. They are drawn in `STYLE` alone; the same figures
    give the same bytes. Each file tells its `origin`: texts by Dublin Core's terms, as "Title".
    """
    files: dict[str, bytes] = {}
    failed: dict[str, str] = {}
    with matplotlib.rc_context(DEFAULTS | STYLE):
        try:
            figures = draw()
        except Exception as error:
            return {}, {"figures": _in_one_line(error)}
        for name, figure in figures.items():
            try:
                rendered = _render(figure, origin)
                files |= {f"{name}.{kind}": content for kind, content in rendered.items()}
            except Exception as error:
                failed[name] = _in_one_line(error)
    return files, failed


def _render(figure: Figure | Film, origin: Mapping[str, str]) -> dict[str, bytes]:
    """The content of each kind of file; no date, so that it stays the same."""
    if isinstance(figure, Film):
        return {"gif": _gif(figure, comment="\n".join(origin.values()))}
    return {
        "png": _saved(figure, format="png", metadata={**origin}),
        "svg": _saved(figure, format="svg", metadata={**origin, "Date": None}),
    }


def _saved(figure: Figure, **keys: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, **keys)
    return buffer.getvalue()


def _gif(film: Film, comment: str) -> bytes:
    from PIL import Image  # which matplotlib needs too

    buffer = io.BytesIO()
    large = film.frames.repeat(film.scale, 1).repeat(film.scale, 2)
    first, *others = (Image.fromarray(frame) for frame in large)
    first.save(
        buffer,
        "gif",
        save_all=True,
        append_images=others,
        duration=film.milliseconds,
        loop=0,
        comment=comment,
    )
    return buffer.getvalue()


def _in_one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def tile(images: np.ndarray, columns: int) -> np.ndarray:
    """Images (n, rows, columns of pixels) as one, `columns` of them in a line, without gaps.

    Coloured ones have one dimension more.
    """
    n, height, width, *channels = images.shape
    lines = images.reshape(n // columns, columns, height, width, *channels).swapaxes(1, 2)
    return lines.reshape(n // columns * height, columns * width, *channels)


def show_images(axes: Axes, images: np.ndarray, columns: int) -> None:
    """Grey images, 0 black and 255 white, as one picture without axes."""
    # Without interpolation an SVG holds the pixels as they are, not those of the figure's size.
    axes.imshow(tile(images, columns), cmap="gray", vmin=0, vmax=255, interpolation="none")
    axes.set_axis_off()


def picture(images: np.ndarray, columns: int, wide: int = WIDE) -> Figure:
    """Images as one picture and nothing else, about `wide` pixels of the file in width; each of
    their own pixels is a square there."""
    height, width = tile(images, columns).shape[:2]
    dpi = STYLE["savefig.dpi"] / max(1, round(wide / width))
    figure = panels(columns=1, width=width / dpi, height=height / dpi)
    figure.set_layout_engine("none")
    show_images(figure.axes[0], images, columns)
    figure.axes[0].set_position((0, 0, 1, 1))
    return figure
