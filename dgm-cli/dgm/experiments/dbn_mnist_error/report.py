"""Table 1 of Hinton, Osindero & Teh (2006): errors, tests of their differences, confusions."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from dgm.experiments.dbn_mnist_error.settings import FINAL
from dgm.recipe.schema import Expectation
from dgm.report import plotting
from dgm.report.reproduction import binomial_stderr
from dgm.report.summary import Metric
from dgm.report.tables import Cell, Results, by_cell, metric_name

AXES = ["data", "row"]
ON_THE_WAY = "greedy", "selected"  # stages of the generative net before its last
TITLES = {  # of the rows in the figure, in their order
    "dbn_up_down": "DBN, persistent chains: whole protocol",
    "dbn_selected": "DBN, persistent chains: before the last phase",
    "dbn_greedy": "DBN, persistent chains: greedy learning alone",
    "dbn_contrastive_up_down": "DBN, chains from images: whole protocol",
    "dbn_contrastive_selected": "DBN, chains from images: before the last phase",
    "dbn_contrastive_greedy": "DBN, chains from images: greedy learning alone",
    "dbn_backprop": "pre-training, then backprop",
    "svm": "support vector machine",
    "backprop_1000": "backprop, one hidden layer",
    "backprop_1000_smooth": "backprop, one hidden layer, smooth weights",
    "backprop_500_300": "backprop, two hidden layers",
    "knn": "nearest neighbours",
}


# --- metrics ---------------------------------------------------------------------------------


def summarise(results: Results) -> Iterator[Metric]:
    """Errors of every row and stage, and McNemar's p of every two rows at their end."""
    generative = set()
    for cell, rows in results.rows("errors"):
        if set(ON_THE_WAY) <= set(rows["stage"]):
            generative.add(cell["row"])
        for of in rows.to_dict("records"):
            stderr = binomial_stderr(of["wrong"], of["images"])
            name = f"test_error/{named(cell, of['stage'])}"
            yield Metric(name, cell["seed"], 100 * of["wrong"] / of["images"], stderr)
    for cell, rows in results.rows("curves"):
        if cell["row"] in generative:
            best = rows.loc[rows["split"] == "validation", "error"].min()
            yield Metric(f"validation_error/{named(cell, FINAL)}", cell["seed"], best)
    yield from comparisons(wrongs(results))


def named(cell: Cell, stage: str) -> str:
    """A row and stage in a metric's name: "svm", "dbn_up_down"."""
    row = cell["row"] if stage == FINAL else f"{cell['row']}_{stage}"
    return metric_name(row, cell=cell, axes=AXES)


def wrongs(results: Results) -> dict[str, dict[int, np.ndarray]]:
    """By a row's name and by seed, which test images it got wrong; in the figure's order."""
    found: dict[str, dict[int, np.ndarray]] = {}
    for array, guesses in results.arrays.items():
        if array.startswith("predicted_"):
            for key, guess in guesses.items():
                cell = results.cells[key]
                name = named(cell, array.removeprefix("predicted_"))
                wrong = guess != results.arrays["truth"][key]
                found.setdefault(name, {})[cell["seed"]] = wrong
    order = list(TITLES)
    ranked = sorted(found, key=lambda n: (order.index(n) if n in order else len(order), n))
    return {name: dict(sorted(found[name].items())) for name in ranked}


def comparisons(wrong: dict[str, dict[int, np.ndarray]]) -> Iterator[Metric]:
    """McNemar's p of every two rows at their end: the largest over seeds, for a mean of p-values
    has no meaning; and not corrected for the number of pairs.

    A row of one seed is compared with every seed of the other; other rows seed by seed.
    """
    names = [name for name in wrong if not name.endswith(ON_THE_WAY)]
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            of_a, of_b = wrong[a], wrong[b]
            single = 1 in (len(of_a), len(of_b))
            pairs = [(s, t) for s in of_a for t in of_b if s == t or single]
            if pairs:
                p = max(mcnemar(of_a[s], of_b[t]) for s, t in pairs)
                yield Metric(f"mcnemar_p/{a}/{b}", pairs[0][0], p)


def mcnemar(a_wrong: np.ndarray, b_wrong: np.ndarray) -> float:
    """Exact p-value of "both err equally often", from the images on which only one errs."""
    from scipy.stats import binomtest

    only_a, only_b = int((a_wrong & ~b_wrong).sum()), int((b_wrong & ~a_wrong).sum())
    return float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0


# --- figures ---------------------------------------------------------------------------------


def draw(results: Results, expect: Mapping[str, Expectation]) -> dict[str, Figure]:
    """The table, the confusions of the first seed, and errors by epoch."""
    tables, names = results.tables, list(wrongs(results))
    errors, confusion = with_names(tables["errors"]), with_names(tables["confusion"])
    figures = {
        "table": table_figure(errors, names, expect),
        "confusion": confusion_figure(confusion, names),
    }
    if "curves" in tables:
        figures["curves"] = curves_figure(tables["curves"])
    return figures


def short(name: str) -> str:
    """A row's name above a panel."""
    written = {"_": " ", "dbn": "DBN", "up down": "up-down", "svm": "SVM", "knn": "kNN"}
    for as_named, as_shown in written.items():
        name = name.replace(as_named, as_shown)
    return name


