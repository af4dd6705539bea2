"""Learning an autoencoder: a stack of RBMs, unrolled, and fine-tuned by the cross-entropy.

Hinton & Salakhutdinov (2006) with their supporting material: conjugate gradients, three line
searches on each large minibatch; or Adam, its rate falling to 0, which is not the paper's.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from dgm.data.batches import Minibatches
from dgm.fast.replay import replayed
from dgm.learning.adam import Adam
from dgm.learning.conjugate_gradients import descend
from dgm.models.autoencoder import Autoencoder
from dgm.models.rbm import LinearRBM, SoftmaxRBM
from dgm.protocols.fit_rbm import greedy, stack_of
from dgm.protocols.settings.autoencoder import AutoencoderSettings
from dgm.protocols.spacing import log_spaced
from dgm.state import State
from dgm.trial.loop import Trial

BLOCK = 10_000  # images evaluated at once


class ConjugateGradients(State):
    """Nonlinear conjugate gradients, restarted on each minibatch."""

    def __init__(self, net: Autoencoder, line_searches: int, generator: torch.Generator) -> None:
        self.net, self.line_searches = net, line_searches
        self._backward = replayed(lambda x, _: net.backward(x), generator)

    def update(self, x: Tensor, indices: Tensor, left: float) -> None:
        """So many line searches on the mean cross-entropy of x (batch, visible)."""

        def loss() -> tuple[float, Tensor]:
            value = self._backward(x, indices).item()
            return value, self.net.gradient.neg_()

        descend(self.net.flat, loss, self.line_searches)


class FallingAdam(State):
    """Adam whose rate falls to 0 in a straight line."""

    def __init__(self, net: Autoencoder, rate: float, generator: torch.Generator) -> None:
        self.rate, self.net, self.adam = rate, net, Adam(net.flat, rate)
        self._backward = replayed(lambda x, _: net.backward(x), generator)

    def update(self, x: Tensor, indices: Tensor, left: float) -> None:
        """A step on x (batch, visible); `left` is the share of the training that is to come."""
        self._backward(x, indices)
        self.adam.rate = self.rate * left
        self.adam.ascend(self.net.gradient)

    def state_dict(self) -> dict[str, Tensor]:
        return self.adam.state_dict()


def fit_autoencoder(
    settings: AutoencoderSettings,
    trial: Trial,
    x: Tensor,
    judged: dict[str, Tensor],
    outputs: Literal["logistic", "softmax"] = "logistic",
    varied: Callable[[Tensor], Tensor] | None = None,
) -> Autoencoder:
    """Pre-train and fine-tune on x (N, visible): pixels, or with softmax outputs counts of words.

    `varied`, if given, changes each minibatch of the fine-tuning. The splits in `judged` choose
    nothing. Records "greedy" (phase, epoch, error), and for each of these splits "curves" (epoch,
    split, cross_entropy, and of pixels squared_error) at log-spaced epochs; epoch 0 is the unrolled
    stack.
    """
    sizes = [x.shape[1], *settings.layers, settings.code]
    net = Autoencoder(sizes, trial.device, outputs)
    net.initialise(trial.generator)
    if settings.pretrained:
        rbms = [*stack_of(sizes[:-1], trial.device), LinearRBM(sizes[-2], sizes[-1], trial.device)]
        if net.softmax:
            rbms[0] = SoftmaxRBM(sizes[0], sizes[1], trial.device)
        greedy(settings, trial, x, rbms)
        net.unroll(rbms)
    learner: ConjugateGradients | FallingAdam = FallingAdam(net, settings.rate, trial.generator)
    if settings.optimiser == "conjugate_gradients":
        learner = ConjugateGradients(net, settings.line_searches, trial.generator)
    batches = Minibatches(x, settings.tuning_batch, trial.generator)
    steps = settings.tuning_epochs * batches.per_epoch
    recorded = set(log_spaced(1, settings.tuning_epochs, settings.evaluations))
    _record(trial, 0, net, judged)
    for step in trial.steps(steps, "tuning", net=net, learner=learner, batches=batches):
        seen, indices = batches.draw()
        learner.update(varied(seen) if varied else seen, indices, 1 - step / steps)
        epoch, inside = divmod(step + 1, batches.per_epoch)
        if inside == 0 and epoch in recorded:
            _record(trial, epoch, net, judged)
    return net


def _record(trial: Trial, epoch: int, net: Autoencoder, judged: dict[str, Tensor]) -> None:
    for split, x in judged.items():
        loss = [net.cross_entropy(part, net.decode(net.encode(part))) for part in x.split(BLOCK)]
        about = {"cross_entropy": torch.cat(loss).mean().item()}
        about |= {} if net.softmax else {"squared_error": squared_error(x, net.reconstruct)}
        trial.record("curves", epoch=epoch, split=split, **about)


def squared_error(x: Tensor, reconstruct: Callable[[Tensor], Tensor]) -> float:
    """Summed over pixels, mean over images."""
    return squared_errors(x, reconstruct).mean().item()


def squared_errors(x: Tensor, reconstruct: Callable[[Tensor], Tensor]) -> Tensor:
    """Of each image (n,), summed over pixels."""
    return torch.cat([(part - reconstruct(part)).square().sum(1) for part in x.split(BLOCK)])


def best_codes(net: Autoencoder, x: Tensor, steps: int, rate: float = 0.1) -> Tensor:
    """Codes (n, code) of lower cross-entropy, by steps of Adam from those of the encoder."""
    codes = net.encode(x)
    adam = Adam(codes.view(-1), rate)
    for step in range(steps):
        adam.rate = rate * (1 - step / steps)
        adam.ascend(net.code_gradient(x, codes).view(-1))
    return codes
