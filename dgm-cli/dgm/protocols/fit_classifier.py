"""Nets of softmax outputs: rate and decay are chosen on validation images, then all are learned.

With pre-training the hidden layers begin as RBMs, learned greedily: first on the training images,
for the choice, and again on all images, for the net that is kept.
"""

from collections.abc import Iterator

from torch import Tensor

from dgm.data.batches import Minibatches
from dgm.data.labelled import Labelled, error_percent
from dgm.learning.backprop import Backprop
from dgm.learning.weight_prior import WeightPrior
from dgm.models.classifier import Classifier
from dgm.protocols.epochs import epochs
from dgm.protocols.fit_rbm import greedy, stack_of
from dgm.protocols.settings.classifier import ClassifierSettings
from dgm.trial.loop import Trial


def fit_classifier(settings: ClassifierSettings, trial: Trial, images: Labelled) -> Classifier:
    """The net kept. Records "curves" (rate, decay, epoch, split, error in percent, loss)."""
    tried = [(rate, decay) for rate in settings.rates for decay in settings.decays]
    chosen = tried[0]
    if len(tried) > 1:
        x, classes = (of["train"] for of in images)
        first, errors = _start(settings, trial, x, "choice"), []
        for number, (rate, decay) in enumerate(tried, start=1):
            net = _untrained(settings, trial, x)
            net.flat.copy_(first.flat)
            about = {"rate": rate, "decay": decay, "split": "validation"}
            phase = settings, trial, f"choice{number}", net, x, classes
            for epoch, loss in _train(*phase, rate, decay):
                error = _error(net, images)
                trial.record("curves", **about, epoch=epoch, error=error, loss=loss)
            errors.append(_error(net, images))
        chosen = tried[errors.index(min(errors))]
    trial.choose(rate=chosen[0], decay=chosen[1])
    x, classes = images.all
    net = _start(settings, trial, x, "all")
    for epoch, loss in _train(settings, trial, "all_images", net, x, classes, *chosen):
        about = {"rate": chosen[0], "decay": chosen[1], "split": "all"}
        error = error_percent(net.classify(x), classes)
        trial.record("curves", **about, epoch=epoch, error=error, loss=loss)
    return net


def _error(net: Classifier, images: Labelled) -> float:
    return error_percent(net.classify(images.x["validation"]), images.classes["validation"])


def _untrained(settings: ClassifierSettings, trial: Trial, x: Tensor) -> Classifier:
    sizes = [x.shape[1], *settings.layers, trial.data.classes]
    return Classifier(sizes, settings.units, trial.device)


def _start(settings: ClassifierSettings, trial: Trial, x: Tensor, phase: str) -> Classifier:
    """A net with random weights, or with those of RBMs of x below its outputs' random ones."""
    net = _untrained(settings, trial, x)
    net.initialise(trial.generator)
    if settings.pretrained:
        rbms = stack_of([x.shape[1], *settings.layers], trial.device)
        greedy(settings, trial, x, rbms, phase=f"{phase}_layer", drawn=settings.greedy_drawn)
        net.stack(rbms)
    return net


def _train(
    settings: ClassifierSettings,
    trial: Trial,
    phase: str,
    net: Classifier,
    x: Tensor,
    classes: Tensor,
    rate: float,
    decay: float,
) -> Iterator[tuple[int, float]]:
    """Epochs of backpropagation, the rate falling to 0."""
    batches = Minibatches(x, settings.batch, trial.generator)
    alone = settings.outputs_alone * batches.per_epoch
    rows, columns = trial.data.shape
    prior = WeightPrior(smoothness=settings.smoothness, shape=(rows, columns))
    learner = Backprop(net, classes, rate, settings.momentum, decay, alone, prior)
    return epochs(trial, phase, learner, batches, settings.backprop_epochs, net=net)
