"""Learning an RBM in epochs of contrastive divergence, and a stack of them greedily."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from dgm.data.batches import Minibatches
from dgm.errors import Diverged
from dgm.learning.contrastive_divergence import ContrastiveDivergence
from dgm.learning.weight_prior import WeightPrior
from dgm.models.rbm import RBM, LabelRBM, LinearRBM, SoftmaxRBM, one_hot
from dgm.protocols.epochs import epochs
from dgm.protocols.settings.rbm import GreedySettings
from dgm.trial.loop import Trial

N_CHECKED = 1000  # rows on which the error of the untrained machine is taken
DIVERGENCE_FACTOR = (
    1.5  # times that error: the noise of real hidden units may raise it before it falls
)


def fit_rbm(
    trial: Trial,
    phase: str,
    learner: ContrastiveDivergence,
    batches: Minibatches,
    n: int,
    setting: str = "",
    **state: Any,
) -> Iterator[tuple[int, float]]:
    """Train for n epochs, the rate falling to 0; after each, its number and reconstruction error.

    Diverged, naming phase, epoch and `setting` (the rate, where that has no other name), where the
    error has risen well above that of the untrained machine.
    """
    rbm, setting = learner.rbm, setting or f"rate={learner.rate:g}"
    x = batches.x[:N_CHECKED]
    # Grey pixels that are drawn at each visit add their own variance to any error.
    drawn = (x * (1 - x)).sum(1).mean().item() if batches.dynamic else 0.0
    h = rbm.sample_hidden(x, torch.Generator(x.device).manual_seed(0))  # leaving the trial's alone
    start = drawn + (x - rbm.reconstruct(x, h)).square().sum(1).mean().item()
    if not math.isfinite(start):
        raise Diverged(f"{phase}: the reconstruction error is {start} before learning")
    learning = epochs(trial, phase, learner, batches, n, setting=setting, rbm=rbm, **state)
    for epoch, error in learning:
        if not error <= DIVERGENCE_FACTOR * start:
            raise Diverged(
                f"{phase}, epoch {epoch}, {setting}: the reconstruction error is "
                f"{error:.4g}, risen from {start:.4g} before learning{trial.kept(phase)}"
            )
        yield epoch, error


def greedy(
    settings: GreedySettings,
    trial: Trial,
    x: Tensor,
    rbms: Sequence[RBM],
    classes: Tensor | None = None,
    phase: str = "layer",
    drawn: bool = False,
) -> None:
    """CD-1 layer by layer: the first machine learns x (N, visible), each of the others the hidden
    probabilities of the one below.

    With `drawn`, states are sampled from such probabilities, the data's anew at each visit;
    without, the probabilities themselves are used. Data and reconstructions are treated alike.
    Label units take half of the rate, and real hidden units a hundredth. With `classes` (N,)
    minibatches are balanced, and a `LabelRBM` at the top sees the classes beside the layer below.
    Records "greedy" (phase, epoch, error).
    """
    for number, rbm in enumerate(rbms, start=1):
        rate = settings.greedy_rate
        if isinstance(rbm, LabelRBM):
            if classes is None:
                raise ValueError("a top with label units needs the classes")
            x, rate = torch.cat([x, one_hot(classes, rbm.labels).to(x)], 1), rate / 2
        if isinstance(rbm, LinearRBM):
            rate = rate / 100
        rbm.initialise(settings.greedy_std, trial.generator, x)
        momentum, prior = settings.greedy_momentum, WeightPrior(settings.greedy_decay)
        batches = Minibatches(x, settings.batch, trial.generator, drawn, classes)
        grey = not drawn and not isinstance(rbm, SoftmaxRBM)  # whose data are counts
        learner = ContrastiveDivergence(rbm, 1, rate, trial.generator, momentum, prior, grey=grey)
        name, setting = f"{phase}{number}", f"greedy_rate={settings.greedy_rate:g}"
        n = settings.greedy_epochs
        for epoch, error in fit_rbm(trial, name, learner, batches, n, setting):
            trial.record("greedy", phase=name, epoch=epoch, error=error)
        x = torch.cat([rbm.hidden_mean(part) for part in x.split(10_000)])


def stack_of(sizes: Sequence[int], device: torch.device) -> list[RBM]:
    """RBMs between neighbouring layers of these sizes, the visible one's first."""
    return [RBM(below, above, device) for below, above in zip(sizes, sizes[1:], strict=False)]
