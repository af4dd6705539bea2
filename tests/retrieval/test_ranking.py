"""Scores of rankings, against a loop over random orders of equal scores."""

import numpy as np
import pytest
import torch

from dgm.errors import BadInput
from dgm.retrieval.ranking import mean_gains


def expected_gains(scores: torch.Tensor, gains: torch.Tensor, own: int, k: int, n: int) -> float:
    """The mean over n random orders of equal scores, by sorting each."""
    others = [j for j in range(scores.shape[0]) if j != own]
    random = np.random.RandomState(0)
    total = 0.0
    for _ in range(n):
        random.shuffle(others)
        first = sorted(others, key=lambda j: -scores[j].item())[:k]
        total += sum(gains[j].item() for j in first) / k
    return total / n


def test_gains_are_the_expectation_over_orders_of_equal_scores() -> None:
    generator = torch.Generator().manual_seed(0)
    scores = torch.randint(0, 4, (5, 12), generator=generator).float()
    gains = torch.rand(5, 12, generator=generator)
    own = torch.tensor([3, 0, 11, 7, 7])
    found = mean_gains(scores, gains, own, [1, 4, 11])
    for i in range(5):
        for column, k in enumerate((1, 4, 11)):
            by_hand = expected_gains(scores[i], gains[i], int(own[i]), k, 3000 if k < 11 else 1)
            assert found[i, column].item() == pytest.approx(by_hand, abs=0.02)
    others = (gains.sum(1) - gains[torch.arange(5), own]) / 11
    torch.testing.assert_close(found[:, 2], others.double())
    with pytest.raises(BadInput, match="a query has 11 other documents"):
        mean_gains(scores, gains, own, [1, 12])
