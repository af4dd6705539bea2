"""Sigmoid belief nets: ways to learn them, judged alike, and why a deep one's posterior is hard.

Neal (1992): Gibbs sampling of the posterior and the delta rule, which fail in deep nets since the
chain does not mix. Beside it: mean field, wake-sleep, reweighted wake-sleep, NVIL, and RBMs layer
by layer. The net: `dgm.models.sigmoid_belief_net`; Gibbs sampling and the path of the annealing by
which all are judged: `dgm.inference.gibbs`; each method: a module of `dgm.learning`.
"""

import itertools
import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from dgm.data.batches import Minibatches
from dgm.data.binarise import binarise
from dgm.errors import check_enough
from dgm.experiments.sbn_learning.settings import (
    RECOGNISING,
    SHOWN,
    Learning,
    Mixing,
    Settings,
)
from dgm.fast.draws import bernoulli
from dgm.inference.ais import AIS, LogPartition, schedule
from dgm.inference.autocorrelation import autocorrelation_time
from dgm.inference.enumeration import MOST, log_evidence
from dgm.inference.gibbs import PosteriorPath, evidence, gibbs_sweep
from dgm.inference.likelihood import Estimate, from_log_weights, recognition_log_weights
from dgm.learning.contrastive_divergence import gibbs
from dgm.learning.gibbs_em import GibbsEM
from dgm.learning.mean_field_em import MeanFieldEM
from dgm.learning.nvil import NVIL
from dgm.learning.reweighted_wake_sleep import ReweightedWakeSleep
from dgm.models.dbn import conditional
from dgm.models.rbm import RBMPath, log_odds
from dgm.models.sigmoid_belief_net import SigmoidBeliefNet
from dgm.protocols.epochs import Learner, epochs
from dgm.protocols.fit_rbm import greedy, stack_of
from dgm.report.pixels import grey
from dgm.report.tables import Artifacts
from dgm.trial.loop import Trial
from dgm.trial.measured import Rows
from dgm.trial.snapshots import Best

BLOCK = 100  # test images whose likelihood is estimated between two looks at the clock
FEW = 2  # blocks that are enough to verify a likelihood
CHAIN_IMAGES, CHAINS = 5, 8  # test images whose posterior's chains are timed, and chains of each
ANNEALED = 200  # temperatures from the prior to where such chains begin
TOP_STEPS = 1000  # Gibbs steps of an undirected top before it is looked at
RECORDED = 200  # epochs at most whose training estimate is recorded
LINK, RARE = 20.0, -10.0  # of the two causes: weight on their effect, log odds of each cause

MEASURED = {
    "bounds": Rows(("split",), ("elbo",)),
    "importance": Rows(("first_image",), ("log_likelihood",)),
}


def run_trial(settings: Settings, trial: Trial) -> Artifacts:
    """Learn a net and judge it, or measure how random nets' posteriors mix."""
    if isinstance(settings, Mixing):
        mixing(settings, trial)
        explaining_away(settings, trial)
        return Artifacts(trial.tables())
    evaluated = images(trial)
    check_enough("evaluated_images", settings.evaluated_images, len(evaluated["test"]), "images")
    net = learn(settings, trial, evaluated)
    annealed(settings, trial, net, evaluated)
    mixing_once_learned(settings, trial, net, evaluated["test"])
    left = measure(settings, trial, net)
    return Artifacts(left.tables, left.arrays, {"net": net})


def measure(
    settings: Learning, trial: Trial, model: SigmoidBeliefNet, full: bool = True
) -> Artifacts:
    """The bound and the likelihood of test images (not `full`: of the first ones), and dreams."""
    test = images(trial)["test"][: settings.evaluated_images]
    exact(settings, trial, model, test)
    if settings.method not in RECOGNISING:
        return Artifacts(trial.tables(), {"samples": samples(settings, trial, model)})
    judge_bound(settings, trial, model, test)
    likelihood(settings, trial, model, test if full else test[: FEW * BLOCK])
    if full and settings.bias_images:
        bias(settings, trial, model, test[: settings.bias_images])
    return Artifacts(trial.tables(), {"samples": samples(settings, trial, model)})


def images(trial: Trial) -> dict[str, Tensor]:
    """Binary images of every split."""
    data = trial.data
    whole = {"train": data.train, "validation": data.validation, "test": data.test}
    _, evaluated = binarise(data.name, "static", data.train, whole)
    return {split: x.to(trial.device) for split, x in evaluated.items()}


