"""Samples of models of a ring of Gaussians, all seeds side by side."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from dgm.report import plotting
from dgm.report.tables import Results

MODES = 8  # of the ring, drawn as grey discs on the unit circle


def rings_figure(
    results: Results,
    axis: str,
    order: Sequence[str],
    names: Mapping[str, str],
    colours: Mapping[str, str],
    side: float,
    reach: float,
) -> Figure:
    """The array "samples" of every cell and seed, collapsed ones too.

    A line for each value of `axis` that is there, in this order; panels `side` inches wide show the
    plane from -reach to reach.
    """
    cells = list(results.each("samples"))
    present = {of[axis] for of, _ in cells}
    lines = [each for each in order if each in present]
    seeds = sorted({of["seed"] for of, _ in cells})
    width = max(6.0, side * len(seeds))
    figure = plotting.panels(columns=len(seeds), rows=len(lines), width=width, height=side + 0.05)
    turns = 2 * np.pi * np.arange(MODES) / MODES
    for cell, points in cells:
        axes = figure.axes[lines.index(cell[axis]) * len(seeds) + seeds.index(cell["seed"])]
        axes.plot(np.cos(turns), np.sin(turns), "o", color="#bbbbbb", markersize=6)
        x, y = points.astype(float).T
        axes.plot(x, y, ".", color=colours[cell[axis]], markersize=1.3, rasterized=True)
    for i, axes in enumerate(figure.axes):
        row, column = divmod(i, len(seeds))
        axes.set(xlim=(-reach, reach), ylim=(-reach, reach), xticks=[], yticks=[], aspect="equal")
        axes.grid(False)
        axes.spines[:].set_visible(False)
        if row == 0:
            axes.set_title(f"seed {seeds[column]}", fontsize=9)
        if column == 0:
            axes.set_ylabel(names[lines[row]].replace(", ", ",\n"), fontsize=9)
    return figure
