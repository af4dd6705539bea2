"""Support vectors and nearest neighbours: kernels, and choices on validation images."""

from pathlib import Path

import numpy as np
import pydantic
import pytest
import torch

from dgm import data
from dgm.data.labelled import labelled
from dgm.errors import BadInput
from dgm.protocols.baselines import fit_knn, fit_svm, support_vectors
from dgm.protocols.settings.baselines import NeighbourSettings, SVMSettings
from dgm.trial.loop import Trial


@pytest.mark.parametrize("kernel", [("poly", 4.5), ("unit_poly", 0), ("rbf", -0.1)])
def test_kernels_that_there_are_not(kernel: tuple[str, float]) -> None:
    with pytest.raises(pydantic.ValidationError, match="has no such gamma or degree"):
        SVMSettings.model_validate({"kernels": [kernel]})


@pytest.mark.parametrize("kernel, value", [("rbf", 0.5), ("poly", 4), ("unit_poly", 9)])
def test_support_vectors_are_of_the_stated_kernel(kernel: str, value: float) -> None:
    """Oracle: scikit-learn's machine, given the matrix of the kernel's equation."""
    from sklearn.svm import SVC

    digits = data.load("digits")
    train, test = (x.numpy().astype(float) for x in (digits.train[:300], digits.test))
    classes = digits.labels["train"][:300].numpy()

    def matrix(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        if kernel == "rbf":
            return np.exp(-value * ((x[:, None] - y) ** 2).sum(2))
        if kernel == "poly":
            return (x @ y.T / (train.shape[1] * train.var()) + 1) ** value
        lengths = [np.sqrt((of**2).sum(1)) for of in (x, y)]
        return ((x @ y.T / np.outer(*lengths) + 1) / 2) ** value

    ours = support_vectors(kernel, value, 3.0).fit(train, classes).decision_function(test)
    theirs = SVC(C=3.0, kernel="precomputed").fit(matrix(train, train), classes)
    np.testing.assert_allclose(ours, theirs.decision_function(matrix(test, train)), atol=5e-3)


def test_no_more_images_than_there_are(tmp_path: Path) -> None:
    trial = Trial("t", data.load("digits"), 0, tmp_path)
    images = labelled(trial.data, torch.device("cpu"))
    with pytest.raises(BadInput, match="choice_size 1401: there are 1400 training images"):
        fit_svm(SVMSettings.model_validate({"choice_size": 1401}), trial, images)
    with pytest.raises(BadInput, match="most_neighbours 1401: there are 1400 training images"):
        fit_knn(NeighbourSettings.model_validate({"most_neighbours": 1401}), trial, images)
