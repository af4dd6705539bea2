"""Retrieval of documents of the same topic, by codes of few numbers and by many.

Hinton & Salakhutdinov (2006), Figure 4: a deep autoencoder's 10 numbers against latent semantic
analysis. The net: `dgm.models.autoencoder`, whose first RBM has softmax units, learned by
`dgm.protocols.fit_autoencoder`; the score of a ranking: `dgm.retrieval.ranking`.

Codes are fitted on training documents; each test document once is the query, and the others are
ranked by the cosine of their codes to it. Topics are not learned from. At the paper's scale codes
are generated, and the search is that of `dgm.retrieval.search`.
"""

import itertools
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pandas as pd
import pydantic
import torch
from matplotlib.figure import Figure
from pydantic import Field
from scipy.sparse import csr_array
from torch import Tensor

from dgm.data import TITLES, names
from dgm.data.bags import Bags, Documents
from dgm.data.documents import synthetic_documents
from dgm.data.generated_codes import Codes
from dgm.errors import BadInput
from dgm.protocols.fit_autoencoder import AutoencoderSettings, fit_autoencoder
from dgm.report import plotting
from dgm.report.summary import Metric
from dgm.report.tables import Artifacts, by_cell, own_axes, read_label
from dgm.retrieval.ranking import mean_gains
from dgm.retrieval.search import Hits, build
from dgm.trial.loop import Trial

REVISION = 2
AXES = ["data", "row", "code"]
CUTOFFS = [1, 3, 7, 15, 31, 63, 127, 255, 511, 1023]
NAMES = {  # of the data in a metric's name
    "newsgroups": "20news",
    "newsgroups_bow": "20news_bow",
    "newsgroups_unstripped": "20news_unstripped",
    "synthetic_documents": "synthetic",
}
PAPER = {  # read off Figure 4A, which is of another collection, RCV1-v2
    "autoencoder, 10": [0.433, 0.407, 0.388, 0.371, 0.353, 0.336, 0.318, 0.296, 0.275, 0.251],
    "LSA, 50": [0.432, 0.399, 0.373, 0.352, 0.332, 0.311, 0.292, 0.272, 0.251, 0.230],
    "LSA, 10": [0.308, 0.280, 0.264, 0.251, 0.238, 0.228, 0.217, 0.205, 0.194, 0.181],
}
COLORS = {
    "autoencoder10": plotting.BLUE,
    "lsa10": plotting.ORANGE,
    "lsa50": plotting.RED,
    "lsa_idf10": plotting.PURPLE,
    "lsa_idf50": plotting.SKY,
    "tfidf": plotting.GREEN,
    "best": plotting.BLACK,
    "perfect": plotting.BROWN,
    "codes10": plotting.BLUE,
}
LSA = {"lsa": "LSA", "lsa_idf": "LSA of TF-IDF"}  # the paper's, and a stronger one
CLOUDS = 2  # numbers of a code that is drawn as a point
SHOWN = 6  # groups of topics with a colour of their own
QUERIES, COSINES = 500, 20_000_000  # ranked at once, at most; 2 GB or so


class Settings(AutoencoderSettings):
    """One row: a representation of documents and its size. Sizes of the net are the paper's."""

    kinds: ClassVar[tuple[str, ...]] = ("documents", "codes")

    row: str = Field("autoencoder", description="the row's name")
    method: Literal["autoencoder", "lsa", "tfidf", "best", "perfect", "codes"] = Field(
        "autoencoder",
        description="lsa: singular vectors; tfidf: all words, as `words` says; "
        "best: the topics' posterior, where the collection was drawn from a known model; "
        "perfect: every document that shares a topic before all others; "
        "codes: the data are codes already",
    )
    layers: list[Annotated[int, Field(gt=0)]] = Field(
        [500, 250, 125], description="logistic units between words and code"
    )
    code: int = Field(10, ge=0, description="numbers of the code; 0 where it is all words")
    words: Literal["counts", "log", "log_idf"] = Field(
        "log",
        description="what a method sees of a document: counts, log(1 + count), or that "
        "times the word's inverse document frequency",
    )
    judged: Literal["test", "validation"] = Field(
        "test",
        description="validation: every fifth training document is left out and judged in place of "
        "test documents, for choosing settings",
    )

    documents: int = Field(400_000, gt=1, description="method codes: the first so many of them")
    parts: int = Field(1, gt=0, description="method codes: of the queries, a trial each")
    part: int = Field(0, ge=0, description="method codes: which of the parts")

    @pydantic.model_validator(mode="after")
    def _numbers_that_are_there(self) -> "Settings":
        if self.code == 0 and self.method in ("autoencoder", "lsa"):
            raise ValueError(f"{self.method} needs a code of 1 number or more")
        if self.part >= self.parts:
            raise ValueError(f"part {self.part}: the {self.parts} parts are counted from 0")
        return self


