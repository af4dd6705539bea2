"""Nearest neighbours, against scipy and scikit-learn."""

import numpy as np
import pytest
import torch

from dgm import data
from dgm.errors import BadInput
from dgm.models.neighbours import classify, neighbours, vote


@pytest.mark.parametrize("power", [1, 2, 3])
def test_neighbours_are_scipys(power: int) -> None:
    from scipy.spatial.distance import cdist

    generator = torch.Generator().manual_seed(0)
    train, x = torch.rand(600, 9, generator=generator), torch.rand(130, 9, generator=generator)
    found = neighbours(train, x, 4, power)
    distances = cdist(x.numpy().astype(float), train.numpy().astype(float), "minkowski", p=power)
    assert np.array_equal(found.numpy(), distances.argsort(1)[:, :4])
    with pytest.raises(BadInput, match="601 neighbours among 600 images"):
        neighbours(train, x, 601, power)


def test_the_judge_votes_as_scikit_learns() -> None:
    from sklearn.neighbors import KNeighborsClassifier

    digits = data.load("digits")
    labels = digits.labels["train"]
    theirs = KNeighborsClassifier(3, algorithm="brute").fit(digits.train.numpy(), labels.numpy())
    ours = classify(digits.train, labels, digits.test)
    assert np.array_equal(ours.numpy(), theirs.predict(digits.test.numpy()))
    assert (ours == digits.labels["test"]).float().mean() > 0.96
    assert vote(torch.tensor([[2, 1, 1], [2, 0, 1]]), 3).tolist() == [1, 0]
