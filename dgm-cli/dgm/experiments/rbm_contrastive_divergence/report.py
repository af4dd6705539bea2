"""Likelihoods by AIS against epochs, the errors of AIS and CD, and what machines have learned."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from dgm.experiments.rbm_contrastive_divergence.settings import (
    FILTERS_SHOWN,
    KS,
    PAPER,
    SMALL,
    STEPS_SHOWN,
)
from dgm.recipe.schema import Expectation
from dgm.report import plotting
from dgm.report.reproduction import stderr_of_images
from dgm.report.summary import Metric
from dgm.report.tables import Cell, Results, by_cell, metric_name, own_axes

AXES = ["data", "variant", "method", "k"]
KS_REPORTED = [1, 3, 25]
LOOKS = {  # colour and marker of a machine
    "CD-1": (plotting.ORANGE, "o"),
    "CD-3": (plotting.GREEN, "s"),
    "CD-25": (plotting.BLUE, "^"),
    "PCD": (plotting.RED, "D"),
}
GAP = 8  # pixels between machines of a film
SPARE = [(plotting.PURPLE, "v"), (plotting.SKY, "<"), (plotting.BLACK, ">")]  # for a user's own


# --- metrics ---------------------------------------------------------------------------------


class Chosen(NamedTuple):
    """A machine as it was at the epoch best on validation images."""

    cell: Cell
    epoch: int
    validation: float  # log-likelihoods
    test: float
    refit: float | None  # of test images, once validation images were learned from too
    stderr: float  # of the test images' mean, of the machine learned last


def summarise(results: Results) -> Iterator[Metric]:
    """Likelihoods at the epoch best on validation images, AIS's errors, and CD's."""
    partition, refits = by_key(results, "partition"), by_key(results, "refit")
    chosen: dict[tuple[Any, ...], Chosen] = {}
    for cell, rows in results.rows("likelihood"):
        key, seed = key_of(cell), cell["seed"]
        by_split = rows.pivot(index="epoch", columns="split", values="log_likelihood")
        epoch = int(by_split["validation"].idxmax())
        best = by_split.loc[epoch]
        refit = refits[key]["log_likelihood"].item() if key in refits else None
        at_best = rows[(rows["epoch"] == epoch) & (rows["split"] == "test")]
        stderr, stderr_refit = (
            stderr_of(cell, table) for table in (at_best, refits.get(key, at_best))
        )
        chosen[key] = Chosen(cell, epoch, best["validation"], best["test"], refit, stderr_refit)
        for split in ("test", "train"):
            share = stderr if split == "test" else math.nan
            yield Metric(named(f"{split}_log_likelihood", cell), seed, best[split], share)
        at_end = by_split.loc[by_split.index.max(), "test"]
        yield Metric(named("test_log_likelihood_at_end", cell), seed, at_end)
        interval = (at_best["high"] - at_best["low"]).item()
        yield Metric(named("ais_interval", cell), seed, interval)
        effective = partition[key].set_index("epoch").loc[epoch, "effective_chains"]
        yield Metric(named("ais_effective_chains", cell), seed, effective)
        if refit is not None:
            name = f"{named('test_log_likelihood', cell)}/refit"
            yield Metric(name, seed, refit, stderr_refit)
    yield from comparisons(list(chosen.values()))
    for cell, rows in results.rows("reconstruction"):
        name = named("reconstruction_error", cell)
        yield Metric(name, cell["seed"], rows["error"].iloc[-1])
    for cell, rows in results.rows("exact"):
        key, by_epoch = key_of(cell), rows.set_index("epoch")
        exact = by_epoch.loc[chosen[key].epoch, "log_likelihood"]
        yield Metric(named("exact_log_likelihood", cell), cell["seed"], exact)
        by_ais = partition[key].set_index("epoch")["log_partition"]
        error = (by_ais - by_epoch["log_partition"]).abs().max()
        yield Metric(named("ais_error", cell), cell["seed"], error)
    for cell, rows in results.rows("gradient"):
        at_end = rows[rows["epoch"] == rows["epoch"].max()]
        for k, of_k in at_end[at_end["cd_steps"].isin(KS_REPORTED)].groupby("cd_steps"):
            for stem in ("angle", "bias"):
                name = f"{named(f'gradient_{stem}', cell)}/k{k}"
                yield Metric(name, cell["seed"], of_k[stem].item())


def comparisons(chosen: list[Chosen]) -> Iterator[Metric]:
    """The machine best on validation images, and whether likelihood rises with CD's k; by seed."""
    of_data = [one for one in chosen if one.cell["variant"] != SMALL]
    for seed in dict.fromkeys(one.cell["seed"] for one in of_data):
        machines = [one for one in of_data if one.cell["seed"] == seed]
        best = max(machines, key=lambda one: one.validation)
        test = best.test if best.refit is None else best.refit
        yield Metric("test_log_likelihood/best", seed, test, best.stderr)
        by_k = sorted((one.cell["k"], one.test) for one in machines if one.cell["method"] == "cd")
        tests = [test for _, test in by_k]
        if len(tests) > 1:
            yield Metric("rising_in_k", seed, float(tests == sorted(tests)))


