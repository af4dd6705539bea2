"""Reconstructions of digits from few numbers: a deep autoencoder, logistic PCA and PCA.

Hinton & Salakhutdinov (2006), Figure 2B. The net: `dgm.models.autoencoder`; its learning:
`dgm.protocols.fit_autoencoder`; PCA: `dgm.models.pca`.

All 60,000 images that are not for testing are learned from, as in the paper. A run chooses nothing;
settings were chosen, with `judged: validation`, on validation images that were left out.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter
from pydantic import Field
from torch import Tensor

from dgm.data.labelled import labelled
from dgm.data.shifted import shifted
from dgm.models.pca import PCA
from dgm.protocols.fit_autoencoder import (
    AutoencoderSettings,
    best_codes,
    fit_autoencoder,
    squared_error,
)
from dgm.report import plotting
from dgm.report.summary import Metric
from dgm.report.tables import Artifacts, by_cell, own_axes, read_label
from dgm.trial.loop import Trial

REVISION = 2
AXES = ["data", "row", "code"]
PAPER_CODE = 30  # numbers, which go without saying in a metric's name
BEST_CODES = "best_codes"  # a stage: the code of each test image improved on, the decoder as it was
ROWS = {  # as the figures name and colour them, in their order
    "autoencoder": ("autoencoder", plotting.BLUE),
    "autoencoder_adam": ("autoencoder, Adam", plotting.GREEN),
    "autoencoder_shifted": ("Adam, shifted images", plotting.SKY),
    "autoencoder_brief": ("Adam, ten epochs", plotting.BROWN),
    "not_pretrained_brief": ("ten epochs, not pre-trained", plotting.PURPLE),
    "not_pretrained": ("without pre-training", plotting.PURPLE),
    "logistic_pca": ("logistic PCA", plotting.ORANGE),
    "logistic_pca_best_codes": ("logistic PCA, best codes", plotting.RED),
    "pca": ("PCA", plotting.BLACK),
}


class Settings(AutoencoderSettings):
    """One row: a learner and a code size."""

    row: str = Field("autoencoder", description="the row's name")
    learner: Literal["autoencoder", "pca"] = Field("autoencoder", description="what is fitted")
    shift: int = Field(
        0, ge=0, description="pixels by which images are moved at most, anew at each visit"
    )
    code_steps: int = Field(
        0, ge=0, description="steps by which test images' codes are improved on, as a row more"
    )
    judged: Literal["test", "validation"] = Field(
        "test", description="images to judge by; with validation, these are not learned from"
    )


def run_trial(settings: Settings, trial: Trial) -> Artifacts:
    """Fit one row's learner, measure its error, and reconstruct an image of each class."""
    images = labelled(trial.data, trial.device)
    x = images.all[0] if settings.judged == "test" else images.x["train"]
    judged, classes = images.x[settings.judged], images.classes[settings.judged]
    shown = judged[[int((classes == c).nonzero()[0]) for c in classes.unique()]]

    reconstruct: dict[str, Callable[[Tensor], Tensor]] = {}
    model: Any
    if settings.learner == "pca":
        model = PCA(x.shape[1], settings.code, trial.device)
        model.fit(x)
    else:
        judges = {"train": x, settings.judged: judged}
        varied = None
        if settings.shift:
            shape, generator = trial.data.shape, trial.generator
            varied = partial(shifted, shape=shape, most=settings.shift, generator=generator)
        model = fit_autoencoder(settings, trial, x, judges, varied=varied)
    reconstruct[""] = model.reconstruct
    if settings.code_steps:
        reconstruct[BEST_CODES] = lambda part: model.decode(
            best_codes(model, part, settings.code_steps)
        ).sigmoid_()
    arrays = {"original": plotting.grey(shown, trial.data.shape)}
    for stage, back in reconstruct.items():
        for split, of in (("train", x), (settings.judged, judged)):
            trial.record("errors", stage=stage, split=split, squared_error=squared_error(of, back))
        name = f"reconstructed_{stage}" if stage else "reconstructed"
        arrays[name] = plotting.grey(back(shown), trial.data.shape)
    return Artifacts(trial.tables(), arrays, {settings.learner: model})


# --- metrics ---------------------------------------------------------------------------------


def summarise(artifacts: Artifacts) -> Iterator[Metric]:
    """Squared errors by row; rows of other code sizes than the paper's carry theirs."""
    for cell, rows in by_cell(artifacts.tables["errors"]):
        for of in rows.fillna({"stage": ""}).to_dict("records"):
            name = ending(cell, of["stage"])
            yield Metric(f"{of['split']}_squared_error/{name}", cell["seed"], of["squared_error"])


