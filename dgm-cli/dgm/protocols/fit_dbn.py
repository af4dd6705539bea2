"""The generative net's protocol: Hinton, Osindero & Teh (2006), section 6.1.

Greedy layers on the first training images, then up-down; the net of the epoch best on validation
images goes on with all images that are not for testing, until its training error there is what it
was on the images that it had been trained on, or for `last_epochs`. Beside the paper: the net that
is judged is a running average over epochs of the one that learns; and the top's Gibbs chains may
persist.
"""

from collections.abc import Iterator
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from dgm.data.batches import Minibatches
from dgm.data.labelled import Labelled, percent_wrong
from dgm.errors import BadInput
from dgm.learning.up_down import UpDown
from dgm.models.dbn import DBN
from dgm.models.rbm import one_hot
from dgm.protocols.epochs import epochs
from dgm.protocols.fit_rbm import DrawnGreedySettings, greedy, stack_of
from dgm.trial.loop import Trial
from dgm.trial.snapshots import Best

Judges = tuple[Tensor, Tensor]  # images and their classes


class DBNSettings(DrawnGreedySettings):
    """Sizes and schedule are the paper's; rates were never published."""

    hidden: list[Annotated[int, Field(gt=0)]] = Field(
        [500, 500, 2000], min_length=1, description="units of the hidden layers, the lowest first"
    )
    train_size: int = Field(44_000, gt=0, description="images learned from before the last phase")
    gibbs_steps: list[Annotated[int, Field(ge=1)]] = Field(
        [3, 6, 10], min_length=1, description="at the top, in each phase of up-down"
    )
    up_down_epochs: int = Field(100, gt=0, description="of each phase")
    up_down_rate: float = Field(0.1, gt=0, description="of the directed layers; does not fall")
    up_down_top_rate: float = Field(0.4, gt=0, description="of the top; does not fall")
    up_down_decay: float = Field(0.0, ge=0, description="of the weights, times the rate")
    up_down_persistent: bool = Field(
        False, description="whether Gibbs chains at the top go on from update to update"
    )
    fresh: float = Field(
        0.1, gt=0, le=1, description="share that each epoch's end has in the averaged net"
    )
    last_epochs: int = Field(100, gt=0, description="on all images, at most")


def fit_dbn(settings: DBNSettings, trial: Trial, images: Labelled) -> tuple[DBN, dict[str, Tensor]]:
    """The net at the protocol's end, and the test predictions after each of its stages.

    Records "greedy" (phase, epoch, error) and "curves" (epoch, split, error in percent).
    """
    if settings.train_size > len(images.x["train"]):
        raise BadInput(f"train_size {settings.train_size}: there are {len(images.x['train'])}")
    x, classes = (of["train"][: settings.train_size] for of in images)
    *hidden, top = settings.hidden
    net, averaged = (
        DBN(x.shape[1], hidden, top, trial.data.classes, trial.device) for _ in range(2)
    )
    rbms = [*stack_of([x.shape[1], *hidden], trial.device), net.top]
    greedy(settings, trial, x, rbms, classes, drawn=settings.greedy_drawn)
    net.stack(rbms)
    predicted = {"greedy": net.classify(images.x["test"])}

    averaged.flat.copy_(net.flat)
    best = Best(averaged.flat)
    validation = images.x["validation"], images.classes["validation"]
    error = percent_wrong(net.classify(validation[0]), validation[1])
    trial.record("curves", epoch=0, split="validation", error=error)
    best.offer(-error, 0)
    state = {"net": net, "averaged": averaged, "best": best}
    rate, top_factor = settings.up_down_rate, settings.up_down_top_rate / settings.up_down_rate

    def errors(
        phase: str, x: Tensor, classes: Tensor, k: int, n: int, judges: Judges, balanced: bool
    ) -> Iterator[tuple[int, float]]:
        """Up-down on x for n epochs; the averaged net's error on the images that judge it."""
        labels = one_hot(classes, trial.data.classes)
        chains = None
        if settings.up_down_persistent:
            below = net.up(x[: settings.batch], trial.generator)[-1]
            chains = torch.cat([below, labels[: settings.batch]], 1)
        learner = UpDown(
            net,
            labels,
            k,
            rate,
            trial.generator,
            top_factor=top_factor,
            decay=settings.up_down_decay,
            chains=chains,
        )
        batches = Minibatches(
            x, settings.batch, trial.generator, classes=classes if balanced else None
        )
        for epoch, _ in epochs(trial, phase, learner, batches, n, falling=False, **state):
            averaged.flat.lerp_(net.flat, settings.fresh)
            yield epoch, percent_wrong(averaged.classify(judges[0]), judges[1])

    done = 0
    for number, k in enumerate(settings.gibbs_steps, start=1):
        phase = f"up_down{number}", x, classes, k, settings.up_down_epochs
        for epoch, error in errors(*phase, validation, balanced=True):
            trial.record("curves", epoch=done + epoch, split="validation", error=error)
            best.offer(-error, done + epoch)
        done += settings.up_down_epochs
    for each in (net, averaged):
        each.flat.copy_(best.vector)
    predicted["selected"] = net.classify(images.x["test"])
    aim = percent_wrong(net.classify(x), classes)
    trial.choose(chosen_epoch=int(best.step), training_error=round(aim, 4))

    phase = "all_images", *images.all, settings.gibbs_steps[-1], settings.last_epochs
    for epoch, error in errors(*phase, images.all, balanced=False):
        trial.record("curves", epoch=done + epoch, split="all", error=error)
        if error <= aim:
            break
    curves = trial.tables()["curves"]
    trial.choose(last_epochs=int((curves["split"] == "all").sum()))
    predicted["up_down"] = averaged.classify(images.x["test"])
    return averaged, predicted