def run_trial(settings: Settings, trial: Trial) -> Artifacts:
    """Represent the documents, and rank them for each query."""
    if isinstance(trial.data, Codes) != (settings.method == "codes"):
        raise BadInput(f"{trial.data.name}: not for method {settings.method}")
    if isinstance(trial.data, Codes):
        return retrieve(settings, trial, trial.data)
    documents: Documents = trial.data  # type: ignore[assignment]
    train, judged = documents.train, documents.test
    if settings.judged == "validation":
        fifth = np.arange(len(train)) % 5 == 0
        train, judged = (Bags(train.counts[of], train.topics[of]) for of in (~fifth, fifth))
    if settings.method == "best" and documents.name != "synthetic_documents":
        raise BadInput(f"{documents.name}: nobody knows its best ranking; method: best")
    codes, models = represent(settings, trial, train, judged)
    topics = torch.from_numpy(judged.topics).to(trial.device)
    score(trial, codes, topics, cosine=settings.method not in ("best", "perfect"))
    arrays = {}
    if codes.shape[1] == CLOUDS:
        arrays["cloud"] = np.asarray(codes)
        arrays["group"], arrays["groups"] = groups(documents.topics, judged.topics)
    return Artifacts(trial.tables(), arrays, models)


def represent(
    settings: Settings, trial: Trial, train: Bags, judged: Bags
) -> tuple[np.ndarray | csr_array, dict[str, Any]]:
    """Rows whose cosines rank the judged documents (of the best and perfect method, whose
    products), and the model to keep."""
    if settings.method == "best":
        return np.exp(synthetic_documents.log_posterior(judged.counts)), {}
    if settings.method == "perfect":
        return judged.topics.astype(np.float32), {}
    seen, of_judged = weighted(settings.words, train.counts, judged.counts)
    if settings.method == "tfidf":
        return of_judged, {}
    if settings.method == "lsa":
        from sklearn.decomposition import TruncatedSVD

        svd = TruncatedSVD(settings.code, algorithm="arpack", random_state=0)
        return svd.fit(seen).transform(of_judged), {}
    x, x_judged = (
        torch.from_numpy(of.astype(np.float32).toarray()).to(trial.device)
        for of in (seen, of_judged)
    )
    net = fit_autoencoder(settings, trial, x, {"train": x, settings.judged: x_judged}, "softmax")
    return net.encode(x_judged).cpu().numpy(), {"autoencoder": net}


def weighted(words: str, *counts: csr_array) -> list[csr_array]:
    """Counts as settings.words says; inverse frequencies are those of the first documents."""
    if words == "counts":
        return list(counts)
    logs = [csr_array(of.astype(float).log1p()) for of in counts]
    if words == "log":
        return logs
    from sklearn.feature_extraction.text import TfidfTransformer

    idf = TfidfTransformer(norm=None).fit(logs[0])
    return [csr_array(idf.transform(of)) for of in logs]


