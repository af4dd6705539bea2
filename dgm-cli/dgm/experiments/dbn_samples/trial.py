"""What the deep belief net of digits generates, with and without a label, and what it recognises.

Hinton, Osindero & Teh (2006), Figure 8 and the figures of section 7, from the net that
`dbn_mnist_error` trained. The net and its pass down: `dgm.models.dbn`.
"""

from collections.abc import Iterator

import numpy as np
import torch
from matplotlib.figure import Figure
from pydantic import Field
from torch import Tensor

from dgm.data.labelled import labelled
from dgm.fast.draws import bernoulli
from dgm.models.dbn import DBN
from dgm.models.neighbours import classify, nearest_distance
from dgm.models.rbm import one_hot
from dgm.recipe.schema import TrialSettings
from dgm.report import plotting
from dgm.report.summary import Metric
from dgm.report.tables import Artifacts, by_cell, own_axes
from dgm.state import State
from dgm.trial.loop import Trial

REVISION = 2
AXES = ["data"]
A_LINE = 10  # samples of each label in the figure
FRAMES = 40  # of the film
UNUSUAL = 100  # digits shown that are recognised though far from all that the net learned from


class Settings(TrialSettings):
    """The paper's, where it says."""

    chains: int = Field(20, gt=0, description="of each label; the first is drawn, all are judged")
    between: int = Field(1000, gt=0, description="Gibbs steps at the top before each sample")
    film_steps: int = Field(25, gt=0, description="Gibbs steps between frames of the film")


class TopChains(State):
    """Gibbs chains of a net's top, each begun by a pass up from a random image.

    With `labels` (n, labels) these are clamped; without, the chains are free to change theirs.
    """

    saved = ("v",)

    def __init__(
        self, net: DBN, n: int, generator: torch.Generator, labels: Tensor | None = None
    ) -> None:
        self.net, self.generator, self.labels = net, generator, labels
        half = torch.full((n, net.visible), 0.5, device=net.flat.device)
        below = net.up(bernoulli(half, generator), generator)[-1]
        random = torch.randint(net.top.labels, (n,), generator=generator, device=below.device)
        first = one_hot(random, net.top.labels) if labels is None else labels
        self.v = torch.cat([below, first], 1)

    def step(self) -> None:
        top = self.net.top
        v = top.sample_visible(top.sample_hidden(self.v, self.generator), self.generator)
        if self.labels is not None:
            v[:, -top.labels :] = self.labels
        self.v.copy_(v)

    def images(self) -> Tensor:
        """E[x|h_1] after a sampled pass down, (n, visible)."""
        return self.net.down(self.v[:, : -self.net.top.labels], self.generator)[-1]


class Seen(State):
    """Images kept at chosen moments, saved along."""

    saved = ("images",)

    def __init__(self, moments: int, n: int, visible: int, device: torch.device) -> None:
        self.images = torch.zeros(moments, n, visible, device=device)


def run_trial(settings: Settings, trial: Trial) -> Artifacts:
    """Samples of every label with a judge's verdict, a film, and digits recognised or mistaken."""
    images, shape = labelled(trial.data, trial.device), trial.data.shape
    net: DBN = trial.model("dbn")
    n = settings.chains * net.top.labels
    wanted = torch.arange(net.top.labels, device=trial.device).repeat_interleave(settings.chains)

    clamped = TopChains(net, n, trial.generator, one_hot(wanted, net.top.labels))
    samples = watch(trial, "clamped", clamped, A_LINE, settings.between)
    judge = images.x["train"], images.classes["train"].cpu()
    for number, seen in enumerate(samples, start=1):
        agree = classify(*judge, seen) == wanted.cpu()
        for label in range(net.top.labels):
            share = agree[wanted.cpu() == label].float().mean().item()
            trial.record("judged", sample=number, label=label, agree=share)
    free = TopChains(net, 1, trial.generator)
    film = watch(trial, "free", free, FRAMES, settings.film_steps)

    x, truth = images.x["test"], images.classes["test"]
    found = net.classify(x)
    right, wrong = (torch.nonzero(mask)[:, 0] for mask in (found == truth, found != truth))
    distance = nearest_distance(images.all[0], x[right])
    unusual = right[distance.argsort(descending=True)[:UNUSUAL]]
    trial.record(
        "recognised",
        errors=len(wrong),
        images=len(x),
        least_distance_shown=distance.sort(descending=True)[0][:UNUSUAL].min().item(),
        mean_distance=distance.mean().item(),
    )
    arrays = {
        "clamped": plotting.grey(
            samples[:, :: settings.chains].transpose(0, 1).flatten(0, 1), shape
        ),
        "film": plotting.grey(film[:, 0], shape),
        "unusual": plotting.grey(x[unusual], shape),
        "mistaken": plotting.grey(x[wrong], shape),
        "mistaken_for": found[wrong].cpu().numpy().astype(np.uint8),
        "mistaken_truth": truth[wrong].cpu().numpy().astype(np.uint8),
    }
    return Artifacts(trial.tables(), arrays)


