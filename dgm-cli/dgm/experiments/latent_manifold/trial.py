"""Between neighbouring points of a two-dimensional latent space the images change smoothly.

Kingma & Welling (2014), Figure 4: a regular grid on the unit square, taken through the inverse
cumulative distribution function of the Gaussian to values of z, and for each the mean image
E[x|z]. Densities: `dgm.models.vae`; training: `dgm.protocols.fit_vae`.
"""

import numpy as np
import torch
from torch import Tensor

from dgm.experiments.latent_manifold.settings import Settings
from dgm.models.neighbours import classify
from dgm.models.vae import VAE
from dgm.protocols.fit_vae import bounds, fit, images
from dgm.report.pixels import grey
from dgm.report.tables import Artifacts
from dgm.trial.loop import Trial
from dgm.trial.measured import Rows

MEASURED = {
    "bounds": Rows(("split",), ("elbo",)),
    "smoothness": Rows(values=("neighbours", "pairs", "test_pairs")),
    "digits": Rows(("label",), ("images",), within=1),  # of the manifold's 400
}


def run_trial(settings: Settings, trial: Trial) -> Artifacts:
    """Train, decode the grid, and see what is on it and how smoothly it changes."""
    train, evaluated = images(settings, trial)
    model = fit(settings, trial, train, evaluated)
    left = measure(settings, trial, model)
    return Artifacts(left.tables, left.arrays, {"vae": model})


def measure(settings: Settings, trial: Trial, model: VAE, full: bool = True) -> Artifacts:
    """The bounds of a trained model, and what is on its manifold."""
    _, evaluated = images(settings, trial)
    bounds(settings, trial, model, evaluated)
    manifold = model.decoder.mean(grid(settings.side).to(trial.device))
    neighbours, pairs = distances(manifold, settings.side)
    data = trial.data
    of_data = torch.nn.functional.pdist(data.test[: len(manifold)]).mean().item()
    trial.record("smoothness", neighbours=neighbours, pairs=pairs, test_pairs=of_data)
    arrays = {
        "manifold": grey(manifold, data.shape),
        "posterior": model.encoder(evaluated["test"]).mean.cpu().numpy(),
    }
    if data.labels:
        arrays["labels"] = data.labels["test"].numpy().astype(np.int16)
    if data.classes:
        found = classify(data.train, data.labels["train"], manifold)
        for label in range(data.classes):
            trial.record("digits", label=label, images=int((found == label).sum()))
    return Artifacts(trial.tables(), arrays)


def grid(side: int) -> Tensor:
    """z at the centres of side x side cells of the unit square, (side^2, 2), row by row.

    Each coordinate goes through the inverse CDF of N(0, 1), so that every cell has the same
    probability under the prior. The first row has the highest second coordinate, as on paper.
    """
    across = torch.special.ndtri((torch.arange(side, dtype=torch.float64) + 0.5) / side)
    second, first = torch.meshgrid(across.flip(0), across, indexing="ij")
    return torch.stack([first.flatten(), second.flatten()], 1).float()


def distances(manifold: Tensor, side: int) -> tuple[float, float]:
    """Mean Euclidean distances of images next to each other on the grid, and of all pairs."""
    square = manifold.view(side, side, -1)
    across = (square[:, 1:] - square[:, :-1]).norm(dim=2)
    down = (square[1:] - square[:-1]).norm(dim=2)
    neighbours = torch.cat([across.flatten(), down.flatten()]).mean()
    return neighbours.item(), torch.nn.functional.pdist(manifold).mean().item()
