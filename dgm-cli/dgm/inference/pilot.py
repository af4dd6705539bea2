"""The choice of a step size on early training performance, as Kingma & Welling (2014) make it."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from dgm.data.minibatches import Minibatches
from dgm.errors import Diverged
from dgm.models.vae import VAE
from dgm.trial import Trial


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
    """The rate whose `score` on training data is highest after so many steps with each.

    A rate that diverges is one that is not chosen, unless all do. A single one is not tried.
    """
    scores: dict[float, float] = {}
    for rate in rates if len(rates) > 1 else []:
        learning = start(rate)
        try:
            for _ in trial.steps(steps, f"pilot_rate_{rate:g}", **learning._asdict()):
                learning.learner.update(*learning.batches.draw())
        except Diverged:
            if not scores and rate == rates[-1]:
                raise
            continue
        scores[rate] = score(rate, learning.model)
    rate = max(scores, key=scores.__getitem__) if scores else rates[0]
    trial.choose(rate=rate)
    return rate