def score(trial: Trial, codes: np.ndarray | csr_array, topics: Tensor, cosine: bool) -> None:
    """Record "precision", the mean over queries of the share of first documents that share a topic;
    where documents have several, also the Jaccard overlap of their topics with the query's."""
    norms = np.sqrt((codes * codes).sum(1)) if cosine else np.ones(codes.shape[0])
    n, several, topics = len(norms), bool((topics.sum(1) > 1).any()), topics.float()
    cutoffs = [k for k in CUTOFFS if k < n]
    if not cutoffs:
        raise BadInput(f"{trial.data.name}: {n} documents, and so no others to retrieve")
    sums: dict[str, Tensor] = {}
    at_once = max(1, min(QUERIES, COSINES // n))
    for first in range(0, n, at_once):
        own = np.arange(first, min(first + at_once, n))
        product = codes[own] @ codes.T
        dense = product.toarray() if isinstance(product, csr_array) else product
        lengths = np.maximum(norms[own][:, None] * norms, 1e-30)
        cosines = torch.from_numpy(np.asarray(dense / lengths)).to(topics.device)
        both = topics[own] @ topics.T
        by_measure = {"precision": (both > 0).float()}
        if several and cosine:  # no other ranking was made for it
            by_measure["jaccard"] = both / (topics[own].sum(1)[:, None] + topics.sum(1) - both)
        for measure, gains in by_measure.items():
            found = mean_gains(cosines, gains, torch.from_numpy(own).to(topics.device), cutoffs)
            sums[measure] = sums.get(measure, torch.zeros(1)) + found.sum(0).cpu()
    for measure, total in sums.items():
        for k, value in zip(cutoffs, (total / n).tolist(), strict=True):
            trial.record("precision", measure=measure, retrieved=k, value=value)


def retrieve(settings: Settings, trial: Trial, data: Codes) -> Artifacts:
    """Record "hits" of one part's queries among all documents: exact, in memory for one cluster."""
    codes, classes = data.codes[: settings.documents], data.classes[: settings.documents]
    if settings.code != codes.shape[1]:
        raise BadInput(f"{data.name}: codes are of {codes.shape[1]} numbers, not {settings.code}")
    index = build(torch.from_numpy(codes), seed=trial.seed)
    hits = Hits(index, classes, [k for k in CUTOFFS if k < len(codes)])
    clusters = range(settings.part, index.clusters, settings.parts)
    for step in trial.steps(len(clusters), "queries", hits=hits):
        hits.add(clusters[step])
    for k, found in zip(hits.cutoffs, hits.sums.tolist(), strict=True):
        trial.record("hits", retrieved=k, hits=found, queries=int(hits.queries))
    return Artifacts(trial.tables())


def groups(topics: tuple[str, ...], of: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each document its group, 0 for all that have no colour; and the names of the others.

    A group is what stands before the first point of a topic's name, and a document's is that of
    its first topic.
    """
    heads = np.array([topic.partition(".")[0] for topic in topics])
    head = heads[of.argmax(1)]
    names, counts = np.unique(head, return_counts=True)
    shown = names[np.argsort(-counts, kind="stable")][:SHOWN]
    number = {name: i for i, name in enumerate(shown, start=1)}
    return np.array([number.get(name, 0) for name in head], np.uint8), shown


# --- metrics ---------------------------------------------------------------------------------


def summarise(artifacts: Artifacts) -> Iterator[Metric]:
    """Precision at every cutoff, and the Jaccard overlap where documents have several topics; and
    where the autoencoder's ten numbers are above latent semantic analysis."""
    table = precision_of(artifacts.tables)
    for cell, rows in by_cell(table):
        for measure, of in rows.groupby("measure", sort=False):
            for k, value in zip(of["retrieved"], of["value"], strict=True):
                yield Metric(f"{measure}/{ending(cell)}/at{k}", cell["seed"], value)

    precision = table[table["measure"] == "precision"]
    for data, rows in precision.groupby("data", sort=False):
        by_row = {
            (row, code): of.set_index(["seed", "retrieved"])["value"]
            for (row, code), of in rows.groupby(["row", "code"])
        }
        ours = by_row.get(("autoencoder", 10))
        for row, (code, first) in itertools.product(LSA, ((10, 1), (50, 3), (50, 15))):
            theirs = by_row.get((row, code))
            if ours is None or theirs is None:
                continue
            for seed in ours.index.unique("seed"):
                lead = (ours[seed] - theirs[theirs.index[0][0]]).loc[first:]
                name = f"above_{row}{code}_from{first}/{NAMES.get(str(data), data)}"
                yield Metric(name, seed, float((lead > 0).mean()))


def precision_of(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The table "precision", with the rows that the parts' hits add up to."""
    parts = [tables["precision"]] if "precision" in tables else []
    if "hits" in tables:
        hits = tables["hits"].drop(columns=["part"], errors="ignore")
        cells = [column for column in hits if column not in ("hits", "queries")]
        sums = hits.groupby(cells, sort=False).sum().reset_index()
        value = sums["hits"] / (sums["queries"] * sums["retrieved"])
        parts.append(sums.assign(measure="precision", value=value)[[*cells, "measure", "value"]])
    return pd.concat(parts)


def ending(cell: dict[str, Any]) -> str:
    """A cell in a metric's name: "20news/autoencoder10", "reuters/tfidf"."""
    return f"{NAMES.get(cell['data'], cell['data'])}/{named(cell)}{own_axes(cell, AXES)}"


def named(cell: dict[str, Any]) -> str:
    return f"{cell['row']}{cell['code'] or ''}"


# --- figures ---------------------------------------------------------------------------------


def draw(artifacts: Artifacts) -> dict[str, Figure]:
    """Precision against how many are retrieved, a panel a collection; and clouds of documents."""
    precision = precision_of(artifacts.tables)
    figures = {"figure4a": curves_figure(precision[precision["measure"] == "precision"])}
    clouds: dict[str, dict[str, dict[str, np.ndarray]]] = {}
    for label, cloud in artifacts.arrays.get("cloud", {}).items():
        about = read_label(label)
        one = {"cloud": cloud, **{a: artifacts.arrays[a][label] for a in ("group", "groups")}}
        clouds.setdefault(about["data"], {}).setdefault(about["row"], one)  # the first seed
    for data, by_row in clouds.items():
        figures[f"clouds_{NAMES.get(data, data)}"] = clouds_figure(by_row)
    return figures


def curves_figure(precision: pd.DataFrame) -> Figure:
    """As Figure 4A; the paper's own curves, of another collection, are dashed."""
    sets = list(precision["data"].unique())
    figure = plotting.rows_of(len(sets), columns=2, width=4.2, height=3.6)
    for axes, data in zip(figure.axes, sets, strict=True):
        panel = precision[(precision["data"] == data) & (precision["code"] != CLOUDS)]
        for cell, rows in by_cell(panel, without=["seed"]):
            name = named(cell)
            rows = rows.assign(place=rows["retrieved"].map(CUTOFFS.index))
            color = COLORS.get(name, "grey")
            plotting.seeds_line(axes, rows, "place", "value", look(cell), color, "train")
        if data != "synthetic_documents" and data not in names("codes"):
            for name, values in PAPER.items():
                color = COLORS[name.lower().replace(", ", "")]
                label = f"paper, RCV1: {name}"
                axes.plot(range(len(CUTOFFS)), values, "--", color=color, linewidth=1, label=label)
        axes.set_xticks(range(len(CUTOFFS)), [str(k) for k in CUTOFFS], rotation=60)
        top = max([0.45, *panel.loc[panel["row"] != "perfect", "value"]])  # above the paper's
        axes.set(title=TITLES[data], xlabel="retrieved documents", ylim=(0, 1.1 * top))
    figure.supylabel("share of the query's topic", fontsize=10)
    plotting.legend_below(figure, columns=3)
    return figure


def look(cell: dict[str, Any]) -> str:
    """A row in the legend: "LSA, 10"."""
    title = {**LSA, "tfidf": "TF-IDF"}.get(cell["row"], cell["row"])
    return f"{title}, {cell['code']}" if cell["code"] else title


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
