"""Test errors on MNIST: the generative deep belief net beside discriminative learners.

Hinton, Osindero & Teh (2006), Table 1 as the lecture quotes it. The generative net and its
protocol: `dgm.protocols.fit_dbn`; nets of softmax outputs: `dgm.protocols.fit_classifier`; support
vectors and nearest neighbours: `dgm.protocols.baselines`.

All that a run chooses it chooses on the validation images; then every learner sees training and
validation images (the generative net goes on, the others are trained anew), and classifies the test
images once. Which rows and settings there are was changed after some had missed their bands: the
README tells of each.
"""

import math
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from pydantic import Field
from torch import Tensor

from dgm.data.labelled import Labelled, labelled
from dgm.protocols.baselines import BaselineSettings, fit_knn, fit_svm
from dgm.protocols.fit_classifier import ClassifierSettings, fit_classifier
from dgm.protocols.fit_dbn import DBNSettings, fit_dbn
from dgm.report import plotting
from dgm.report.summary import Metric
from dgm.report.tables import Artifacts, by_cell, own_axes, read_label
from dgm.trial.loop import Trial

REVISION = 2
AXES = ["data", "row"]
FINAL = "final"  # the stage of learners that are judged but once
ON_THE_WAY = "greedy", "selected"  # stages of the generative net before its last
REPORTED = {  # the rows' names in the figure, and percent as in the recipe's `reported`
    "dbn_up_down": ("generative DBN, persistent chains", 1.25),
    "dbn_selected": ("the same before the last phase", 1.39),
    "dbn_greedy": ("the same after greedy learning", 2.49),
    "dbn_contrastive_up_down": ("generative DBN, chains begun at images", 1.25),
    "dbn_contrastive_selected": ("that before the last phase", 1.39),
    "dbn_contrastive_greedy": ("that after greedy learning", 2.49),
    "dbn_backprop": ("pre-training, then backprop", 1.2),
    "svm": ("support vector machine", 1.4),
    "backprop_1000": ("backprop 784-1000-10", 1.6),
    "backprop_1000_smooth": ("the same, of smooth first weights", math.nan),  # not the lecture's
    "backprop_500_300": ("backprop 784-500-300-10", 1.6),
    "knn": ("nearest neighbours", 2.8),
}


class Settings(DBNSettings, ClassifierSettings, BaselineSettings):
    """One row of the table; of the settings, those of its learner matter."""

    row: str = Field("dbn", description="the row's name in the table")
    learner: Literal["generative", "backprop", "svm", "knn"] = Field(
        "generative", description="what is trained"
    )


def run_trial(settings: Settings, trial: Trial) -> Artifacts:
    """Train a row's learner by the protocol and count its errors on the test images."""
    images = labelled(trial.data, trial.device)
    predicted, models = learn(settings, trial, images)
    truth = images.classes["test"].cpu().numpy().astype(np.uint8)
    arrays = {"truth": truth}
    for stage, labels in predicted.items():
        guess = labels.cpu().numpy().astype(np.uint8)
        arrays[f"predicted_{stage}"] = guess
        trial.record("errors", stage=stage, **count(int((guess != truth).sum()), len(truth)))
        counts = np.zeros((trial.data.classes, trial.data.classes), int)
        np.add.at(counts, (truth, guess), 1)
        for (true, by), n in np.ndenumerate(counts):
            trial.record("confusion", stage=stage, true=true, predicted=by, images=int(n))
    return Artifacts(trial.tables(), arrays, models)


