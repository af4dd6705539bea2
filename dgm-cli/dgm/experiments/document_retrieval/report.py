"""Figure 4 of Hinton & Salakhutdinov (2006): precision by how many are retrieved, and clouds."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from dgm.data import names, title
from dgm.experiments.document_retrieval.settings import CLOUDS, CUTOFFS
from dgm.recipe.schema import Expectation
from dgm.report import plotting
from dgm.report.summary import Metric
from dgm.report.tables import Cell, Results, by_cell, metric_name

AXES = ["data", "row", "code"]
NAMES = {  # of the data in a metric's name
    "newsgroups": "20news",
    "newsgroups_bow": "20news_bow",
    "newsgroups_unstripped": "20news_unstripped",
    "synthetic_documents": "synthetic",
}
PAPER = {  # read off Figure 4A, which is of another collection, RCV1-v2
    "autoencoder10": [0.433, 0.407, 0.388, 0.371, 0.353, 0.336, 0.318, 0.296, 0.275, 0.251],
    "lsa50": [0.432, 0.399, 0.373, 0.352, 0.332, 0.311, 0.292, 0.272, 0.251, 0.230],
    "lsa10": [0.308, 0.280, 0.264, 0.251, 0.238, 0.228, 0.217, 0.205, 0.194, 0.181],
}
LOOKS = {  # colour and marker of a row and the size of its code
    "autoencoder10": (plotting.BLUE, "o"),
    "lsa10": (plotting.ORANGE, "v"),
    "lsa50": (plotting.RED, "^"),
    "lsa_idf10": (plotting.PURPLE, "<"),
    "lsa_idf50": (plotting.SKY, ">"),
    "tfidf": (plotting.GREEN, "s"),
    "best": (plotting.BLACK, "*"),
    "perfect": (plotting.BROWN, "x"),
    "codes10": (plotting.BLUE, "o"),
}
LSA = {"lsa": "LSA", "lsa_idf": "LSA of TF-IDF"}  # the paper's, and a stronger one
TITLES = {
    "tfidf": "TF-IDF, all words",
    "best": "posterior of the true topics",
    "perfect": "perfect ranking",
}


# --- metrics ---------------------------------------------------------------------------------


def summarise(results: Results) -> Iterator[Metric]:
    """Precision at every cutoff, and the Jaccard overlap where documents have several topics; and
    where the autoencoder's ten numbers are above latent semantic analysis."""
    table = precision_of(results)
    for cell, rows in by_cell(table):
        for measure, of in rows.groupby("measure", sort=False):
            for k, value in zip(of["retrieved"], of["value"], strict=True):
                yield Metric(f"{named(str(measure), cell)}/at{k}", cell["seed"], value)

    yield from leads(table[table["measure"] == "precision"])


def leads(precision: pd.DataFrame) -> Iterator[Metric]:
    """The share of cutoffs at which the autoencoder's ten numbers are above LSA's ten or fifty."""
    cells = list(by_cell(precision, without=["seed"]))
    for cell, ours in cells:
        if (cell["row"], cell["code"]) != ("autoencoder", 10):
            continue
        for row, (code, first) in itertools.product(LSA, ((10, 1), (50, 3), (50, 15))):
            wanted = cell | {"row": row, "code": code}  # a user's own axis is None where it is not
            theirs = [
                rows
                for other, rows in cells
                if all(value in (None, wanted[axis]) for axis, value in other.items())
            ]
            if len(theirs) == 1:
                name = metric_name(
                    f"above_{row}{code}_from{first}", short(cell["data"]), cell=cell, axes=AXES
                )
                baseline = by_cutoff(next(of for _, of in theirs[0].groupby("seed")))
                for seed, of_seed in ours.groupby("seed", sort=False):
                    lead = (by_cutoff(of_seed) - baseline).loc[first:]
                    yield Metric(name, int(str(seed)), float((lead > 0).mean()))


def by_cutoff(rows: pd.DataFrame) -> pd.Series:
    return rows.set_index("retrieved")["value"]


def short(data: str) -> str:
    """A data set in a metric's name."""
    return NAMES.get(data, data)


def precision_of(results: Results) -> pd.DataFrame:
    """The table "precision", with the rows that the parts' hits add up to."""
    parts = [results.tables["precision"]] if "precision" in results.tables else []
    if "hits" in results.tables:
        hits = results.tables["hits"].drop(columns=["trial", "part"], errors="ignore")
        cells = [column for column in hits if column not in ("hits", "queries")]
        sums = hits.groupby(cells, sort=False, dropna=False).sum().reset_index()
        value = sums["hits"] / (sums["queries"] * sums["retrieved"])
        parts.append(sums.assign(measure="precision", value=value)[[*cells, "measure", "value"]])
    return pd.concat(parts)