def ending(cell: dict[str, Any], stage: str) -> str:
    """A row and stage in a metric's name: "pca", "pca/code2", "logistic_pca_best_codes"."""
    code = "" if cell["code"] == PAPER_CODE else f"/code{cell['code']}"
    return named(cell["row"], stage) + code + own_axes(cell, AXES)


def named(row: str, stage: str) -> str:
    return f"{row}_{stage}" if stage else row


# --- figures ---------------------------------------------------------------------------------


def draw(artifacts: Artifacts) -> dict[str, Figure]:
    """Reconstructions, error by code size, and error along the fine-tuning."""
    tables = artifacts.tables
    errors = tables["errors"].fillna({"stage": ""})
    errors = errors[errors["split"] != "train"]
    code = shown_code(errors)
    figures = {"reconstructions": reconstructions_figure(artifacts.arrays, errors, code)}
    if errors["code"].nunique() > 1:
        figures["codes"] = codes_figure(errors)
    if "curves" in tables:
        figures["tuning"] = tuning_figure(tables["curves"].query(f"code == {code}"))
    return figures


def shown_code(errors: pd.DataFrame) -> int:
    """The paper's code size where there is one, else the one that most rows have."""
    codes = errors.drop_duplicates(["row", "code"])["code"]
    return PAPER_CODE if PAPER_CODE in set(codes) else int(codes.mode().iloc[-1])


def reconstructions_figure(arrays: dict[str, Any], errors: pd.DataFrame, code: int) -> Figure:
    """A digit of each class, and below it what each row of the first seed makes of it."""
    lines: dict[str, np.ndarray] = {}
    for array, by_label in arrays.items():
        for label, images in by_label.items():
            about = read_label(label)
            if int(about["code"]) == code:
                stage = array.removeprefix("reconstructed").removeprefix("_")
                name = array if array == "original" else named(about["row"], stage)
                lines.setdefault(name, images)
    order = ["original", *ROWS]
    names = sorted(lines, key=lambda name: order.index(name) if name in order else len(order))
    means = {
        named(*key): rows["squared_error"].mean()
        for key, rows in errors[errors["code"] == code].groupby(["row", "stage"])
    }
    figure = plotting.panels(columns=1, rows=len(names), width=7.0, height=0.72)
    for axes, name in zip(figure.axes, names, strict=True):
        plotting.show_images(axes, lines[name], len(lines[name]))
        text = f"{look(name)[0]}  {means[name]:.2f}" if name in means else name
        axes.text(-0.02, 0.5, text, transform=axes.transAxes, ha="right", va="center")
    return figure


def look(name: str) -> tuple[str, str]:
    """A row's title and colour; a user's own has its name for the one and grey for the other."""
    return ROWS.get(name, (name, "grey"))


def codes_figure(errors: pd.DataFrame) -> Figure:
    """Squared error against the numbers of a code; of a row with one size, a point."""
    figure = plotting.panels(columns=1, width=6.0, height=4.6)
    (axes,) = figure.axes
    for key, rows in errors.groupby(["row", "stage"], sort=False):
        title, color = look(named(*key))
        by_code = rows.groupby("code")["squared_error"].mean()
        style = "o-" if len(by_code) > 1 else "D"
        axes.plot(by_code.index, by_code, style, color=color, markersize=5, label=title)
    log_of_errors(axes)
    axes.set_xlabel("numbers in the code")
    plotting.legend_below(figure, columns=2)
    return figure


def log_of_errors(axes: Axes) -> None:
    """The y axis: squared errors of a digit are from one to some tens."""
    axes.set(yscale="log", ylabel="squared error, summed over pixels")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FormatStrFormatter("%g"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def tuning_figure(curves: pd.DataFrame) -> Figure:
    """Squared error against epochs of fine-tuning, training and judged images."""
    figure = plotting.panels(columns=1, width=6.6, height=4.8)
    (axes,) = figure.axes
    for name in curves["row"].unique():
        title, color = look(name)
        of_row = curves[(curves["row"] == name) & (curves["epoch"] > 0)]
        for split, rows in of_row.groupby("split", sort=False):
            train = split == "train"
            label = f"{title}, training" if train else title
            kind = "train" if train else "test"
            plotting.seeds_line(axes, rows, "epoch", "squared_error", label, color, kind)
    log_of_errors(axes)
    axes.set(xscale="log", xlabel="epochs")
    plotting.legend_below(figure, columns=2)
    return figure
