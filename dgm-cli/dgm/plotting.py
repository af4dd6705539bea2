"""One look for every figure: colour-blind-safe, legible at the README's width."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
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
STYLE = {
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


def panels(columns: int, rows: int = 1, width: float = 9.0, height: float = 3.9) -> Figure:
    """An empty figure of `rows` x `columns` axes; `height` inches a row."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height * rows), layout="constrained")
        figure.subplots(rows, columns, squeeze=False)
    return figure


def seeds_line(
    axes: Axes, x: np.ndarray, values: Sequence[np.ndarray], color: str, dashed: bool, label: str
) -> None:
    """The mean over seeds as a line, their range as a band of the same colour."""
    stacked = np.stack(values)
    axes.plot(x, stacked.mean(0), color=color, linestyle="--" if dashed else "-", label=label)
    if len(stacked) > 1:
        axes.fill_between(x, stacked.min(0), stacked.max(0), color=color, alpha=0.2, linewidth=0)
