"""Encoders of 1985: curves and codes. Small machines: what either phase costs, and what cutting the
free one short does."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from dgm.experiments.boltzmann_machine.settings import COMPLETE, GENERAL, LEARNED_WITH, RESTRICTED
from dgm.recipe.schema import Expectation
from dgm.report import plotting
from dgm.report.summary import Metric
from dgm.report.tables import Cell, Results, metric_name

AXES = ["data", "part", "encoder"]
EQUAL = 0.01  # nats by which the log-likelihoods of machines that are compared may differ
LOOKS = {  # of each machine: its label, colour and marker
    RESTRICTED: ("restricted", plotting.BLUE, "o"),
    GENERAL: ("hidden units connected", plotting.RED, "s"),
    COMPLETE: ("all units connected", plotting.GREEN, "^"),
}


def summarise(results: Results) -> Iterator[Metric]:
    """Shares of runs that were solved, and what the phases of each machine cost."""
    for cell, runs in results.rows("runs"):
        for stem, value in of_runs(runs, patterns=int(cell["encoder"].split("-")[0])):
            yield Metric(named(stem, cell, cell["encoder"]), cell["seed"], value)
    for cell, rows in results.rows("gradient"):
        yield Metric(named("gradient_error", cell), cell["seed"], rows["error"].max())
    measured = zip(results.rows("sweeps"), results.rows("learned"), strict=True)
    for (cell, rows), (_, learned) in measured:
        here, end = rows[rows["scale"] == 1].set_index("machine"), ends(learned)
        for other in (GENERAL, COMPLETE):
            ratio = here["clamped"][other] / here["clamped"][RESTRICTED]
            stem = "clamped_sweeps_ratio" + ("" if other == GENERAL else f"/{other}")
            yield Metric(named(stem, cell), cell["seed"], ratio)
            if other == GENERAL and end[RESTRICTED] - end[GENERAL] < EQUAL:
                yield Metric(named(f"{stem}/equal", cell), cell["seed"], ratio)
        for machine in here.index:
            for phase in ("clamped", "free"):
                stem = f"{phase}_sweeps/{machine}"
                yield Metric(named(stem, cell), cell["seed"], here[phase][machine])
            stem = f"clamped_sweeps_of_mean/{machine}"
            yield Metric(named(stem, cell), cell["seed"], here["of_mean"][machine])
    for cell, rows in results.rows("learned"):
        end = ends(rows)
        for machine, value in end.items():
            yield Metric(named(f"log_likelihood/{machine}", cell), cell["seed"], value)
        anew = rows[rows["machine"] == "anew"].groupby("cut")["log_likelihood"].last()
        for k in LEARNED_WITH:
            lost = anew[0] - anew[k]
            yield Metric(named(f"short_chain_loss/k{k}", cell), cell["seed"], lost)
    for cell, rows in results.rows("annealed"):
        error = (rows["sampled_log_likelihood"] - rows["log_likelihood"]).abs().max()
        yield Metric(named("sampled_likelihood_error", cell), cell["seed"], error)
    for cell, rows in results.rows("sampled"):
        most = rows[rows["chains"] == rows["chains"].max()]
        yield Metric(named("sampled_statistic_error", cell), cell["seed"], most["worst"].max())


def ends(learned: pd.DataFrame) -> pd.Series:
    """The log-likelihood of each machine where its learning ended."""
    return learned[learned["machine"] != "anew"].groupby("machine")["log_likelihood"].last()


def of_runs(runs: pd.DataFrame, patterns: int) -> Iterator[tuple[str, float]]:
    """What came of all runs of one cell."""
    solved = runs["solved"] > 0
    yield "encoder_solved", solved.mean()
    yield "encoder_correct", runs["right"].mean()
    yield "encoder_all_codes", (runs["codes"] == patterns).mean()
    yield "encoder_codes", runs["codes"].mean()
    if solved.any():
        yield "encoder_cycles", runs["solved"][solved].median()


def named(stem: str, cell: Cell, encoder: str = "") -> str:
    """ "encoder_solved/4-2-4": the two parts have no metric in common."""
    return metric_name(stem, encoder, cell=cell, axes=AXES)


def draw(results: Results, expect: Mapping[str, Expectation]) -> dict[str, Figure]:
    """Curves and codes of the encoders; then the machines that are enumerated."""
    figures = {}
    curves = list(results.rows("learning", without=["seed"]))
    if curves:
        figures["encoders"] = encoders_figure({cell["encoder"]: rows for cell, rows in curves})
        codes: dict[str, np.ndarray] = {}
        for cell, array in results.each("codes"):
            codes.setdefault(str(cell["encoder"]), array)
        figures["codes"] = codes_figure(codes)
    tables = results.tables
    if "sweeps" in tables:
        figures["exact"] = exact_figure(tables["sampled"], tables["learned"], tables["annealed"])
        figures["phases"] = phases_figure(tables["sweeps"])
        figures["short_chains"] = short_chains_figure(tables["short"], tables["learned"])
    return figures


def encoders_figure(curves: dict[str, pd.DataFrame]) -> Figure:
    """How many codes are distinct, outputs right and runs solved, by cycle; a panel an encoder."""
    figure = plotting.panels(columns=len(curves), width=3.6 * len(curves), height=3.8)
    lines = {
        "codes": ("different codes, of all patterns", plotting.BLUE, "o"),
        "right": ("right outputs", plotting.ORANGE, "s"),
        "solved": ("solved runs", plotting.GREEN, "^"),
    }
    for axes, (encoder, rows) in zip(figure.axes, curves.items(), strict=True):
        for column, (label, colour, marker) in lines.items():
            plotting.seeds_line(axes, rows, "cycle", column, label, colour, "", marker)
        axes.set(xlabel="cycles of learning", title=encoder, ylim=(-0.03, 1.03), xscale="log")
    figure.axes[0].set_ylabel("share")
    plotting.legend_below(figure, columns=3 if len(curves) > 1 else 1)
    return figure


def codes_figure(codes: dict[str, np.ndarray]) -> Figure:
    """The hidden state (a column of squares) of each pattern, first run of the first seed."""
    wide = [max(3.0, 0.19 * len(code) + 1) for code in codes.values()]
    figure = plotting.panels(columns=len(codes), width=sum(wide), height=3.0)
    for axes, (encoder, code) in zip(figure.axes, codes.items(), strict=True):
        axes.imshow(code.T, cmap="gray_r", vmin=0, vmax=1, interpolation="none")
        axes.set(xlabel="pattern", ylabel="hidden unit", title=encoder)
        axes.set_xticks(np.arange(len(code)) + 0.5, minor=True)
        axes.set_yticks(np.arange(code.shape[1]) + 0.5, minor=True)
        axes.set_xticks([0, len(code) - 1], ["1", str(len(code))])
        axes.set_yticks([0, code.shape[1] - 1], ["1", str(code.shape[1])])
        axes.grid(visible=False)
        axes.grid(which="minor")
    return figure


def lines(axes: Any, rows: pd.DataFrame, x: str, y: str) -> None:
    """y against x, the mean over seeds and their range, a line a machine."""
    for machine, (label, colour, marker) in LOOKS.items():
        of_machine = rows[rows["machine"] == machine]
        plotting.seeds_line(axes, of_machine, x, y, label, colour, "", marker)


def exact_figure(sampled: pd.DataFrame, learned: pd.DataFrame, annealed: pd.DataFrame) -> Figure:
    """Sampled statistics beside exact ones; and log-likelihoods, exact and sampled."""
    figure = plotting.panels(columns=2, width=9.6, height=4.2)
    left, right = figure.axes
    lines(left, sampled, "chains", "rms")
    chains = np.array(sorted(sampled["chains"].unique()))
    left.plot(chains, 0.5 / np.sqrt(chains), ":k", label="1 / (2 √chains)")
    left.set(xscale="log", yscale="log", xlabel="annealed chains")
    left.set(ylabel="root mean square error", title="Sampled statistics of pairs")
    for machine, (_, colour, marker) in LOOKS.items():
        rows = annealed[annealed["machine"] == machine]
        x, y = rows["log_likelihood"], rows["sampled_log_likelihood"]
        right.plot(x, y - x, marker, color=colour, markersize=5)
    right.axhline(0, color="black", linestyle=":")
    right.set(xlabel="exact log-likelihood (nats per image)", ylabel="sampled less exact (nats)")
    right.set_title("Log-likelihood by annealed importance sampling")
    plotting.legend_below(figure, columns=4)
    return figure


def phases_figure(sweeps: pd.DataFrame) -> Figure:
    """Sweeps that either phase needs, against the scale of the weights."""
    figure = plotting.panels(columns=2, width=9.6, height=4.2)
    for axes, phase in zip(figure.axes, ("clamped", "free"), strict=True):
        lines(axes, sweeps, "scale", phase)
        axes.axvline(1, color="grey", linestyle=":", label="where learning ended")
        axes.set(yscale="log", xlabel="weights, times those where learning ended")
        axes.set(ylabel="sweeps", title=f"{phase.capitalize()} phase")
    high = max(axes.get_ylim()[1] for axes in figure.axes)
    for axes in figure.axes:
        axes.set_ylim(0.8, high)
    plotting.legend_below(figure, columns=4)
    return figure


def short_chains_figure(short: pd.DataFrame, learned: pd.DataFrame) -> Figure:
    """The error of a free phase that begins at the data and is cut short; and learning with it."""
    figure = plotting.panels(columns=2, width=9.6, height=4.4)
    left, right = figure.axes
    lines(left, short, "k", "bias")
    left.set(xscale="log", yscale="log", xlabel="sweeps of the free phase, from the data")
    left.set(ylabel="norm of the error", title="Error of the gradient where learning ended")
    left.set_ylim(bottom=max(left.get_ylim()[0], 1e-8))  # below is rounding
    anew = learned[learned["machine"] == "anew"]
    table = anew.pivot_table("log_likelihood", index=["seed", "step"], columns="cut")
    for k, colour in zip(LEARNED_WITH, (plotting.ORANGE, plotting.SKY), strict=True):
        rows = (table[k] - table[0]).rename("difference").reset_index()
        label = f"{k} sweep{'s' * (k > 1)} (right)"
        plotting.seeds_line(right, rows, "step", "difference", label, colour, "")
    right.axhline(0, color="black", linestyle=":", label="exact gradient (right)")
    right.set(xlabel="steps of gradient ascent", ylabel="log-likelihood, difference (nats)")
    right.set_title("Learning with it, hidden units connected")
    plotting.legend_below(figure, columns=4)
    return figure