def with_names(table: pd.DataFrame) -> pd.DataFrame:
    """A table with the name of each row and stage in a column of its own."""
    parts = [
        rows.assign(name=[named(cell, stage) for stage in rows["stage"]])
        for cell, rows in by_cell(table)
    ]
    return pd.concat(parts)


def table_figure(
    errors: pd.DataFrame, names: list[str], expect: Mapping[str, Expectation]
) -> Figure:
    """Each row's error: reported, and measured with every seed's exact 95 % interval."""
    figure = plotting.panels(columns=1, width=8.6, height=0.5 * len(names) + 1.0)
    (axes,) = figure.axes
    for i, name in enumerate(names):
        rows = errors[errors["name"] == name]
        spread = np.linspace(-0.16, 0.16, len(rows)) if len(rows) > 1 else [0.0]
        for (_, row), shift in zip(rows.iterrows(), spread, strict=True):
            low, high = row["error"] - row["low"], row["high"] - row["error"]
            axes.errorbar(
                row["error"],
                i + shift,
                xerr=[[low], [high]],
                fmt="o",
                color=plotting.BLUE,
                markersize=4,
                label="measured: a seed, exact 95 % interval",
            )
        entry = expect.get(f"test_error/{name}")
        if entry and entry.reported is not None:
            style: dict[str, Any] = {"color": plotting.RED, "markerfacecolor": "none"}
            style |= {"markersize": 9, "markeredgewidth": 1.8, "label": "reported"}
            axes.plot(entry.reported, i, "D", **style)
        mean = f"{rows['error'].mean():.2f}"
        axes.annotate(mean, (1.01, i), xycoords=("axes fraction", "data"), va="center")
    axes.set_yticks(range(len(names)), [TITLES.get(name, name) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(0, None)
    axes.set(xlabel="test error (percent); at the right the mean over seeds")
    axes.grid(axis="y", visible=False)
    plotting.legend_below(figure, columns=2)
    return figure


def confusion_figure(confusion: pd.DataFrame, names: list[str]) -> Figure:
    """For the first seed, how many test images of each class were taken for each other class."""
    figure = plotting.rows_of(len(names), columns=4, width=2.6, height=3.1)
    for axes, name in zip(figure.axes, names, strict=True):
        of_name = confusion[confusion["name"] == name]
        first = of_name[of_name["seed"] == of_name["seed"].iloc[0]]
        counts = first.pivot(index="true", columns="predicted", values="images").to_numpy().copy()
        np.fill_diagonal(counts, 0)
        axes.imshow(counts, cmap="Blues", vmin=0)
        for (true, guess), n in np.ndenumerate(counts):
            if n:
                color = "white" if n > 0.6 * counts.max() else "black"
                axes.text(guess, true, n, ha="center", va="center", fontsize=6, color=color)
        classes = [str(c) for c in range(len(counts))]
        axes.set_xticks(range(len(counts)), classes, fontsize=7)
        axes.set_yticks(range(len(counts)), classes, fontsize=7)
        axes.set_title(f"{short(name)}: {counts.sum()} errors", fontsize=9)
        axes.grid(visible=False)
    figure.supxlabel("taken for", fontsize=10)
    figure.supylabel("digit", fontsize=10)
    return figure


def curves_figure(curves: pd.DataFrame) -> Figure:
    """Errors in percent by epoch, a line a seed: validation images, and training on all images.

    Where rates and decays were tried, those that were not chosen are thin grey lines.
    """
    names = list(curves["row"].unique())
    figure = plotting.rows_of(len(names), columns=3, width=3.4, height=3.0)
    validation = curves[curves["split"] == "validation"]
    top = 3 * validation.groupby("row")["error"].min().max()
    for i, (axes, name) in enumerate(zip(figure.axes, names, strict=True)):
        of_row = curves[curves["row"] == name]
        for _, of_seed in by_cell(of_row):
            tried = [column for column in ("rate", "decay") if column in of_seed]
            runs = [run for _, run in of_seed.groupby(["seed", *tried], dropna=False)]
            for run in runs:
                chosen = len(runs) == 1 or "all" in set(run["split"])
                for split, rows in run.groupby("split"):
                    axes.plot(rows["epoch"], rows["error"], **line(str(split), chosen))
        axes.set(title=titled(name), ylim=(0, top if top > 0 else None))
        axes.set(xlabel="epochs", ylabel="" if i % 3 else "error (percent)")
    plotting.legend_below(figure, columns=3)
    return figure


def titled(row: str) -> str:
    """A row in a panel's title, without its stage."""
    title = TITLES.get(row) or TITLES.get(f"{row}_up_down") or short(row)
    return title.partition(":")[0]


def line(split: str, chosen: bool) -> dict[str, Any]:
    """How a run's errors are drawn."""
    if split == "all":
        label = "training and validation images, learned from"
        return {"color": plotting.ORANGE, "linestyle": "--", "zorder": 3, "label": label}
    if chosen:
        label = "validation images, a line a seed"
        return {"color": plotting.BLUE, "zorder": 3, "linewidth": 1.2, "label": label}
    label = "validation images, settings not chosen"
    return {"color": "#bbbbbb", "linewidth": 0.7, "zorder": 2, "label": label}