def stderr_of(cell: Cell, row: pd.DataFrame) -> float:
    """Of the mean over test images; NaN of the small machine, whose 14 images are all there are."""
    (of,) = row.to_dict("records")
    return math.nan if cell["variant"] == SMALL else stderr_of_images(of)


def key_of(cell: Cell) -> tuple[Any, ...]:
    return tuple(cell.values())


def by_key(results: Results, name: str) -> dict[tuple[Any, ...], pd.DataFrame]:
    """A table's rows by their cells."""
    return {key_of(cell): rows for cell, rows in results.rows(name)}


def named(stem: str, cell: Cell) -> str:
    """ "test_log_likelihood/cd1", "test_log_likelihood/pcd", "ais_error/cd25/small"."""
    machine = f"{cell['method']}{cell['k'] if cell['method'] == 'cd' or cell['k'] > 1 else ''}"
    variant = "" if cell["variant"] == PAPER else cell["variant"]
    return metric_name(stem, machine, variant, cell=cell, axes=AXES)


def title(cell: Cell) -> str:
    """A cell in a figure: "CD-1", "PCD"."""
    persistent = cell["method"] == "pcd" and cell["k"] == 1
    name = "PCD" if persistent else f"{cell['method'].upper()}-{cell['k']}"
    variant = "" if cell["variant"] in (PAPER, SMALL) else f", {cell['variant']}"
    return name + variant + own_axes(cell, AXES, ", ")


# --- figures ---------------------------------------------------------------------------------


def draw(results: Results, expect: Mapping[str, Expectation]) -> dict[str, Figure | plotting.Film]:
    """Learning curves; filters and chains of each machine; and the small one against the exact."""
    tables = results.tables
    figures: dict[str, Figure | plotting.Film] = {}
    for suffix, small in (("", False), ("_small", True)):
        likelihood, reconstruction = (
            table[(table["variant"] == SMALL) == small]
            for table in (tables["likelihood"], tables["reconstruction"])
        )
        if len(likelihood):
            figures[f"learning{suffix}"] = learning_figure(likelihood, reconstruction, expect)
    if "gradient" in tables:
        figures["gradient"] = gradient_figure(tables["gradient"])
    arrays = {name: by_title(results, name) for name in ("filters", "from_data", "from_noise")}
    if arrays["filters"]:
        figures["filters"] = filters_figure(arrays["filters"])
        figures["chains"] = chains_figure(arrays["from_data"], arrays["from_noise"])
    if forming := by_title(results, "forming"):
        figures["forming"] = forming_film([*forming.values()])
    return figures


def by_title(results: Results, name: str) -> dict[str, np.ndarray]:
    """The arrays of the first seed of each large machine."""
    arrays: dict[str, np.ndarray] = {}
    for cell, array in results.each(name):
        if cell["variant"] != SMALL:
            arrays.setdefault(title(cell), array)
    return arrays


def learning_figure(
    likelihood: pd.DataFrame, reconstruction: pd.DataFrame, expect: Mapping[str, Expectation]
) -> Figure:
    """Test log-likelihood with AIS's 95 % interval, and reconstruction error, against epochs.

    Where a few chains carry all of AIS's weight, its interval has no end: a point is hollow there.
    Reported values are dotted lines, for the papers do not say after how many epochs.
    """
    figure = plotting.panels(columns=2, width=10.0, height=4.3)
    left, right = figure.axes
    shown = [
        (left, likelihood[likelihood["split"] == "test"], "log_likelihood"),
        (right, reconstruction, "error"),
    ]
    spare, looks, reported = iter(SPARE), dict(LOOKS), []
    for axes, table, value in shown:
        for cell, rows in by_cell(table, without=["seed"]):
            name = title(cell)
            if name not in looks:
                looks[name] = next(spare, SPARE[-1])
            color, marker = looks[name]
            plotting.seeds_line(axes, rows, "epoch", value, name, color, "train", marker)
            entry = expect.get(named("test_log_likelihood", cell))
            if "low" in rows and entry and entry.reported is not None:
                reported.append(entry.reported)
                axes.axhline(entry.reported, color=color, linestyle=":", linewidth=1.5)
                place: Any = {"xy": (1.01, entry.reported), "xycoords": ("axes fraction", "data")}
                axes.annotate(name, **place, va="center", color=color)
            if "low" in rows:
                for _, of_seed in rows.groupby("seed"):
                    axes.fill_between(
                        of_seed["epoch"],
                        of_seed["low"].clip(lower=-1e4),
                        of_seed["high"],
                        color=color,
                        alpha=0.2,
                        linewidth=0,
                    )
                endless = rows[np.isinf(rows["high"])]
                axes.plot(
                    endless["epoch"],
                    endless[value],
                    marker,
                    color=color,
                    markerfacecolor="white",
                    zorder=3,
                )
        axes.set(xlabel="epochs", xscale="log")
    best = likelihood["log_likelihood"].max()
    spread = best - likelihood["log_likelihood"].quantile(0.1)
    low, high = best - max(1.5 * spread, 1.0), best + 0.1 * max(spread, 1.0)
    left.set_ylim(min([low, *(value - 3 for value in reported)]), max([high, *reported]))
    left.set(ylabel="log-likelihood (nats per image)", title="Test log-likelihood")
    if np.isinf(likelihood["high"]).any():
        left.plot([], [], "ok", markerfacecolor="white", label="hollow: AIS unsure")
    if reported:
        left.plot([], [], ":k", label="reported")
    right.set(ylabel="squared error per image", title="One-step reconstruction error")
    plotting.legend_below(figure, columns=6)
    return figure


