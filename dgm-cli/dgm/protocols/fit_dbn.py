"""The generative net's protocol: Hinton, Osindero & Teh (2006), section 6.1.

Greedy layers on the first training images, then up-down. The net of the epoch that is best on
validation images goes on with all images that are not for testing, until its error on these is no
higher than it was on the images it had been trained on, or for `last_epochs`. Two things are not
the paper's: the net that is judged is a running average over epochs of the one that learns, and
the Gibbs chains at the top may persist. One update of up-down: `dgm.learning.up_down`.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from dgm.data.batches import Minibatches
from dgm.data.labelled import Labelled, error_percent
from dgm.errors import check_enough
from dgm.learning.up_down import UpDown
from dgm.models.dbn import DBN
from dgm.models.rbm import one_hot
from dgm.protocols.epochs import epochs
from dgm.protocols.fit_rbm import greedy, stack_of
from dgm.protocols.settings.dbn import DBNSettings
from dgm.trial.loop import Trial
from dgm.trial.snapshots import Best

Examples = tuple[Tensor, Tensor]  # images (n, visible) and their classes (n,)


def fit_dbn(settings: DBNSettings, trial: Trial, images: Labelled) -> tuple[DBN, dict[str, Tensor]]:
    """The net at the protocol's end, and the test predictions after each of its stages.

    Records "greedy" (phase, epoch, error) and "curves" (epoch, split, error in percent).
    """
    there = len(images.x["train"])
    check_enough("train_size", settings.train_size, there, "training images")
    x, classes = (of["train"][: settings.train_size] for of in images)
    validation = images.x["validation"], images.classes["validation"]
    net, averaged = (_untrained(settings, trial, x.shape[1]) for _ in range(2))
    rbms = [*stack_of([x.shape[1], *settings.hidden[:-1]], trial.device), net.top]
    greedy(settings, trial, x, rbms, classes, drawn=settings.greedy_drawn)
    net.stack(rbms)
    predicted = {"greedy": net.classify(images.x["test"])}

    up_down = AveragedUpDown(settings, trial, net, averaged)
    up_down.judge(0, validation)
    done = 0
    for number, k in enumerate(settings.gibbs_steps, start=1):
        n = settings.up_down_epochs
        for epoch in up_down.train(f"up_down{number}", (x, classes), k, n, balanced=True):
            up_down.judge(done + epoch, validation)
        done += n
    up_down.return_to_best()
    predicted["selected"] = net.classify(images.x["test"])
    aim = error_percent(net.classify(x), classes)
    trial.choose(chosen_epoch=int(up_down.best.step), training_error=round(aim, 4))

    every, k = images.all, settings.gibbs_steps[-1]
    for epoch in up_down.train("all_images", every, k, settings.last_epochs, balanced=False):
        error = up_down.error(every)
        trial.record("curves", epoch=done + epoch, split="all", error=error)
        if error <= aim:
            break
    curves = trial.tables()["curves"]
    trial.choose(last_epochs=int((curves["split"] == "all").sum()))
    predicted["up_down"] = averaged.classify(images.x["test"])
    return averaged, predicted


def _untrained(settings: DBNSettings, trial: Trial, visible: int) -> DBN:
    *hidden, top = settings.hidden
    return DBN(visible, hidden, top, trial.data.classes, trial.device)


class AveragedUpDown:
    """Up-down on a net, whose running average over epochs is judged; `best` keeps that average."""

    def __init__(self, settings: DBNSettings, trial: Trial, net: DBN, averaged: DBN) -> None:
        self.settings, self.trial, self.net, self.averaged = settings, trial, net, averaged
        averaged.flat.copy_(net.flat)
        self.best = Best(averaged.flat)

    def train(self, phase: str, learned: Examples, k: int, n: int, balanced: bool) -> Iterator[int]:
        """n epochs with k Gibbs steps at the top; the number of each, with the average up to it."""
        settings, trial = self.settings, self.trial
        x, classes = learned
        labels = one_hot(classes, trial.data.classes)
        chains = None
        if settings.up_down_persistent:
            below = self.net.up(x[: settings.batch], trial.generator)[-1]
            chains = torch.cat([below, labels[: settings.batch]], 1)
        learner = UpDown(
            self.net,
            labels,
            k,
            settings.up_down_rate,
            trial.generator,
            top_factor=settings.up_down_top_rate / settings.up_down_rate,
            decay=settings.up_down_decay,
            chains=chains,
        )
        of = classes if balanced else None
        batches = Minibatches(x, settings.batch, trial.generator, classes=of)
        state: dict[str, Any] = {"net": self.net, "averaged": self.averaged, "best": self.best}
        for epoch, _ in epochs(trial, phase, learner, batches, n, falling=False, **state):
            self.averaged.flat.lerp_(self.net.flat, settings.fresh)
            yield epoch

    def error(self, examples: Examples) -> float:
        """The average's error in percent."""
        return error_percent(self.averaged.classify(examples[0]), examples[1])

    def judge(self, epoch: int, validation: Examples) -> None:
        """Record the average's error on validation images, and keep it if it is the best yet."""
        error = self.error(validation)
        self.trial.record("curves", epoch=epoch, split="validation", error=error)
        self.best.offer(-error, epoch)

    def return_to_best(self) -> None:
        for each in (self.net, self.averaged):
            each.flat.copy_(self.best.vector)
