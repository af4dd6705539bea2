"""An RBM is an infinitely deep sigmoid belief net with tied weights; untying the layers helps.

Hinton, Osindero & Teh (2006), sections 2 to 4. A directed net whose layers take turns to be as wide
as v and as h, with the weights W^T, W, W^T ... from the data up and independent units at its top,
generates as an RBM's Gibbs chain does from that top: the deeper it is, the nearer to the RBM. A
small machine shows both facts exactly (`dgm.inference.enumeration`), a large one its fantasies.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from dgm.data.batches import Minibatches
from dgm.data.binarise import binarise
from dgm.errors import BadInput, Diverged
from dgm.experiments.infinite_dbn.settings import DEPTHS, SHOWN, Exact, Fantasies, Settings
from dgm.fast.draws import bernoulli
from dgm.inference.enumeration import MOST, Enumerated, fit_exactly, log_bernoulli
from dgm.learning.contrastive_divergence import ContrastiveDivergence, gibbs
from dgm.models.rbm import RBM
from dgm.protocols.fit_rbm import fit_rbm
from dgm.report.pixels import grey
from dgm.report.tables import Artifacts
from dgm.trial.loop import Trial

CLOSE = 1e-4  # total variation to the RBM below which no deeper net is made


def run_trial(settings: Settings, trial: Trial) -> Artifacts:
    """Either part: they share the claim and nothing else."""
    data = trial.data
    _, whole = binarise(data.name, "static", data.train, {"train": data.train})
    train = whole["train"].to(trial.device)
    rbm = RBM(train.shape[1], settings.hidden, trial.device)
    if isinstance(settings, Fantasies):
        rbm.initialise(settings.initial_std, trial.generator, train)
        return fantasies(settings, trial, rbm, train)
    rbm.initialise(settings.initial_std, trial.generator)
    if train.shape[1] + settings.hidden > MOST:
        raise BadInput(f"{data.name}, hidden {settings.hidden}: {MOST} units can be enumerated")
    return exact(settings, trial, rbm, train)


# --- exactly, on a small machine ---------------------------------------------------------------


def exact(settings: Exact, trial: Trial, rbm: RBM, x: Tensor) -> Artifacts:
    """Train by the exact gradient, truncate at every depth, then untie two layers in turn."""
    data = Enumerated(rbm).empirical(x)
    fit_exactly(rbm, data, settings.iterations)
    of_rbm = Enumerated(rbm)
    for depth, p_v in enumerate(truncated(rbm, of_rbm, settings.deepest)):
        distance = finite(0.5 * (p_v - of_rbm.log_p_v.exp()).abs().sum().item())
        trial.record("depths", depth=2 * depth + 1, total_variation=distance)
        if distance < CLOSE:
            break

    bound = finite((data @ of_rbm.log_p_v).item())
    trial.record("bounds", layer=1, iteration=0, bound=bound, log_likelihood=bound)
    layers, below = [of_rbm], rbm
    aggregated = data  # the distribution of the layer that the new machine is to model
    for layer in (2, 3):
        aggregated = aggregated @ layers[-1].up
        above = transposed(below)
        path = fit_exactly(above, aggregated, settings.iterations)
        before, first = bound, None
        for iteration, parameters in enumerate(path):
            above.flat.copy_(parameters)
            machine = Enumerated(above)
            objective = (aggregated @ machine.log_p_v).item()
            first = objective if first is None else first
            # Of the bound, all but the mean log p of what the new machine models stays as it was.
            bound = before + objective - first
            exactly = finite(log_likelihood(data, [*layers, machine]))
            about = {"layer": layer, "iteration": iteration}
            trial.record("bounds", **about, bound=bound, log_likelihood=exactly)
        layers.append(Enumerated(above))
        below = above
    return Artifacts(trial.tables(), models={"rbm": rbm})


def finite(value: float) -> float:
    """The same; Diverged where weights are so large that states have no probability."""
    if not math.isfinite(value):
        raise Diverged(f"the machine's distribution gives {value}: its weights are too large")
    return value


def truncated(rbm: RBM, exact: Enumerated, deepest: int) -> Iterator[Tensor]:
    """p(v) of the directed net with 1, 3, 5 ... layers of weights, its top h_j ~ sigmoid(b_j)."""
    p_h = log_bernoulli(rbm.parameters["b"].double().cpu()[None], exact.h)[0].exp()
    step = exact.up @ exact.down
    p_v = p_h @ exact.down
    for _ in range(0, deepest, 2):
        yield p_v
        p_v = p_v @ step


def transposed(rbm: RBM) -> RBM:
    """The machine that has h for its visible units and the same weights: p(h) is the same."""
    p = rbm.parameters
    turned = RBM(rbm.config["hidden"], rbm.config["visible"], rbm.flat.device)
    turned.parameters["W"].copy_(p["W"].t())
    turned.parameters["a"].copy_(p["b"])
    turned.parameters["b"].copy_(p["a"])
    return turned


def log_likelihood(data: Tensor, layers: list[Enumerated]) -> float:
    """sum_v data(v) log p(v) of a deep belief net: directed layers, and the last one undirected."""
    p = layers[-1].log_p_v.exp()
    for layer in reversed(layers[:-1]):
        p = p @ layer.down
    return (data @ p.log()).item()


# --- fantasies of a large machine ----------------------------------------------------------------


def fantasies(settings: Fantasies, trial: Trial, rbm: RBM, train: Tensor) -> Artifacts:
    """Train by PCD; images of directed nets of several depths beside those of the RBM."""
    if settings.samples > len(train):
        raise BadInput(
            f"samples {settings.samples}: the RBM's chains begin at {len(train)} training images"
        )
    learner = ContrastiveDivergence(rbm, 1, settings.rate, trial.generator, chains=settings.batch)
    batches = Minibatches(train, settings.batch, trial.generator)
    for epoch, error in fit_rbm(trial, "train", learner, batches, settings.epochs):
        trial.record("reconstruction", epoch=epoch, error=error)

    generator, n = trial.generator, settings.samples
    shown = {}
    top = rbm.parameters["b"].sigmoid().expand(n, -1)
    v = rbm.sample_visible(bernoulli(top, generator), generator)
    done = 1
    for depth in [depth for depth in DEPTHS if depth <= settings.deepest]:
        v = gibbs(rbm, v, (depth - done) // 2, generator)
        done = depth
        shown[f"{depth}"] = v
    start = train[torch.randperm(len(train), generator=generator, device=train.device)[:n]]
    shown["RBM"] = gibbs(rbm, start, settings.deepest // 2, generator)
    for name, images in shown.items():
        energy = rbm.free_energy(images)
        stderr = energy.std().item() / n**0.5
        trial.record("energies", sampler=name, free_energy=energy.mean().item(), stderr=stderr)
    images = torch.cat([images[:SHOWN] for images in shown.values()])
    arrays = {"fantasies": grey(images, trial.data.shape)}
    return Artifacts(trial.tables(), arrays, {"rbm": rbm})