def gradient_figure(gradient: pd.DataFrame) -> Figure:
    """The angle between CD-k's expected gradient and the exact one, and its bias, against k.

    Of the first seed, at three epochs.
    """
    figure = plotting.panels(columns=2, width=9.6, height=4.1)
    of_first = next(rows for _, rows in by_cell(gradient))
    epochs = sorted(of_first["epoch"].unique())
    stages = [epochs[0], epochs[len(epochs) // 2], epochs[-1]]
    looks = ((plotting.SKY, "o"), (plotting.BLUE, "s"), (plotting.BLACK, "^"))
    for i, (epoch, (color, marker)) in enumerate(zip(stages, looks, strict=True)):
        rows = of_first[of_first["epoch"] == epoch]
        for axes, value in zip(figure.axes, ("angle", "bias"), strict=True):
            label = f"epoch {epoch:,}"
            axes.plot(rows["cd_steps"], rows[value], f"{marker}-", color=color, label=label)
        norm = rows["exact_norm"].iloc[0]
        # Where norms are alike, a narrow line on a wide one shows both.
        figure.axes[1].axhline(norm, color=color, linestyle=":", linewidth=3.5 - i)
    left, right = figure.axes
    for axes in figure.axes:
        axes.set(xscale="log", xlabel="$k$, Gibbs steps of CD-$k$", xticks=KS)
        axes.set_xticklabels([str(k) for k in KS])
        axes.minorticks_off()
    left.set(ylabel="angle to the exact gradient (degrees)", ylim=(0, None))
    left.set_title("Direction of CD-$k$'s expected gradient")
    right.set(ylabel="norm", yscale="log", title="Its bias, beside the exact gradient")
    right.plot([], [], ":k", label="norm of the exact gradient")
    right.set_ylim(bottom=max(right.get_ylim()[0], 1e-8))  # below is rounding
    plotting.legend_below(figure, columns=4)
    return figure


def filters_figure(filters: dict[str, np.ndarray]) -> Figure:
    """The first hidden units' weights, a panel a machine."""
    figure = plotting.panels(columns=len(filters), width=2.2 * len(filters), height=2.5)
    for axes, (name, images) in zip(figure.axes, filters.items(), strict=True):
        columns = min(round(FILTERS_SHOWN**0.5), len(images))
        plotting.show_images(axes, images[: len(images) // columns * columns], columns)
        axes.set_title(name)
    return figure


def forming_film(machines: list[np.ndarray]) -> plotting.Film:
    """The first hidden units' weights at each of the epochs, machines of one size side by side."""
    frames, size = [], machines[0].shape
    alike = (each for each in machines if each.shape == size)
    for images in zip(*alike, strict=True):  # each (units, rows, columns of pixels)
        columns = round(len(images[0]) ** 0.5)
        shown = [plotting.tile(each[: len(each) // columns * columns], columns) for each in images]
        gaps = [np.full((len(shown[0]), GAP), 255, np.uint8)] * len(shown)
        parts = [part for pair in zip(gaps, shown, strict=True) for part in pair]
        frames.append(np.concatenate(parts[1:], axis=1))
    return plotting.Film(np.stack(frames), scale=2, milliseconds=700)


def chains_figure(from_data: dict[str, np.ndarray], from_noise: dict[str, np.ndarray]) -> Figure:
    """Gibbs chains from test images and from noise, a line of panels a machine."""
    figure = plotting.panels(columns=2, rows=len(from_data), width=9.0, height=2.3)
    for i, name in enumerate(from_data):
        starts = {"test images": from_data[name], "noise": from_noise[name]}
        for axes, (start, images) in zip(figure.axes[2 * i :], starts.items(), strict=False):
            plotting.show_images(axes, images, columns=len(STEPS_SHOWN))
            axes.set_title(f"{name} from {start}")
    steps = ", ".join(map(str, STEPS_SHOWN))
    figure.supxlabel(f"left to right: after {steps} Gibbs steps", fontsize=10)
    return figure