# --- learning ----------------------------------------------------------------------------------


def learn(settings: Learning, trial: Trial, evaluated: dict[str, Tensor]) -> SigmoidBeliefNet:
    """Learn training images; the net of the epoch best on validation images, or of the last one.

    Records "training" (epoch, estimate) and "curves" (epoch, log_likelihood).
    """
    x = evaluated["train"]
    n = settings.passes(*x.shape)
    trial.choose(epochs=n, unit_updates=n * len(x) * settings.draws(x.shape[1]))
    undirected = settings.method == "greedy"
    net = SigmoidBeliefNet(x.shape[1], settings.hidden, undirected, trial.device)
    if undirected:
        rbms = stack_of(net.sizes, trial.device)
        greedy(settings.model_copy(update={"greedy_epochs": n}), trial, x, rbms)
        net.stack(rbms)
        return net
    net.initialise(settings.initial_std, trial.generator, x)
    best = Best(net.flat)
    batches = Minibatches(x, settings.batch, trial.generator)
    judged = _evenly(n, settings.evaluations)
    recorded = _evenly(n, RECORDED)
    learner = learner_of(settings, trial, net, len(x))
    for epoch, estimate in epochs(trial, "train", learner, batches, n, net=net, best=best):
        if epoch in recorded:
            trial.record("training", epoch=epoch, estimate=estimate)
        if epoch in judged:
            particles = 1 if settings.method == "nvil" else settings.validation_particles
            score = estimated(net, evaluated["validation"], particles, trial.generator)
            trial.record("curves", epoch=epoch, log_likelihood=score)
            best.offer(score, epoch)
    if judged:
        net.flat.copy_(best.vector)
        trial.choose(chosen_epoch=int(best.step))
    return net


