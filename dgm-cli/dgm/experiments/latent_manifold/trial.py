"""The manifold that a VAE with two latent dimensions has learned.

Kingma & Welling (2014), Figure 4: a regular grid on the unit square, taken through the inverse
cumulative distribution function of the Gaussian to values of z, and for each the mean image
E[x|z]. Densities: `dgm.models.vae`; training: `dgm.protocols.fit_vae`.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pydantic
import torch
from matplotlib import patheffects
from matplotlib.figure import Figure
from pydantic import Field
from torch import Tensor

from dgm.data import title
from dgm.models.neighbours import classify
from dgm.protocols.fit_vae import VAESettings, fit, group, images
from dgm.report import plotting
from dgm.report.summary import Metric
from dgm.report.tables import Artifacts, by_cell, own_axes, read_label
from dgm.trial.loop import Trial

REVISION = 1
AXES = ["data", "decoder"]
FOUND = 0.01  # of the grid's images, from which on a digit counts as found there


class Settings(VAESettings):
    """The paper's, Section 5 and Appendix A."""

    latent_dim: int = Field(2, gt=0, description="dimensions of z: a plane is drawn")
    side: int = Field(20, gt=1, description="images along either side of the grid")

    @pydantic.model_validator(mode="after")
    def _a_plane(self) -> "Settings":
        if self.latent_dim != 2:
            raise ValueError(f"latent_dim {self.latent_dim}: a manifold is drawn of latent_dim 2")
        return self


def run_trial(settings: Settings, trial: Trial) -> Artifacts:
    """Train, decode the grid, and see what is on it and how smoothly it changes."""
    train, evaluated = images(settings, trial)
    model = fit(settings, trial, train, evaluated)

    manifold = model.decoder.mean(grid(settings.side).to(trial.device))
    neighbours, pairs = distances(manifold, settings.side)
    data = trial.data
    of_data = torch.nn.functional.pdist(data.test[: len(manifold)]).mean().item()
    trial.record("smoothness", neighbours=neighbours, pairs=pairs, test_pairs=of_data)
    arrays = {
        "manifold": plotting.grey(manifold, data.shape),
        "posterior": model.encoder(evaluated["test"]).mean.cpu().numpy(),
        "labels": data.labels["test"].numpy().astype(np.int16),
    }
    if data.classes:
        found = classify(data.train, data.labels["train"], manifold)
        for label in range(data.classes):
            trial.record("digits", label=label, images=int((found == label).sum()))
    return Artifacts(trial.tables(), arrays, {"vae": model})


def grid(side: int) -> Tensor:
    """z at the centres of side x side cells of the unit square, (side^2, 2), row by row.

    Each coordinate goes through the inverse CDF of N(0, 1), so that every cell has the same
    probability under the prior. The first row has the highest second coordinate, as on paper.
    """
    across = torch.special.ndtri((torch.arange(side, dtype=torch.float64) + 0.5) / side)
    second, first = torch.meshgrid(across.flip(0), across, indexing="ij")
    return torch.stack([first.flatten(), second.flatten()], 1).float()


def reach(manifold: np.ndarray) -> float:
    """The largest coordinate of the grid whose images these are."""
    return float(grid(round(len(manifold) ** 0.5)).max())


def distances(manifold: Tensor, side: int) -> tuple[float, float]:
    """Mean Euclidean distances of images next to each other on the grid, and of all pairs."""
    square = manifold.view(side, side, -1)
    across = (square[:, 1:] - square[:, :-1]).norm(dim=2)
    down = (square[1:] - square[:-1]).norm(dim=2)
    neighbours = torch.cat([across.flatten(), down.flatten()]).mean()
    return neighbours.item(), torch.nn.functional.pdist(manifold).mean().item()


