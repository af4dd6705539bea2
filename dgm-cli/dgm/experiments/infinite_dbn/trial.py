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
from dgm.recipe.grid import TrialSpec
from dgm.report.pixels import grey
from dgm.report.tables import Artifacts
from dgm.trial.loop import Trial
from dgm.trial.measured import Rows

FEW = 1001  # layers of the deepest net that is enough to verify fantasies
CLOSE = 1e-4  # total variation to the RBM below which no deeper net is made


MEASURED = {
    "depths": Rows(("depth",), ("total_variation",)),
    "bounds": Rows(("layer", "iteration"), ("bound", "log_likelihood")),
    "energies": Rows(("sampler",), ("free_energy",)),
}


def run_trial(settings: Settings, trial: Trial) -> Artifacts:
    """Run one of the two parts, which share the claim and nothing else."""
    if isinstance(settings, Exact):
        return exact(settings, trial)
    rbm = learn(settings, trial)
    left = measure(settings, trial, rbm)
    return Artifacts(left.tables, left.arrays, {"rbm": rbm})


def anew(spec: TrialSpec, full: bool) -> bool:
    """Whether a trial is measured again without a trained model."""
    return isinstance(spec.settings, Exact)


def measure(settings: Settings, trial: Trial, model: RBM | None, full: bool = True) -> Artifacts:
    """The exact part, or the fantasies of a trained machine (not `full`: of shallower nets)."""
    if isinstance(settings, Exact):
        return exact(settings, trial)
    assert model is not None
    return fantasies(settings, trial, model, settings.deepest if full else FEW)


def images(trial: Trial) -> Tensor:
    """Binary training images."""
    data = trial.data
    _, whole = binarise(data.name, "static", data.train, {"train": data.train})
    return whole["train"].to(trial.device)


# --- exactly, on a small machine ---------------------------------------------------------------


def exact(settings: Exact, trial: Trial) -> Artifacts:
    """Train by the exact gradient, truncate at every depth, then untie two layers in turn."""
    x = images(trial)
    rbm = RBM(x.shape[1], settings.hidden, trial.device)
    rbm.initialise(settings.initial_std, trial.generator)
    if x.shape[1] + settings.hidden > MOST:
        name = trial.data.name
        raise BadInput(f"{name}, hidden {settings.hidden}: {MOST} units can be enumerated")
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
            # Only one term of the bound changes: the mean log p of what the new machine models.
            bound = before + objective - first
            exactly = finite(log_likelihood(data, [*layers, machine]))
            about = {"layer": layer, "iteration": iteration}
            trial.record("bounds", **about, bound=bound, log_likelihood=exactly)
        layers.append(Enumerated(above))
        below = above
    return Artifacts(trial.tables(), models={"rbm": rbm})


def finite(value: float) -> float:
    """The value itself; Diverged where weights are so large that states have no probability."""
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


def learn(settings: Fantasies, trial: Trial) -> RBM:
    """A machine trained by PCD."""
    train = images(trial)
    rbm = RBM(train.shape[1], settings.hidden, trial.device)
    rbm.initialise(settings.initial_std, trial.generator, train)
    if settings.samples > len(train):
        raise BadInput(
            f"samples {settings.samples}: the RBM's chains begin at {len(train)} training images"
        )
    learner = ContrastiveDivergence(rbm, 1, settings.rate, trial.generator, chains=settings.batch)
    batches = Minibatches(train, settings.batch, trial.generator)
    for epoch, error in fit_rbm(trial, "train", learner, batches, settings.epochs):
        trial.record("reconstruction", epoch=epoch, error=error)
    return rbm


def fantasies(settings: Fantasies, trial: Trial, rbm: RBM, deepest: int) -> Artifacts:
    """Images of directed nets of several depths, the last beside those of the RBM's chain."""
    train = images(trial)
    generator, n = trial.generator, settings.samples
    shown = {}
    top = rbm.parameters["b"].sigmoid().expand(n, -1)
    v = rbm.sample_visible(bernoulli(top, generator), generator)
    done = 1
    for depth in [depth for depth in DEPTHS if depth <= deepest]:
        v = gibbs(rbm, v, (depth - done) // 2, generator)
        done = depth
        shown[f"{depth}"] = v
    if deepest == settings.deepest:
        start = train[torch.randperm(len(train), generator=generator, device=train.device)[:n]]
        shown["RBM"] = gibbs(rbm, start, deepest // 2, generator)
    for name, v in shown.items():
        energy = rbm.free_energy(v)
        stderr = energy.std().item() / n**0.5
        trial.record("energies", sampler=name, free_energy=energy.mean().item(), stderr=stderr)
    first = torch.cat([v[:SHOWN] for v in shown.values()])
    return Artifacts(trial.tables(), {"fantasies": grey(first, trial.data.shape)})
