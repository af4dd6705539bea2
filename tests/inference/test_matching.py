"""Codes and classes: by brute force over all one-to-one maps."""

import itertools
import math

import pytest
import torch

from dgm.inference.matching import information_about, match


def test_no_one_to_one_map_agrees_more() -> None:
    """Oracle: all 120 maps of five codes."""
    generator = torch.Generator().manual_seed(0)
    classes = torch.randint(5, (300,), generator=generator)
    noisy = torch.rand(300, generator=generator) < 0.5
    codes = torch.where(noisy, torch.randint(5, (300,), generator=generator), (classes + 2) % 5)
    best = max(
        int((torch.tensor(order)[codes] == classes).sum())
        for order in itertools.permutations(range(5))
    )
    found = match(codes, classes, 5)
    assert sorted(found.tolist()) == [0, 1, 2, 3, 4]
    assert int((found[codes] == classes).sum()) == best


def test_two_classes_that_share_a_code_cannot_both_be_right() -> None:
    codes, classes = torch.tensor([0, 0, 0, 1]), torch.tensor([0, 0, 1, 2])
    found = match(codes, classes, 3)
    assert found.tolist() == [0, 2, 1]
    assert (found[codes] == classes).tolist() == [True, True, False, True]


def test_what_a_code_tells() -> None:
    """Oracle: log of the number of codes where each is sure and all are equally frequent; nothing
    where all images have the same distribution; and the definition."""
    sure = torch.eye(4).repeat(3, 1).clamp(min=1e-30).log()
    assert information_about(sure) == pytest.approx(math.log(4))
    assert information_about(torch.tensor([[0.2, 0.8]]).log().expand(7, 2)) == pytest.approx(0)
    p = torch.tensor([[0.9, 0.1], [0.3, 0.7]], dtype=torch.float64)
    mean = p.mean(0)
    expected = (p * (p / mean).log()).sum(1).mean().item()
    assert information_about(p.log()) == pytest.approx(expected)
