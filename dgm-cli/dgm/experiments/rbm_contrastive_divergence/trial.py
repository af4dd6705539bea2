"""RBMs learned by contrastive divergence: likelihood by AIS, and CD against the true gradient.

Hinton (2002), Tieleman (2008), Salakhutdinov & Murray (2008). The machine: `dgm.models.rbm`;
learning: `dgm.learning.contrastive_divergence`; log Z: `dgm.inference.ais`; a machine small
enough is enumerated beside it: `dgm.inference.enumeration`.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from dgm.data.batches import Minibatches
from dgm.data.binarise import binarise
from dgm.experiments.rbm_contrastive_divergence.settings import (
    FILTERS_FILMED,
    FILTERS_SHOWN,
    KS,
    STEPS_SHOWN,
    Settings,
)
from dgm.fast.draws import bernoulli
from dgm.inference.ais import AIS, LogPartition, schedule
from dgm.inference.enumeration import MOST, Enumerated
from dgm.learning.contrastive_divergence import ContrastiveDivergence, gibbs
from dgm.learning.weight_prior import WeightPrior
from dgm.models.rbm import RBM, RBMPath, log_odds
from dgm.protocols.fit_rbm import fit_rbm
from dgm.protocols.spacing import log_spaced
from dgm.report.pixels import grey
from dgm.report.tables import Artifacts
from dgm.trial.loop import Trial
from dgm.trial.measured import Rows
from dgm.trial.snapshots import Average, Snapshots

RECORDED = 200  # log-spaced epochs whose reconstruction error is recorded
CHAINS_SHOWN = 5


APART = 0.3  # nats; four standard errors of the difference of two estimates of log Z, or so
MEASURED = {
    "likelihood": Rows(("epoch", "split"), ("log_likelihood",), within=APART),
    "partition": Rows(("epoch",)),
    "refit": Rows(("epoch",), ("log_likelihood",), within=APART),
}


def run_trial(settings: Settings, trial: Trial) -> Artifacts:
    """Train, estimate log Z at points along the way, and show the machine best on validation."""
    evaluated = images(trial)
    train = evaluated["train"]
    rbm = RBM(train.shape[1], settings.hidden, trial.device)
    kept = learn(settings, trial, rbm, train, settings.epochs)
    validation, partitions, forming = [], [], []
    for epoch, vector in zip(kept.steps, kept.vectors, strict=True):
        rbm.flat.copy_(vector)
        forming.append(filters(rbm, FILTERS_FILMED, trial.data.shape))
        mean, found = evaluate(settings, trial, rbm, epoch, evaluated)
        validation.append(mean)
        partitions.append(found)
        if train.shape[1] + settings.hidden <= MOST:
            compare(trial, rbm, epoch, train)
    best = int(np.argmax(validation))
    rbm.flat.copy_(kept.vectors[best])
    trial.choose(chosen_epoch=kept.steps[best])
    found = partitions[best]
    if settings.refit:
        both = torch.cat([evaluated["train"], evaluated["validation"]])
        rbm.flat.copy_(learn(settings, trial, rbm, both, kept.steps[best], "all").vectors[-1])
        found = judge_refit(settings, trial, rbm, evaluated)
    shown = arrays(trial, rbm, evaluated, found) | {"forming": np.stack(forming)}
    return Artifacts(trial.tables(), shown, {"rbm": rbm})


def measure(settings: Settings, trial: Trial, model: RBM, full: bool = True) -> Artifacts:
    """The likelihood of the machine that was kept, of each test image too, and its pictures."""
    evaluated = images(trial)
    if settings.refit:
        found = judge_refit(settings, trial, model, evaluated)
    else:
        _, found = evaluate(settings, trial, model, trial.chosen["chosen_epoch"], evaluated)
    return Artifacts(trial.tables(), arrays(trial, model, evaluated, found))


def images(trial: Trial) -> dict[str, Tensor]:
    """Binary images of every split."""
    data = trial.data
    whole = {"train": data.train, "validation": data.validation, "test": data.test}
    _, evaluated = binarise(data.name, "static", data.train, whole)
    return {split: x.to(trial.device) for split, x in evaluated.items()}


def arrays(
    trial: Trial, rbm: RBM, evaluated: dict[str, Tensor], found: LogPartition
) -> dict[str, np.ndarray]:
    """log p(x) of each test image, what the units see, and Gibbs chains from test images and from
    noise."""
    shape, train = trial.data.shape, evaluated["train"]
    values = minus_free_energy(rbm, evaluated["test"]) - found.log_partition
    return {
        "test_values": values.float().cpu().numpy(),
        "filters": filters(rbm, FILTERS_SHOWN, shape),
        "from_data": chain(rbm, evaluated["test"][:CHAINS_SHOWN], trial, shape),
        "from_noise": chain(rbm, noise(train[:CHAINS_SHOWN], trial), trial, shape),
    }


def learn(
    settings: Settings, trial: Trial, rbm: RBM, x: Tensor, epochs: int, phase: str = "train"
) -> Snapshots:
    """Train on x (N, visible), binary; the machine at log-spaced epochs, averaged at the last."""
    rbm.initialise(settings.initial_std, trial.generator, x)
    rows, columns = trial.data.shape
    prior = WeightPrior(settings.decay, settings.lasso, settings.smoothness, (rows, columns))
    chains = settings.batch if settings.method == "pcd" else 0
    learner = ContrastiveDivergence(
        rbm,
        settings.k,
        settings.rate,
        trial.generator,
        settings.momentum,
        prior,
        chains,
        centred=settings.centred,
    )
    kept = Snapshots(rbm.flat, log_spaced(1, epochs, settings.evaluations))
    average = Average(rbm.flat)
    batches = Minibatches(x, settings.batch, trial.generator)
    recorded = set(log_spaced(1, epochs, RECORDED))
    state: dict[str, Any] = {"kept": kept, "average": average}
    for epoch, error in fit_rbm(trial, phase, learner, batches, epochs, **state):
        if epoch in recorded and phase == "train":
            trial.record("reconstruction", epoch=epoch, error=error)
        kept.keep(epoch, trial.seconds)
        if epoch > (1 - settings.averaged) * epochs:
            average.take()
    if settings.averaged:
        kept.vectors[-1] = average.vector
    return kept


def evaluate(
    settings: Settings, trial: Trial, rbm: RBM, epoch: int, evaluated: dict[str, Tensor]
) -> tuple[float, LogPartition]:
    """Record log Z by AIS and the mean log p(x) of each split; give that of validation images, and
    log Z."""
    found = anneal(settings, trial, rbm, f"ais_{epoch}", evaluated["train"])
    trial.record("partition", epoch=epoch, **found._asdict())
    means = {}
    for split, x in evaluated.items():
        row = likelihood(rbm, x, found)
        trial.record("likelihood", epoch=epoch, split=split, **row)
        means[split] = row["log_likelihood"]
    return means["validation"], found


def judge_refit(
    settings: Settings, trial: Trial, rbm: RBM, evaluated: dict[str, Tensor]
) -> LogPartition:
    """Record the test images' mean log p(x) of a machine that learned validation images too."""
    both = torch.cat([evaluated["train"], evaluated["validation"]])
    found = anneal(settings, trial, rbm, "ais_all", both)
    effective, row = found.effective_chains, likelihood(rbm, evaluated["test"], found)
    epoch = trial.chosen["chosen_epoch"]
    trial.record("refit", epoch=epoch, effective_chains=effective, **row)
    return found


