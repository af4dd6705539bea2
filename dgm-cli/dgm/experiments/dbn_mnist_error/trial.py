"""A generative deep belief net errs on fewer digits than discriminative learners of its time.

Hinton, Osindero & Teh (2006), Table 1 as the lecture quotes it. The generative net and its
protocol: `dgm.protocols.fit_dbn`; nets of softmax outputs: `dgm.protocols.fit_classifier`; support
vectors and nearest neighbours: `dgm.protocols.baselines`.

Every choice is made on validation images. Then every learner sees training and validation images
(the generative net goes on, the others are trained anew), and classifies the test images once. Some
rows and settings were changed after others had missed their bands; the README says which.
"""

from typing import Any

import numpy as np
from torch import Tensor

from dgm.data.labelled import Labelled, labelled
from dgm.experiments.dbn_mnist_error.settings import (
    FINAL,
    BackpropRow,
    GenerativeRow,
    Settings,
    SVMRow,
)
from dgm.protocols.baselines import fit_knn, fit_svm
from dgm.protocols.fit_classifier import fit_classifier
from dgm.protocols.fit_dbn import fit_dbn
from dgm.report.tables import Artifacts
from dgm.trial.loop import Trial


def run_trial(settings: Settings, trial: Trial) -> Artifacts:
    """Train a row's learner by the protocol and count its errors on the test images."""
    images = labelled(trial.data, trial.device)
    predicted, models = learn(settings, trial, images)
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
    return Artifacts(trial.tables(), arrays, models)


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
