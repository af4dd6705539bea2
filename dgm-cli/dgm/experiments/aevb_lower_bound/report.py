"""Figure 2 of Kingma & Welling (2014): the bound against the samples seen, and what it ends at."""

from collections.abc import Iterator, Mapping

import pandas as pd
from matplotlib.figure import Figure

from dgm.data import title
from dgm.protocols.settings.vae import pixels
from dgm.recipe.schema import Expectation
from dgm.report import plotting
from dgm.report.summary import Metric
from dgm.report.tables import Cell, Results, by_cell, metric_name, own_axes

AXES = ["data", "decoder", "binarization", "method", "latent_dim", "variant"]
COMPARED = ["method", "latent_dim"]  # within a figure
SUPERFLUOUS = {"mnist": (20, 200), "digits": (10, 40)}  # dimensions that suffice, and too many
NAMES = {"aevb": "AEVB", "wake_sleep": "Wake-sleep"}
COLORS = {"aevb": plotting.BLUE, "wake_sleep": plotting.ORANGE}
NOTES = {
    ("bernoulli", "none"): "real-valued pixels as Bernoulli targets: an unnormalised likelihood",
    ("bernoulli", "static"): "binary pixels, one fixed draw",
    ("bernoulli", "dynamic"): "binary pixels, drawn at each visit, evaluated on one fixed draw",
    ("gaussian", "none"): "Gaussian pixels",
}
PAPER_RANGE = {"mnist": (-150.0, -90.0), "frey_faces": (0.0, 1600.0)}  # nats, the y axes


def summarise(results: Results) -> Iterator[Metric]:
    """Bounds, active latents, how often AEVB wins, and what superfluous dimensions cost."""
    for cell, rows in results.rows("bounds"):
        by_split = rows.set_index("split")["elbo"]
        for split in ("test", "train"):
            yield Metric(named(f"{split}_elbo", cell), cell["seed"], by_split[split])
    for cell, rows in results.rows("latents"):
        yield Metric(named("active_latents", cell), cell["seed"], rows["active"].item())

    bounds, curves = results.tables["bounds"], results.rows("curves")
    at_end = pd.concat([rows[rows["samples"] == rows["samples"].max()] for _, rows in curves])
    for ending, table in (("", bounds), ("_at_end", at_end)):
        for cell, rows in by_cell(table, without=COMPARED):
            for claim, value in claims(rows, *SUPERFLUOUS.get(cell["data"], (0, 0))):
                yield Metric(named(claim + ending, cell), cell["seed"], value)


def claims(bounds: pd.DataFrame, enough: int, too_many: int) -> Iterator[tuple[str, float]]:
    """The paper's claims about the bounds on one kind of pixels, where all they need was measured.

    The share of dimensions at which AEVB is above wake-sleep; how much the test bound gains by
    `too_many` latent dimensions in place of `enough`; and how much more the training bound gains.
    """
    test = bounds[bounds["split"] == "test"]
    by_method = test.pivot(index="latent_dim", columns="method", values="elbo")
    if set(NAMES) <= set(by_method) and not by_method.isna().any(axis=None):
        yield "aevb_above_wake_sleep", float((by_method["aevb"] > by_method["wake_sleep"]).mean())
    aevb = bounds[bounds["method"] == "aevb"]
    by_split = aevb.pivot(index="latent_dim", columns="split", values="elbo")
    if {enough, too_many} <= set(by_split.index):
        gained = by_split.loc[too_many] - by_split.loc[enough]
        yield "superfluous_latents_cost", gained["test"]
        yield "superfluous_latents_overfitting", gained["train"] - gained["test"]


def named(stem: str, cell: Cell) -> str:
    """ "test_elbo/aevb/latent3", "train_elbo/aevb/latent3/unnormalised", "test_elbo/frey/latent2".

    The paper's method is named only beside Bernoulli pixels.
    """
    of_pixels, method = pixels(cell["data"], cell["decoder"]), cell.get("method", "")
    binarization = {"none": "unnormalised", "static": "", "dynamic": "dynamic"}
    return metric_name(
        stem,
        of_pixels,
        "" if of_pixels and method == "aevb" else method,
        f"latent{cell['latent_dim']}" if "latent_dim" in cell else "",
        binarization[cell["binarization"]] if cell["decoder"] == "bernoulli" else "",
        cell["variant"] or "",
        cell=cell,
        axes=AXES,
    )


def draw(results: Results, expect: Mapping[str, Expectation]) -> dict[str, Figure]:
    """A figure for each kind of pixels and each variant, a panel for each latent dimension."""
    figures = {}
    for cell, rows in results.rows("curves", without=[*COMPARED, "seed"]):
        note = f"{title(cell['data'])}: {NOTES[cell['decoder'], cell['binarization']]}"
        note += f", {cell['variant']}" if cell["variant"] else ""
        note += own_axes(cell, AXES, ", ")
        name = named("figure2", cell).replace("/", "_")
        figures[name] = bound_figure(rows, note, PAPER_RANGE.get(cell["data"]))
    return figures


def bound_figure(curves: pd.DataFrame, note: str, paper: tuple[float, float] | None) -> Figure:
    """One panel a latent dimension: train solid, test dashed, a colour for each method."""
    dimensions = sorted(curves["latent_dim"].unique())
    width = max(2.1 * len(dimensions) + 0.9, 6.5)
    figure = plotting.panels(columns=len(dimensions), width=width, height=3.6)
    shown = curves[curves["samples"] == curves["samples"].max()]["elbo"]
    low, high = paper or (shown.min() - 0.5 * shown.std() - 5, shown.max() + 2)
    for axes, dimension in zip(figure.axes, dimensions, strict=True):
        panel = curves[curves["latent_dim"] == dimension]
        for method in NAMES:
            for split in ("train", "test"):
                rows = panel[(panel["method"] == method) & (panel["split"] == split)]
                if len(rows):
                    label = f"{NAMES[method]}, {split}"
                    plotting.seeds_line(axes, rows, "samples", "elbo", label, COLORS[method], split)
        axes.set_xscale("log")
        axes.set_xlim(panel["samples"].min(), panel["samples"].max())
        axes.set_ylim(min(low, shown.min() - 3), max(high, shown.max() + 2))
        axes.set(title=f"$N_z$ = {dimension}", xlabel="samples evaluated")
        if dimension != dimensions[0]:
            axes.tick_params(labelleft=False)
    figure.axes[0].set_ylabel("lower bound (nats per image)")
    plotting.legend_below(figure, columns=2 if width < 9 else 4)
    figure.suptitle(note, fontsize=9)
    return figure