def learn(
    settings: Settings, trial: Trial, images: Labelled
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Test predictions by stage, and the model to keep."""
    if settings.learner == "generative":
        dbn, stages = fit_dbn(settings, trial, images)
        return stages, {"dbn": dbn}
    if settings.learner == "backprop":
        net = fit_classifier(settings, trial, images)
        return {FINAL: net.classify(images.x["test"])}, {"classifier": net}
    fit = fit_svm if settings.learner == "svm" else fit_knn
    return {FINAL: fit(settings, trial, images)}, {}


def count(wrong: int, images: int) -> dict[str, float]:
    """Errors in percent with the exact (Clopper-Pearson) 95 % interval of a binomial share."""
    from scipy.stats import binomtest

    interval = binomtest(wrong, images).proportion_ci(0.95, "exact")
    low, high = 100 * interval.low, 100 * interval.high
    return {
        "wrong": wrong,
        "images": images,
        "error": 100 * wrong / images,
        "low": low,
        "high": high,
    }


def mcnemar(a_wrong: np.ndarray, b_wrong: np.ndarray) -> float:
    """The exact p-value that two learners err alike, from the images on which only one errs."""
    from scipy.stats import binomtest

    only_a, only_b = int((a_wrong & ~b_wrong).sum()), int((b_wrong & ~a_wrong).sum())
    return float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0


# --- metrics ---------------------------------------------------------------------------------


def summarise(artifacts: Artifacts) -> Iterator[Metric]:
    """Errors of every row and stage; and McNemar's p of every two rows at their end, the largest
    over seeds, not corrected for how many pairs there are. A row of one seed is compared with every
    seed of the other, other rows seed by seed."""
    tables = artifacts.tables
    generative = set()
    for cell, rows in by_cell(tables["errors"]):
        if set(ON_THE_WAY) <= set(rows["stage"]):
            generative.add(cell["row"])
        for of in rows.to_dict("records"):
            yield Metric(f"test_error/{ending(cell, of['stage'])}", cell["seed"], of["error"])
    for cell, rows in by_cell(tables["curves"]) if "curves" in tables else []:
        if cell["row"] in generative:
            best = rows.loc[rows["split"] == "validation", "error"].min()
            yield Metric(f"validation_error/{ending(cell, FINAL)}", cell["seed"], best)
    wrong = wrongs(artifacts)
    names = [n for n in dict.fromkeys(name for name, _ in wrong) if not n.endswith(ON_THE_WAY)]
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            of_a, of_b = ([seed for name, seed in wrong if name == row] for row in (a, b))
            pairs = [(i, j) for i in of_a for j in of_b if i == j or 1 in (len(of_a), len(of_b))]
            if pairs:  # the least sure of them: a mean of probabilities is none
                p = max(mcnemar(wrong[a, i], wrong[b, j]) for i, j in pairs)
                yield Metric(f"mcnemar_p/{a}/{b}", pairs[0][0], p)


def wrongs(artifacts: Artifacts) -> dict[tuple[str, int], np.ndarray]:
    """By a row's name and seed, which test images it got wrong."""
    found = {}
    for array, by_label in artifacts.arrays.items():
        if array.startswith("predicted"):
            for label, guess in by_label.items():
                about: dict[str, Any] = read_label(label)
                name = ending(about, array.removeprefix("predicted_"))
                found[name, int(about["seed"])] = guess != artifacts.arrays["truth"][label]
    order = list(REPORTED)
    rank = {name: order.index(name) if name in order else len(order) for name, _ in found}
    return dict(sorted(found.items(), key=lambda item: (rank[item[0][0]], item[0])))


def ending(cell: dict[str, Any], stage: str) -> str:
    """A row and stage in a metric's name: "svm", "dbn_up_down"."""
    return cell["row"] + ("" if stage == FINAL else f"_{stage}") + own_axes(cell, AXES)


# --- figures ---------------------------------------------------------------------------------


def draw(artifacts: Artifacts) -> dict[str, Figure]:
    """The table, the confusions of the first seed, and errors by epoch."""
    tables = artifacts.tables
    names = [name for name, _ in wrongs(artifacts)]
    names = list(dict.fromkeys(names))
    errors, confusion = named(tables["errors"]), named(tables["confusion"])
    figures = {
        "table": table_figure(errors, names),
        "confusion": confusion_figure(confusion, names),
    }
    if "curves" in tables:
        figures["curves"] = curves_figure(tables["curves"])
    return figures


def short(name: str) -> str:
    """A row's name above a panel."""
    return name.replace("_", " ").replace("dbn", "DBN").replace("up down", "up-down")


def named(table: pd.DataFrame) -> pd.DataFrame:
    """A table with the name of each row and stage in a column of its own."""
    parts = [
        rows.assign(name=[ending(cell, stage) for stage in rows["stage"]])
        for cell, rows in by_cell(table)
    ]
    return pd.concat(parts)


def table_figure(errors: pd.DataFrame, names: list[str]) -> Figure:
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
                label="measured, a seed, 95 %" if i == 0 and shift == spread[0] else None,
            )
        if name in REPORTED and rows["data"].iloc[0] == "mnist":
            label = "reported" if i == 0 else None
            axes.plot(REPORTED[name][1], i, "D", color=plotting.ORANGE, markersize=7, label=label)
        mean = f"{rows['error'].mean():.2f}"
        axes.annotate(mean, (1.01, i), xycoords=("axes fraction", "data"), va="center")
    titles = [REPORTED[name][0] if name in REPORTED else name for name in names]
    axes.set_yticks(range(len(names)), titles)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(0, None)
    axes.set(xlabel="test error (percent); mean measured at the right")
    axes.grid(axis="y", visible=False)
    plotting.legend_below(figure, columns=2)
    return figure


def confusion_figure(confusion: pd.DataFrame, names: list[str]) -> Figure:
    """Of the first seed, how many test images of each class were taken for which other."""
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
    """Errors in percent by epoch: validation, and of the last phase on all images, training."""
    names = list(curves["row"].unique())
    figure = plotting.panels(columns=len(names), width=2.9 * len(names) + 0.6, height=3.0)
    for axes, name in zip(figure.axes, names, strict=True):
        of_row = curves[curves["row"] == name]
        settings = [column for column in ("rate", "decay") if column in of_row]
        for split, color in (("validation", plotting.BLUE), ("all", plotting.ORANGE)):
            of_split = of_row[of_row["split"] == split].fillna({column: 0 for column in settings})
            for i, (_, rows) in enumerate(of_split.groupby([*settings, "seed"])):
                label = {"validation": "validation", "all": "training, all images"}[split]
                axes.plot(
                    rows["epoch"],
                    rows["error"],
                    color=color,
                    linewidth=1,
                    alpha=0.8,
                    label=label if i == 0 else None,
                )
        top = 2 * of_row.loc[of_row["split"] == "validation", "error"].min()
        if top > 0:
            axes.set_ylim(0, 2 * top)
        axes.set(title=short(name), xlabel="epochs")
    figure.axes[0].set_ylabel("error (percent)")
    plotting.legend_below(figure, columns=2)
    return figure
