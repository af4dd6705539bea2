"""The classifier in whose features digits are judged."""

from pathlib import Path

import pandas as pd
import pytest
import torch

from dgm import data
from dgm.errors import BadInput
from dgm.protocols.digit_features import DigitFeatures, Features
from dgm.trial.loop import Trial


def features(folder: Path, seed: int, steps: int) -> tuple[Features, pd.DataFrame, torch.Tensor]:
    """Of the test images, what was recorded, and the next number of the trial's generator."""
    trial = Trial("t", data.load("digits"), seed, folder)
    with torch.no_grad():
        found = DigitFeatures(trial, steps)(trial.data.test)
    return found, trial.tables()["classifier"], torch.rand(1, generator=trial.generator)


def test_all_trials_are_judged_by_one_classifier(tmp_path: Path) -> None:
    first, recorded, drawn = features(tmp_path / "a", seed=0, steps=150)
    other, _, _ = features(tmp_path / "b", seed=1, steps=150)
    assert torch.equal(first.hidden, other.hidden) and torch.equal(first.log_p, other.log_p)
    assert torch.equal(drawn, torch.rand(1, generator=torch.Generator().manual_seed(0)))
    error = 100 * (first.log_p.argmax(1) != data.load("digits").labels["test"]).double().mean()
    assert recorded["test_error"].item() == pytest.approx(error.item())
    assert error < 15
    torch.testing.assert_close(first.log_p.exp().sum(1), torch.ones(300, dtype=torch.float64))


def test_images_without_classes(tmp_path: Path) -> None:
    trial = Trial("t", data.load("bars_and_stripes"), 0, tmp_path)
    with pytest.raises(BadInput, match="has no classes to learn$"):
        DigitFeatures(trial, 3)