def anneal(
    settings: Settings, trial: Trial, rbm: RBM, phase: str, learned_from: Tensor
) -> LogPartition:
    """log Z by AIS, begun at independent pixels that are on as often as in `learned_from`."""
    path, betas = RBMPath(rbm, log_odds(learned_from)), schedule(*settings.ais_schedule)
    ais = AIS(path, betas, settings.ais_chains, trial.generator)
    for step in trial.steps(ais.steps, phase, ais=ais):
        ais.update(step)
    return ais.result()


def likelihood(rbm: RBM, x: Tensor, found: LogPartition) -> dict[str, float]:
    """The mean of log p(x) of these images, with the interval that log Z's gives it; and their
    number and standard deviation, for the mean has a standard error for being of so many."""
    values = minus_free_energy(rbm, x)
    minus_f = values.mean().item()
    return {
        "log_likelihood": minus_f - found.log_partition,
        "low": minus_f - found.high,
        "high": minus_f - found.low,
        "test_std": values.std().item(),
        "images": len(x),
    }


def minus_free_energy(rbm: RBM, x: Tensor) -> Tensor:
    """log p(x) + log Z of each image (n,)."""
    return -torch.cat([rbm.free_energy(part) for part in x.split(10_000)])


def compare(trial: Trial, rbm: RBM, epoch: int, x: Tensor) -> None:
    """Record the exact log Z and log-likelihood, and the error of CD-k's expected gradient."""
    exact, log_partition = Enumerated(rbm), rbm.log_partition()
    log_likelihood = -rbm.free_energy(x).mean().item() - log_partition
    trial.record("exact", epoch=epoch, log_partition=log_partition, log_likelihood=log_likelihood)
    data = exact.empirical(x)
    gradient = exact.gradient(data)
    for k in KS:
        followed = exact.contrastive_divergence(data, k)
        cosine = torch.nn.functional.cosine_similarity(followed, gradient, 0).clamp(-1, 1)
        trial.record(
            "gradient",
            epoch=epoch,
            cd_steps=k,
            angle=torch.rad2deg(torch.arccos(cosine)).item(),
            bias=(followed - gradient).norm().item(),
            exact_norm=gradient.norm().item(),
        )


def filters(rbm: RBM, most: int, shape: tuple[int, int]) -> np.ndarray:
    """The first hidden units' weights, grey at zero, black and white at their own extremes."""
    W = rbm.parameters["W"].t()[:most]
    return grey(0.5 + 0.5 * W / W.abs().amax(1, keepdim=True), shape)


def noise(like: Tensor, trial: Trial) -> Tensor:
    """Images whose pixels are on with a probability of one half."""
    return bernoulli(torch.full_like(like, 0.5), trial.generator)


def chain(rbm: RBM, v: Tensor, trial: Trial, shape: tuple[int, int]) -> np.ndarray:
    """Gibbs chains from v, a row each: the start, then p(v|h) after each of `STEPS_SHOWN`."""
    shown = [v]
    for done, steps in zip(STEPS_SHOWN, STEPS_SHOWN[1:], strict=False):
        v = gibbs(rbm, v, steps - done - 1, trial.generator)
        mean = rbm.visible_mean(rbm.sample_hidden(v, trial.generator))
        v = rbm.draw_visible(mean, trial.generator)
        shown.append(mean)
    return grey(torch.stack(shown, 1).flatten(0, 1), shape)
