"""A generative deep belief net errs on fewer digits than discriminative learners of its time.

Hinton, Osindero & Teh (2006), Table 1 as the lecture quotes it. The generative net and its
protocol: `dgm.protocols.fit_dbn`; nets of softmax outputs: `dgm.protocols.fit_classifier`; support
vectors and nearest neighbours: `dgm.protocols.baselines`.

Every choice is made on validation images. Then every learner sees training and validation images
(the generative net goes on, the others are trained anew), and classifies the test images once. Some
rows and settings were changed after others had missed their bands; the recipe's page says which.
"""

from typing import Any

import numpy as np
from pandas import DataFrame
from torch import Tensor

from dgm.data.labelled import Labelled, labelled
from dgm.experiments.dbn_mnist_error.settings import (
    FINAL,
    BackpropRow,
    GenerativeRow,
    KNNRow,
    Settings,
    SVMRow,
)
from dgm.models.classifier import Classifier
from dgm.models.dbn import DBN
from dgm.protocols.baselines import fit_knn, fit_svm, knn_as_chosen, svm_as_chosen
from dgm.protocols.fit_classifier import fit_classifier
from dgm.protocols.fit_dbn import fit_dbn
from dgm.recipe.grid import TrialSpec
from dgm.report.tables import Artifacts
from dgm.trial.loop import Trial
from dgm.trial.measured import IMAGES, Rows

FEW = 1000  # test images that are enough to verify nearest neighbours
MEASURED = {"errors": Rows(("stage",), ("wrong",), within=IMAGES), "confusion": Rows(("stage",))}


def run_trial(settings: Settings, trial: Trial) -> Artifacts:
    """Train a row's learner by the protocol and count its errors on the test images."""
    images = labelled(trial.data, trial.device)
    predicted, models = learn(settings, trial, images)
    return Artifacts(*judge(trial, images, predicted), models)


def learn(
    settings: Settings, trial: Trial, images: Labelled
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Test predictions by stage, and the model to keep."""
    if isinstance(settings, GenerativeRow):
        dbn, stages = fit_dbn(settings, trial, images)
        return stages, {"dbn": dbn}
    if isinstance(settings, BackpropRow):
        net = fit_classifier(settings, trial, images)
        return {FINAL: net.classify(images.x["test"])}, {"classifier": net}
    if isinstance(settings, SVMRow):
        return {FINAL: fit_svm(settings, trial, images)}, {}
    return {FINAL: fit_knn(settings, trial, images)}, {}


def anew(spec: TrialSpec, full: bool) -> bool:
    """Whether a trial is measured again without a trained model."""
    return isinstance(spec.settings, KNNRow) or (full and isinstance(spec.settings, SVMRow))


def measure(
    settings: Settings, trial: Trial, model: DBN | Classifier | None, full: bool = True
) -> Artifacts:
    """The errors of a trained net, of the protocol's last stage; those of support vectors or
    neighbours as chosen (not `full`: of the first images)."""
    images = labelled(trial.data, trial.device)
    if model is None:
        classify = svm_as_chosen if isinstance(settings, SVMRow) else knn_as_chosen
        x = images.x["test"] if full else images.x["test"][:FEW]
        guess = classify(trial, images, x)
        if full:
            return Artifacts(*judge(trial, images, {FINAL: guess}))
        return Artifacts({}, {f"predicted_{FINAL}": guess.cpu().numpy().astype(np.uint8)})
    stage = "up_down" if isinstance(settings, GenerativeRow) else FINAL
    return Artifacts(*judge(trial, images, {stage: model.classify(images.x["test"])}))


def judge(
    trial: Trial, images: Labelled, predicted: dict[str, Tensor]
) -> tuple[dict[str, DataFrame], dict[str, np.ndarray]]:
    """Tables and arrays of the test images' classes as each stage predicts them."""
    truth = images.classes["test"].cpu().numpy().astype(np.uint8)
    arrays = {"truth": truth}
    for stage, labels in predicted.items():
        guess = labels.cpu().numpy().astype(np.uint8)
        arrays[f"predicted_{stage}"] = guess
        trial.record("errors", stage=stage, **count(int((guess != truth).sum()), len(truth)))
        counts = np.zeros((trial.data.classes, trial.data.classes), int)
        np.add.at(counts, (truth, guess), 1)
        for (true, by), n in np.ndenumerate(counts):
            trial.record("confusion", stage=stage, true=true, predicted=by, images=int(n))
    return trial.tables(), arrays


def count(wrong: int, images: int) -> dict[str, float]:
    """Errors in percent with the exact (Clopper-Pearson) 95 % interval of a binomial share."""
    from scipy.stats import binomtest

    interval = binomtest(wrong, images).proportion_ci(0.95, "exact")
    low, high = 100 * interval.low, 100 * interval.high
    return {
        "wrong": wrong,
        "images": images,
        "error": 100 * wrong / images,
        "low": low,
        "high": high,
    }
