"""What a trial finds around it when it is run."""

from types import ModuleType
from typing import Any

import pytest
import torch

from dgm.report.tables import Artifacts
from tests.engine.toy import experiment, go

__all__ = ["experiment"]


def test_a_trial_may_differentiate_and_leaves_ordinary_tensors(
    experiment: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gradients are off unless asked for; what a trial made can be updated outside of it."""
    left: list[torch.Tensor] = []

    def run_trial(settings: Any, trial: Any) -> Artifacts:
        assert not torch.is_grad_enabled() and not torch.is_inference_mode_enabled()
        weight = torch.ones(3)
        assert not (weight * 2).requires_grad
        with torch.enable_grad():
            weight.requires_grad_()
            (weight.square() * torch.arange(3)).sum().backward()
        assert weight.grad is not None
        trial.record("scores", score=weight.grad.sum().item())
        left.append(weight.detach())
        return Artifacts(trial.tables(), {"vector": weight.grad.numpy()})

    monkeypatch.setattr(experiment["trial"], "run_trial", run_trial)
    assert go().errors == {}
    for weight in left:
        weight.add_(1)
        weight.requires_grad_().square().sum().backward()
        assert weight.grad is not None and weight.grad.tolist() == [4, 4, 4]
