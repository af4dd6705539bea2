"""How a net of softmax outputs is chosen and trained, with errors that are made up."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from dgm import data
from dgm.data.labelled import labelled
from dgm.learning.backprop import Backprop
from dgm.models.classifier import Classifier
from dgm.protocols import fit_classifier, fit_rbm
from dgm.protocols.settings.classifier import ClassifierSettings
from dgm.trial.loop import Trial


def test_rate_and_decay_are_chosen_by_the_last_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By validation errors; and a stack's layers see what `greedy_drawn` says."""
    by_choice = [[9.0, 4.0], [1.0, 3.0], [2.0, 2.5], [8.0, 5.0]]  # of two epochs each
    made_up = iter([e for first, end in by_choice for e in (first, end, end)] + [0.5, 0.4])
    monkeypatch.setattr(fit_classifier, "error_percent", lambda *_: next(made_up))
    drawn = []
    greedy = fit_rbm.greedy

    def seen(*args: Any, **options: Any) -> None:
        drawn.append(options["drawn"])
        greedy(*args, **options)

    monkeypatch.setattr(fit_classifier, "greedy", seen)
    learned = []

    class Seen(Backprop):
        def __init__(self, net: Classifier, labels: Tensor, *settings: Any) -> None:
            learned.append((len(labels), settings[0], settings[2]))
            super().__init__(net, labels, *settings)

    monkeypatch.setattr(fit_classifier, "Backprop", Seen)
    settings = ClassifierSettings.model_validate(
        {"layers": [12, 9], "pretrained": True, "batch": 50, "greedy_epochs": 1}
        | {"greedy_drawn": False, "rates": [0.05, 0.2], "decays": [0.0, 1e-3]}
        | {"backprop_epochs": 2}
    )
    images = labelled(data.load("digits"), torch.device("cpu"))
    trial = Trial("t", data.load("digits"), 3, tmp_path)
    fit_classifier.fit_classifier(settings, trial, images)
    assert trial.chosen == {"rate": 0.2, "decay": 0.0}  # the third, though the second had 1
    assert drawn == [False, False]
    train, every = len(images.x["train"]), len(images.all[0])
    tried = [(0.05, 0.0), (0.05, 1e-3), (0.2, 0.0), (0.2, 1e-3)]
    assert learned == [(train, *each) for each in tried] + [(every, 0.2, 0.0)]