def summarise(artifacts: Artifacts) -> Iterator[Metric]:
    """Bounds, how smooth and how varied the manifold is, and how many digits are found on it."""
    tables = artifacts.tables
    for cell, rows in by_cell(tables["bounds"]):
        test = rows.loc[rows["split"] == "test", "elbo"].item()
        yield Metric(f"test_elbo{ending(cell)}", cell["seed"], test)
    for cell, rows in by_cell(tables["smoothness"]):
        smoothness, spread = rows["neighbours"] / rows["pairs"], rows["pairs"] / rows["test_pairs"]
        yield Metric(f"manifold_smoothness{ending(cell)}", cell["seed"], smoothness.item())
        yield Metric(f"manifold_spread{ending(cell)}", cell["seed"], spread.item())
    for label, posterior in artifacts.arrays["posterior"].items():
        cell = read_label(label)
        outside = np.abs(posterior).max(1) > reach(artifacts.arrays["manifold"][label])
        yield Metric(
            f"posterior_outside_grid{ending(cell)}", int(cell["seed"]), float(outside.mean())
        )
    for cell, rows in by_cell(tables["digits"]) if "digits" in tables else []:
        found = rows["images"] >= FOUND * rows["images"].sum()
        yield Metric(f"manifold_digits{ending(cell)}", cell["seed"], int(found.sum()))


def ending(cell: dict[str, Any]) -> str:
    """A cell in a metric's name: nothing for digits as Bernoulli pixels, "/frey" for the faces."""
    return group(cell["data"], cell["decoder"]) + own_axes(cell, AXES)


def draw(artifacts: Artifacts) -> dict[str, Figure]:
    """Of the first seed of each cell: the manifold, and the test images' posterior means."""
    figures: dict[str, Figure] = {}
    for label, manifold in artifacts.arrays["manifold"].items():
        about = read_label(label)
        name = "figure4" + ending(about).replace("/", "_")
        if name not in figures:
            posterior, labels = (artifacts.arrays[of][label] for of in ("posterior", "labels"))
            figures[name] = plotting.picture(manifold, round(len(manifold) ** 0.5))
            figures[f"{name}_posterior"] = posterior_figure(
                posterior, labels, reach(manifold), about["data"]
            )
    return figures


def posterior_figure(
    posterior: np.ndarray, labels: np.ndarray, grid_reach: float, data: str
) -> Figure:
    """Posterior means of test images, coloured by digit, or by time where they are a film's; the
    title tells how many far ones are cut off. The square is what the manifold's grid spans."""
    figure = plotting.panels(columns=1, width=5.2, height=4.3)
    (axes,) = figure.axes
    faces = data == "frey_faces"
    points = axes.scatter(
        posterior[:, 0],
        posterior[:, 1],
        s=14 if faces else 3,
        c=labels,
        cmap="viridis" if faces else plotting.TEN,
        vmin=None if faces else -0.5,
        vmax=None if faces else 9.5,
        linewidths=0,
        rasterized=True,  # thousands of points
    )
    bar = figure.colorbar(points, ax=axes, label="frame of the film" if faces else "digit")
    if not faces:
        bar.set_ticks(range(10))
        digits = np.unique(labels)
        middles = [np.median(posterior[labels == digit], axis=0) for digit in digits]
        for digit, (x, y) in zip(digits, apart(np.array(middles), 0.4), strict=True):
            text = axes.text(x, y, str(digit), ha="center", va="center", fontweight="bold")
            text.set_path_effects([patheffects.withStroke(linewidth=3, foreground="white")])
    axes.plot(*grid_reach * np.array([[-1, 1, 1, -1, -1], [-1, -1, 1, 1, -1]]), "k--", linewidth=1)
    far = max(1.1 * grid_reach, 1.05 * float(np.quantile(np.abs(posterior), 0.998)))
    axes.set(xlabel="$z_1$", ylabel="$z_2$", xlim=(-far, far), ylim=(-far, far))
    beyond = int((np.abs(posterior).max(1) > far).sum())
    of_all = f"\n({beyond} of {len(posterior)} lie beyond)" if beyond else ""
    axes.set_title(f"{title(data)}: posterior means, test{of_all}", fontsize=10)
    axes.set_axisbelow(True)
    axes.set_box_aspect(1)
    return figure


def apart(points: np.ndarray, least: float) -> np.ndarray:
    """Points (n, 2), those nearer to each other than `least` pushed asunder."""
    points = points.copy()
    for _ in range(100):
        between = points[:, None] - points
        distance = np.hypot(*between.T).T + np.eye(len(points)) * least
        push = np.maximum(0, least - distance) / np.maximum(distance, 1e-9)
        points += 0.25 * (push[..., None] * between).sum(1)
    return points