def watch(trial: Trial, phase: str, chains: TopChains, moments: int, between: int) -> Tensor:
    """The chains' images each time they have gone so many steps: (moments, n, visible)."""
    seen = Seen(moments, len(chains.v), chains.net.visible, trial.device)
    for step in trial.steps(moments * between, phase, chains=chains, seen=seen):
        chains.step()
        if (step + 1) % between == 0:
            seen.images[step // between] = chains.images()
    return seen.images


def summarise(artifacts: Artifacts) -> Iterator[Metric]:
    """The share of samples in which the judge sees the clamped label, and the net's errors."""
    tables = artifacts.tables
    for cell, rows in by_cell(tables["judged"]):
        own = own_axes(cell, AXES)
        yield Metric(f"clamped_label_agreement{own}", cell["seed"], rows["agree"].mean())
        worst = rows.groupby("label")["agree"].mean().min()
        yield Metric(f"clamped_label_agreement/worst_label{own}", cell["seed"], worst)
    for cell, rows in by_cell(tables["recognised"]):
        own = own_axes(cell, AXES)
        error = 100 * rows["errors"].item() / rows["images"].item()
        yield Metric(f"test_error{own}", cell["seed"], error)
        for name in ("least_distance_shown", "mean_distance"):
            yield Metric(f"{name}{own}", cell["seed"], rows[name].item())


def draw(artifacts: Artifacts) -> dict[str, Figure | plotting.Film]:
    """Of the first seed: Figure 8, the film as a strip and as a GIF, and the recognised digits."""
    first = {name: next(iter(by_label.values())) for name, by_label in artifacts.arrays.items()}
    unusual = first["unusual"]
    across = min(20, len(unusual))
    return {
        "figure8": clamped_figure(first["clamped"]),
        "film_strip": plotting.picture(first["film"], FRAMES // 2),
        "film": plotting.Film(first["film"]),
        "unusual": plotting.picture(unusual[: len(unusual) // across * across], across),
        "mistaken": mistaken_figure(
            first["mistaken"], first["mistaken_truth"], first["mistaken_for"]
        ),
    }


def clamped_figure(images: np.ndarray) -> Figure:
    """As Figure 8: a line of samples for each label, which stands before it."""
    lines = images.reshape(-1, A_LINE, *images.shape[1:])
    figure = plotting.panels(columns=1, rows=len(lines), width=6.0, height=0.62)
    for label, (axes, line) in enumerate(zip(figure.axes, lines, strict=True)):
        plotting.show_images(axes, line, A_LINE)
        axes.text(-0.02, 0.5, str(label), transform=axes.transAxes, ha="right", va="center")
    return figure


def mistaken_figure(images: np.ndarray, truth: np.ndarray, taken: np.ndarray) -> Figure:
    """Every wrongly recognised digit with its label, an arrow, and what it was taken for."""
    figure = plotting.rows_of(len(images), columns=10, width=0.7, height=0.85)
    for i, axes in enumerate(figure.axes):
        plotting.show_images(axes, images[i : i + 1], columns=1)
        axes.set_title(f"{truth[i]} → {taken[i]}", fontsize=8, pad=1)
    return figure