def _evenly(last: int, n: int) -> set[int]:
    """Up to n whole numbers from 1 to `last`, evenly spaced, the last one included."""
    return {-(-last * i // n) for i in range(1, n + 1)}


def learner_of(settings: Learning, trial: Trial, net: SigmoidBeliefNet, n: int) -> Learner:
    """What learns n training images."""
    rate, generator = settings.rate, trial.generator
    if settings.method == "gibbs":
        return GibbsEM(net, n, settings.sweeps, rate, generator)
    if settings.method == "mean_field":
        return MeanFieldEM(net, settings.iterations, rate)
    if settings.method == "nvil":
        return NVIL(net, settings.baseline_units, rate, generator)
    if settings.method == "wake_sleep":
        return ReweightedWakeSleep(net, 1, rate, generator, wake_recognition=False)
    return ReweightedWakeSleep(net, settings.particles, rate, generator)


def estimated(
    net: SigmoidBeliefNet, x: Tensor, particles: int, generator: torch.Generator
) -> float:
    """The mean of log p(x) by that many recognised samples an image; by one, the bound."""
    log_w = recognition_log_weights(net, x, particles, generator)
    return from_log_weights(log_w).log_likelihood.mean().item()


# --- likelihoods -------------------------------------------------------------------------------


def exact(settings: Learning, trial: Trial, net: SigmoidBeliefNet, x: Tensor) -> None:
    """Record "exact" where the net is small enough to enumerate: the mean of log p(x), also of the
    images that are annealed, and KL(distribution of the rows of x || the net's)."""
    if max(map(sum, itertools.pairwise([*net.sizes[1:], 0]))) > MOST:
        return
    distinct, which, times = torch.unique(x, dim=0, return_inverse=True, return_counts=True)
    log_p, p = log_evidence(net, distinct), times.double().cpu() / len(x)
    mean = (p * log_p).sum().item()
    trial.record(
        "exact",
        log_likelihood=mean,
        kl_bits=((p * p.log()).sum().item() - mean) / math.log(2),
        annealed_log_likelihood=log_p[which[: settings.ais_images].cpu()].mean().item(),
    )


def judge_bound(settings: Learning, trial: Trial, net: SigmoidBeliefNet, x: Tensor) -> None:
    """Record "bounds" (split, elbo, stderr, test_std, images) of test images."""
    log_w = recognition_log_weights(net, x, settings.bound_samples, trial.generator)
    bounds = log_w.mean(1)
    stderr = (log_w.var(1).sum() / settings.bound_samples).sqrt().item() / len(x)
    spread = {"test_std": bounds.std().item(), "images": len(x)}
    trial.record("bounds", split="test", elbo=bounds.mean().item(), stderr=stderr, **spread)


def likelihood(settings: Learning, trial: Trial, net: SigmoidBeliefNet, x: Tensor) -> None:
    """Record "importance" of test images x (n, visible), a block of them a row."""
    blocks = x.split(BLOCK)
    for i in trial.steps(len(blocks), phase="likelihood"):
        found = importance(net, blocks[i], settings.importance_samples, trial.generator)
        trial.record("importance", first_image=i * BLOCK, **row_of(found))


def bias(settings: Learning, trial: Trial, net: SigmoidBeliefNet, x: Tensor) -> None:
    """Record "bias": the likelihood of x by few samples and by many, a block of images a row."""
    blocks = x.split(BLOCK // 10)
    sizes = {"few": settings.importance_samples, "many": settings.bias_samples}
    for i in trial.steps(len(blocks), phase="bias"):
        for name, samples in sizes.items():
            found = importance(net, blocks[i], samples, trial.generator)
            row = {"first_image": i * BLOCK // 10, "by": name, "samples": samples}
            trial.record("bias", **row, **row_of(found))


def importance(
    net: SigmoidBeliefNet, x: Tensor, samples: int, generator: torch.Generator
) -> Estimate:
    """Of log p(x), by that many recognised samples an image; an image at a time where many."""
    few = x.split(max(1, 10**6 // samples))
    log_w = [recognition_log_weights(net, part, samples, generator) for part in few]
    return from_log_weights(torch.cat(log_w))


def row_of(found: Estimate) -> dict[str, Any]:
    """The mean over images, its Monte Carlo error, and how many and how different images are."""
    mean, stderr = found.mean()
    values = found.log_likelihood
    return {
        "images": len(values),
        "log_likelihood": mean,
        "stderr": stderr,
        "squares": values.square().mean().item(),
        "mean_effective_samples": found.effective_samples.mean().item(),
    }


def annealed(
    settings: Learning, trial: Trial, net: SigmoidBeliefNet, evaluated: dict[str, Tensor]
) -> None:
    """Record "annealed": the likelihood of the first test images by AIS from prior to posterior,
    and beside it by recognised samples of the same images, and exactly, where these can be had."""
    x = evaluated["test"][: settings.ais_images]
    if not len(x):
        return
    path, betas = PosteriorPath(net, x), schedule(*settings.ais_schedule)
    ais = AIS(path, betas, settings.ais_chains, trial.generator)
    for step in trial.steps(ais.steps, "ais", ais=ais):
        ais.update(step)
    row = row_of(evidence(ais, path))
    if net.undirected_top:
        top = log_partition_of_top(settings, trial, net, evaluated["train"])
        row["log_likelihood"] -= top.log_partition
        row["stderr"] = math.hypot(row["stderr"], (top.high - top.low) / (2 * 1.96))
    if settings.method in RECOGNISING:
        by_samples = importance(net, x, settings.importance_samples, trial.generator)
        row["by_importance"] = by_samples.mean()[0]
    trial.record("annealed", **row)


def log_partition_of_top(
    settings: Learning, trial: Trial, net: SigmoidBeliefNet, x: Tensor
) -> LogPartition:
    """log Z of the undirected top by AIS, from units that are on as often as those of images x."""
    for layer in net.recognition[:-1]:
        x = conditional(layer, x)
    path, betas = RBMPath(net.top(), log_odds(x)), schedule(*settings.top_schedule)
    ais = AIS(path, betas, settings.top_chains, trial.generator)
    for step in trial.steps(ais.steps, "ais_top", ais=ais):
        ais.update(step)
    return ais.result()


def samples(settings: Learning, trial: Trial, net: SigmoidBeliefNet) -> Any:
    """Dreams of the net, as probabilities of the pixels. With an undirected top the layer below it
    is that of chains which begin at training images."""
    generator = trial.generator
    mean = net.prior["b"].sigmoid().expand(SHOWN, -1)
    if net.undirected_top:
        x, rbm = images(trial)["train"][:SHOWN], net.top()
        for layer in net.recognition[:-1]:
            x = bernoulli(conditional(layer, x), generator)
        mean = rbm.hidden_mean(gibbs(rbm, x, TOP_STEPS, generator))
    for layer in reversed(net.generative):
        mean = conditional(layer, bernoulli(mean, generator))
    return grey(mean, trial.data.shape)


# --- mixing ------------------------------------------------------------------------------------


def chains_of(
    net: SigmoidBeliefNet, x: Tensor, chains: int, steps: int, generator: torch.Generator
) -> Iterator[float]:
    """The autocorrelation time of each hidden layer of the posterior's chains, in sweeps.

    The chains of each image of x begin at states that were annealed from the prior, nearly
    independent draws of the posterior, and a quarter as many sweeps as are kept go before.
    """
    ais = AIS(PosteriorPath(net, x), schedule((ANNEALED, 0, 1)), chains, generator)
    for step in range(ais.steps):
        ais.update(step)
    states = [x.repeat(chains, 1), *ais.states]
    kept: list[list[Tensor]] = [[] for _ in net.generative]
    for step in range(-steps // 4, steps):
        gibbs_sweep(net, states, generator)
        if step >= 0:
            for of_layer, h in zip(kept, states[1:], strict=True):
                of_layer.append(h.bool().view(chains, -1))
    for of_layer in kept:
        yield autocorrelation_time(torch.stack(of_layer).cpu())


def mixing_once_learned(settings: Learning, trial: Trial, net: SigmoidBeliefNet, x: Tensor) -> None:
    """Record "mixing_learned" (layer, tau): of the posterior's chains of the first test images."""
    if settings.chain_steps and not net.undirected_top:
        x = x[:CHAIN_IMAGES]
        taus = chains_of(net, x, CHAINS, settings.chain_steps, trial.generator)
        for layer, tau in enumerate(taus, start=1):
            trial.record("mixing_learned", layer=layer, tau=tau)


def mixing(settings: Mixing, trial: Trial) -> None:
    """Record "mixing" (depth, scale, net, layer, tau, effective) of random nets' posteriors.

    Half of a unit's parents leave it undecided. The image is drawn from the net itself.
    """
    generator = trial.generator
    every = [*itertools.product(settings.depths, settings.scales, range(settings.nets))]
    for i in trial.steps(len(every), phase="mixing"):
        depth, scale, number = every[i]
        net = SigmoidBeliefNet(settings.units, [settings.units] * depth, device=trial.device)
        for part in net.generative:
            part["W"].normal_(0.0, scale / math.sqrt(settings.units), generator=generator)
            part["b"].copy_(part["W"].sum(0).mul_(-0.5))
        x = net.dream(1, generator)[0]
        taus = chains_of(net, x, settings.chains, settings.steps, generator)
        for layer, tau in enumerate(taus, start=1):
            row = {"depth": depth, "scale": scale, "net": number, "layer": layer}
            trial.record("mixing", **row, tau=tau, effective=1000 / tau)


def explaining_away(settings: Mixing, trial: Trial) -> None:
    """Record "causes" (first, second, exact, sampled) and "cause_chain" (sweeps, switches) of two
    causes, each rare, of an effect that is there: a truck or an earthquake that made a house jump.

    Given the effect, either is nearly certain to be the only one. `sampled` is the share of one
    chain's sweeps, which begins with the first.
    """
    net = SigmoidBeliefNet(1, [2], device=trial.device)
    net.generative[0]["W"].fill_(LINK)
    net.generative[0]["b"].fill_(-LINK)
    net.prior["b"].fill_(RARE)
    states = [torch.ones(1, 1, device=trial.device) for _ in range(2)]
    states[1] = torch.tensor([[1.0, 0.0]], device=trial.device)
    visited = []
    for _ in range(settings.cause_steps):
        gibbs_sweep(net, states, trial.generator)
        visited.append(states[1].clone())
    h = torch.cat(visited)
    every = torch.tensor([[0.0, 0.0], [1, 0], [0, 1], [1, 1]], device=trial.device)
    log_p = torch.stack(net.p_terms([torch.ones(4, 1, device=trial.device), every]).log_p).sum(0)
    for (first, second), exact in zip(every.tolist(), log_p.softmax(0).tolist(), strict=True):
        sampled = (h == torch.tensor([first, second], device=h.device)).all(1).float().mean().item()
        row = {"first": int(first), "second": int(second)}
        trial.record("causes", **row, exact=exact, sampled=sampled)
    switches = int((h[1:, 0] != h[:-1, 0]).sum())
    trial.record("cause_chain", sweeps=len(h), switches=switches)