def named(stem: str, cell: Cell) -> str:
    """ "precision/20news/autoencoder10", "jaccard/reuters/tfidf"."""
    return metric_name(stem, short(cell["data"]), with_size(cell), cell=cell, axes=AXES)


def with_size(cell: Cell) -> str:
    """A row and the size of its code, without a size of 0 (all words): "lsa50", "tfidf"."""
    return f"{cell['row']}{cell['code'] or ''}"


# --- figures ---------------------------------------------------------------------------------


def draw(results: Results, expect: Mapping[str, Expectation]) -> dict[str, Figure]:
    """Precision against how many are retrieved, a panel a collection; and clouds of documents."""
    precision = precision_of(results)
    figures = {"figure4a": curves_figure(precision[precision["measure"] == "precision"])}
    clouds: dict[str, dict[str, dict[str, np.ndarray]]] = {}
    for key in results.arrays.get("cloud", {}):
        cell = results.cells[key]
        one = {name: results.arrays[name][key] for name in ("cloud", "group", "groups")}
        clouds.setdefault(cell["data"], {}).setdefault(cell["row"], one)  # the first seed
    for data, by_row in clouds.items():
        figures[f"clouds_{short(data)}"] = clouds_figure(by_row)
    return figures


def curves_figure(precision: pd.DataFrame) -> Figure:
    """As Figure 4A, a panel a collection; before these the paper's own curves, of another."""
    precision = precision[precision["code"] != CLOUDS]
    sets = list(precision["data"].unique())
    paper = PAPER if set(sets) & set(names("documents")) - {"synthetic_documents"} else {}
    n, trained = len(sets) + bool(paper), "autoencoder" in set(precision["row"])
    columns = min(n, 3 if n > 4 else 2)
    figure = plotting.rows_of(n, columns, width=6.5 if n == 1 else 10.5 / columns, height=4.0)
    for name, values in paper.items():
        color, marker = LOOKS[name]
        figure.axes[0].plot(range(len(CUTOFFS)), values, marker=marker, markersize=5, color=color)
        figure.axes[0].set_title(f"{title('rcv1')}, as the paper reported")
    for axes, data in zip(figure.axes[bool(paper) :], sets, strict=True):
        panel = precision[precision["data"] == data]
        for cell, rows in by_cell(panel, without=["seed"]):
            color, marker = LOOKS.get(with_size(cell), ("grey", "."))
            rows = rows.assign(place=rows["retrieved"].map(CUTOFFS.index))
            seeds, ours = rows["seed"].nunique(), cell["row"] == "autoencoder"
            label = look(cell) + (f", mean and range of {seeds} seeds" if seeds > 1 else "")
            how = (color, "train", marker, 3 if ours else 2)
            plotting.seeds_line(axes, rows, "place", "value", label, *how)
        lacking = trained and "autoencoder" not in set(panel["row"])
        axes.set_title(title(data) + ("\n(no autoencoder was trained)" if lacking else ""))
    top = max([*precision["value"], *itertools.chain(*paper.values())])
    for i, axes in enumerate(figure.axes):
        axes.set_xticks(range(len(CUTOFFS)), [str(k) for k in CUTOFFS], rotation=60)
        axes.set(xlabel="retrieved documents", ylim=(0, 1.03 * top))
        if i % columns == 0:
            axes.set_ylabel("precision: share of the query's topic")
    plotting.legend_below(figure, columns=min(3, columns + 1))
    return figure


def look(cell: dict[str, Any]) -> str:
    """A row in the legend: "LSA, 10 numbers"."""
    title = {**LSA, **TITLES}.get(cell["row"], cell["row"])
    return f"{title}, {cell['code']} numbers" if cell["code"] else title


def clouds_figure(by_row: dict[str, dict[str, np.ndarray]]) -> Figure:
    """Documents as points of two numbers, coloured by their group of topics."""
    figure = plotting.panels(columns=len(by_row), width=4.4 * len(by_row), height=4.4)
    for axes, (row, of) in zip(figure.axes, by_row.items(), strict=True):
        for number, name in enumerate(["others", *of["groups"]]):
            color = "#cccccc" if number == 0 else plotting.TEN(number)
            points = of["cloud"][of["group"] == number]
            style: dict[str, Any] = {
                "markersize": 2,
                "rasterized": True,
            }  # thousands of points, in an .svg too
            axes.plot(points[:, 0], points[:, 1], ".", color=color, label=name, **style)
        low, high = np.quantile(of["cloud"], [0.005, 0.995], axis=0)
        margin = 0.05 * (high - low)
        axes.set_xlim(low[0] - margin[0], high[0] + margin[0])
        axes.set_ylim(low[1] - margin[1], high[1] + margin[1])
        axes.set(title=look({"row": row, "code": CLOUDS}), xticks=[], yticks=[])
        axes.set(xlabel="first number of the code", ylabel="second")
    plotting.legend_below(figure, columns=4, markers=4)
    return figure
