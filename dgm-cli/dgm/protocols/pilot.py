"""The choice of a step size on early training performance, as Kingma & Welling (2014) make it."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from dgm.data.batches import Minibatches
from dgm.errors import Diverged
from dgm.fast.replay import replayed
from dgm.models.vae import VAE
from dgm.trial.loop import Trial


class Learning(NamedTuple):
    """A model, the minibatches it is shown, and the algorithm that updates it on each."""

    model: VAE
    batches: Minibatches
    learner: Any  # with update(x, indices), and a Stateful


def choose_rate(
    trial: Trial,
    rates: Sequence[float],
    steps: int,
    start: Callable[[float], Learning],
    score: Callable[[float, VAE], float],
) -> float:
    """The rate whose `score` on training data is highest after `steps` steps with each.

    A rate that diverges is not chosen. Raises Diverged if all do. A single rate is returned
    untested.
    """
    scores: dict[float, float] = {}
    message = "no step size has a finite score after its pilot"
    for rate in rates if len(rates) > 1 else []:
        before = trial.generator.get_state()
        learning = start(rate)
        update = replayed(learning.learner.update, trial.generator)
        try:
            for _ in trial.steps(steps, f"pilot_rate_{rate:g}", **learning._asdict()):
                update(*learning.batches.draw())
        except Diverged as error:
            message = str(error)
            # How far the pilot went before this was noticed depends on the clock; what follows must
            # not depend on it.
            trial.generator.set_state(before)
            continue
        value = score(rate, learning.model)
        if math.isfinite(value):
            scores[rate] = value
    if len(rates) > 1 and not scores:
        raise Diverged(message)
    rate = max(scores, key=scores.__getitem__) if scores else rates[0]
    trial.choose(rate=rate)
    return rate
