"""Deep Boltzmann machines by the protocol of Salakhutdinov & Hinton (2009).

Greedy layers with inputs doubled, joint learning of all layers, and a net for classes that begins
with the machine's weights and sees its mean-field means beside the pixels. The machine:
`dgm.models.dbm`; one joint update: `dgm.learning.deep_boltzmann`.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from dgm.data.batches import Minibatches
from dgm.data.labelled import Labelled, error_percent
from dgm.errors import Diverged
from dgm.inference.deep_boltzmann import inputs
from dgm.learning.backprop import Backprop, Dropout
from dgm.learning.contrastive_divergence import ContrastiveDivergence
from dgm.learning.deep_boltzmann import DeepBoltzmann
from dgm.learning.weight_prior import WeightPrior
from dgm.models.dbm import DBM, CopiedRBM, DBMClassifier, greedy_stack
from dgm.protocols.epochs import epochs
from dgm.protocols.fit_rbm import DIVERGENCE_FACTOR, N_CHECKED, fit_rbm
from dgm.protocols.settings.dbm import DBMSettings
from dgm.protocols.spacing import log_spaced
from dgm.trial.loop import Trial
from dgm.trial.snapshots import Average, Snapshots

RECORDED = 200  # log-spaced epochs whose errors are recorded


def fit_dbm(settings: DBMSettings, trial: Trial, x: Tensor, kept: list[int]) -> Snapshots:
    """Learn x (N, visible): the machine's parameters at the epochs `kept` of joint learning.

    The last of them are the mean over the last epochs, if one is asked for. Records "greedy" and
    "joint" (phase or epoch, error).
    """
    dbm = greedy(settings, trial, x)
    return joint(settings, trial, dbm, x, kept)


def greedy(settings: DBMSettings, trial: Trial, x: Tensor) -> DBM:
    """Each machine learns from the means of the one below, the lowest from x; composed."""
    sizes = [x.shape[1], *settings.hidden]
    rbms = greedy_stack(sizes, trial.device)
    for number, rbm in enumerate(rbms, start=1):
        rbm.initialise(settings.greedy_std, trial.generator, x)
        for name, k, n in _parts(settings, number):
            error = _contrast(settings, trial, rbm, x, name, k, n, grey=number > 1)
            for epoch, value in error:
                trial.record("greedy", phase=name, epoch=epoch, error=value)
        x = torch.cat([rbm.hidden_mean(part) for part in x.split(10_000)])
    dbm = DBM(sizes, trial.device)
    dbm.stack(rbms)
    return dbm


def _parts(settings: DBMSettings, number: int) -> Iterator[tuple[str, int, int]]:
    """The phases of a layer: name, Gibbs steps and epochs."""
    steps = settings.greedy_steps if number > 1 else [1]
    done = 0
    for i, k in enumerate(steps, start=1):
        until = round(settings.greedy_epochs * i / len(steps))
        name = f"layer{number}" if len(steps) == 1 else f"layer{number}_cd{k}_{i}"
        if until > done:
            yield name, k, until - done
        done = until


def _contrast(
    settings: DBMSettings,
    trial: Trial,
    rbm: CopiedRBM,
    x: Tensor,
    phase: str,
    k: int,
    n: int,
    grey: bool,
) -> Iterator[tuple[int, float]]:
    """CD-k at a rate that is 1 / k of the first."""
    learner = ContrastiveDivergence(
        rbm,
        k,
        settings.greedy_rate / k,
        trial.generator,
        settings.greedy_momentum,
        WeightPrior(settings.greedy_decay),
        grey=grey,
    )
    return fit_rbm(trial, phase, learner, Minibatches(x, settings.batch, trial.generator), n)


def joint(settings: DBMSettings, trial: Trial, dbm: DBM, x: Tensor, kept: list[int]) -> Snapshots:
    """All layers at once, from where they are. Records "joint" (epoch, error).

    Diverged, naming epoch, rate and the layer of the largest weights, where E[v|m_1] is farther
    from the images than their mean is, and than it was at first.
    """
    rows, columns = trial.data.shape
    prior = WeightPrior(settings.joint_decay, settings.lasso, settings.smoothness, (rows, columns))
    learner = DeepBoltzmann(
        dbm,
        x[torch.arange(settings.particles, device=x.device) % len(x)],
        settings.joint_rate,
        trial.generator,
        settings.gibbs_steps,
        settings.mean_field_updates,
        settings.joint_momentum,
        prior,
        settings.centred,
        getattr(torch, settings.precision),
    )
    snapshots, average = Snapshots(dbm.flat, kept), Average(dbm.flat)
    recorded = set(log_spaced(1, settings.joint_epochs, RECORDED))
    first = x[:N_CHECKED]
    start = (first - dbm.mean(0, (first, *dbm.up(first)))).square().sum(1).mean().item()
    usual = max(start, x.var(0, correction=0).sum().item())
    batches = Minibatches(x, settings.batch, trial.generator)
    state: dict[str, Any] = {"dbm": dbm, "snapshots": snapshots, "average": average}
    n = settings.joint_epochs
    for epoch, error in epochs(trial, "joint", learner, batches, n, **state):
        if not error <= DIVERGENCE_FACTOR * usual:
            largest = [W.abs().max().item() for W in dbm.W]
            layer = max(range(dbm.depth), key=largest.__getitem__)
            raise Diverged(
                f"joint, epoch {epoch}, joint_rate={settings.joint_rate:g}: the error of the "
                f"images given layer 1 is {error:.4g}, well above {usual:.4g}; the weights of "
                f"layer {layer + 1} reach {largest[layer]:.3g}; the last checkpoint is kept"
            )
        if epoch in recorded:
            trial.record("joint", epoch=epoch, error=error)
        snapshots.keep(epoch, trial.seconds)
        if epoch > (1 - settings.averaged) * n:
            average.take()
    if settings.averaged:
        snapshots.vectors[-1] = average.vector
    dbm.flat.copy_(snapshots.vectors[-1])
    return snapshots


def tune(settings: DBMSettings, trial: Trial, dbm: DBM, images: Labelled) -> DBMClassifier:
    """The net for classes, begun as the machine.

    Rate, decay and the number of epochs are those best on validation images; it then learns anew,
    from these too, by the same rate's fall. Records "curves" (rate, decay, epoch, split, error in
    percent, loss).
    """
    sizes, updates = dbm.config["sizes"], settings.mean_field_updates
    model = DBMClassifier(sizes, trial.data.classes, updates, trial.device)
    model.begin_as(dbm, trial.generator)
    begun = model.net.flat.clone()
    seen = Labelled({split: inputs(model, x) for split, x in images.x.items()}, images.classes)
    x, classes = (of["train"] for of in seen)
    validation, truth = (of["validation"] for of in seen)
    tried = [(rate, decay) for rate in settings.tuning_rates for decay in settings.tuning_decays]
    for number, (rate, decay) in enumerate(tried, start=1):
        model.net.flat.copy_(begun)
        about = {"rate": rate, "decay": decay, "split": "validation"}
        for epoch, loss in _tune(
            settings, trial, f"tuning{number}", model, x, classes, rate, decay
        ):
            error = error_percent(model.net.classify(validation), truth)
            trial.record("curves", **about, epoch=epoch, error=error, loss=loss)
    curves = trial.tables()["curves"]
    of_validation = curves[curves["split"] == "validation"]
    best = of_validation.loc[of_validation["error"].idxmin()]
    rate, decay, last = float(best["rate"]), float(best["decay"]), int(best["epoch"])
    trial.choose(rate=rate, decay=decay, chosen_epoch=last)
    model.net.flat.copy_(begun)
    x, classes = seen.all
    about = {"rate": rate, "decay": decay, "split": "all"}
    for epoch, loss in _tune(settings, trial, "tuning_all", model, x, classes, rate, decay):
        error = error_percent(model.net.classify(x), classes)
        trial.record("curves", **about, epoch=epoch, error=error, loss=loss)
        if epoch == last:
            break
    return model


def _tune(
    settings: DBMSettings,
    trial: Trial,
    phase: str,
    model: DBMClassifier,
    x: Tensor,
    classes: Tensor,
    rate: float,
    decay: float,
) -> Iterator[tuple[int, float]]:
    batches = Minibatches(x, settings.batch, trial.generator)
    alone = settings.outputs_alone * batches.per_epoch
    dropout = None
    if settings.dropout or settings.dropout_inputs:
        dropout = Dropout(settings.dropout_inputs, settings.dropout, trial.generator)
    momentum = settings.tuning_momentum
    learner = Backprop(model.net, classes, rate, momentum, decay, alone, dropout=dropout)
    return epochs(trial, phase, learner, batches, settings.tuning_epochs, net=model.net)
