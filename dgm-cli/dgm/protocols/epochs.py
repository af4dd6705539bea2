"""Passes over minibatches by a learner with a rate and a momentum."""

import math
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import torch
from torch import Tensor

from dgm.data.batches import Minibatches
from dgm.errors import Diverged
from dgm.fast.replay import replayed
from dgm.state import State
from dgm.trial.loop import Trial

LOW_MOMENTUM_EPOCHS = 5  # epochs in which momentum is 0.5 at most (Hinton 2010, section 9)


class Learner(Protocol):
    """`update` takes a step on a minibatch and its rows' numbers, and returns an error, (), whose
    mean over an epoch is reported."""

    rate: float
    momentum: float

    def update(self, x: Tensor, indices: Tensor) -> Tensor: ...


class Sum(State):
    """A running sum that is saved."""

    saved = ("value",)

    def __init__(self, device: torch.device) -> None:
        self.value = torch.zeros((), device=device)


def epochs(
    trial: Trial,
    phase: str,
    learner: Learner,
    batches: Minibatches,
    n: int,
    falling: bool = True,
    setting: str = "",
    **state: Any,
) -> Iterator[tuple[int, float]]:
    """Train for n epochs; after each, yield its number and the mean of what `update` returned.

    With `falling`, the rate goes from the learner's own to 0 in a straight line. `state` is saved
    with the loop's: models, and whatever else the caller changes between epochs. Diverged names
    phase, epoch and `setting`, the rate's own where that has no other name.
    """
    rate, momentum, total = learner.rate, learner.momentum, Sum(trial.device)
    state |= {"learner": learner, "batches": batches, "total": total}
    update: Callable[[Tensor, Tensor], Tensor] = learner.update
    if not falling and momentum <= 0.5:  # otherwise rate and momentum change between updates
        update = replayed(update, trial.generator)
    epoch = 0
    try:
        for step in trial.steps(n * batches.per_epoch, phase, **state):
            epoch, inside = divmod(step, batches.per_epoch)
            learner.rate = rate * (1 - step / (n * batches.per_epoch)) if falling else rate
            learner.momentum = min(momentum, 0.5) if epoch < LOW_MOMENTUM_EPOCHS else momentum
            total.value += update(*batches.draw())
            if inside == batches.per_epoch - 1:
                mean = total.value.item() / batches.per_epoch
                total.value.zero_()
                yield epoch + 1, mean
                if not math.isfinite(mean):
                    raise Diverged(f"the mean error is {mean}{trial.kept(phase)}")
    except Diverged as error:
        setting = setting or f"rate={rate:g}"
        said = str(error).removeprefix(f"{phase}, ")
        raise Diverged(f"{phase}, epoch {epoch + 1}, {setting}: {said}") from error
    learner.rate, learner.momentum = rate, momentum
