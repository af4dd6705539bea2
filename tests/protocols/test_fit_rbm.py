"""Learning in epochs: rates that fall, divergence, and stacks of RBMs."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from dgm import data
from dgm.data.batches import Minibatches
from dgm.errors import Diverged
from dgm.learning.contrastive_divergence import ContrastiveDivergence
from dgm.models.rbm import RBM, LabelRBM, SoftmaxRBM
from dgm.protocols.epochs import epochs
from dgm.protocols.fit_rbm import fit_rbm, greedy
from dgm.protocols.settings.rbm import GreedySettings
from dgm.trial.loop import Trial


def a_trial(tmp_path: Path, name: str = "digits", **more: object) -> Trial:
    return Trial("t", data.load(name), 0, tmp_path, **more)  # type: ignore[arg-type]


class Counting:
    """A learner that notes what it was given."""

    def __init__(self) -> None:
        self.rate, self.momentum = 0.8, 0.9
        self.seen: list[tuple[float, float]] = []
        self.steps = torch.zeros(())

    def update(self, x: Tensor, indices: Tensor) -> Tensor:
        self.seen.append((self.rate, self.momentum))
        self.steps += 1
        return self.steps.clone()

    def state_dict(self) -> dict[str, Tensor]:
        return {"steps": self.steps}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.steps.copy_(state["steps"])


@pytest.mark.parametrize("falling", [True, False])
def test_epochs_average_and_slow_down(tmp_path: Path, falling: bool) -> None:
    trial, learner = a_trial(tmp_path), Counting()
    batches = Minibatches(torch.rand(10, 2), 3, trial.generator)  # three steps an epoch
    found = list(epochs(trial, "train", learner, batches, 8, falling))
    assert found == [(n, 3 * n - 1.0) for n in range(1, 9)]
    rates, momenta = zip(*learner.seen, strict=True)
    wanted = [0.8 * (1 - step / 24) if falling else 0.8 for step in range(24)]
    assert list(rates) == pytest.approx(wanted)
    assert momenta == (0.5,) * 15 + (0.9,) * 9
    assert (learner.rate, learner.momentum) == (0.8, 0.9)


def test_epochs_go_on_where_they_were(tmp_path: Path) -> None:
    """Put down in the middle of an epoch, whose mean is over all of it."""

    class Killed(Exception):
        pass

    class Mortal(Counting):
        def update(self, x: Tensor, indices: Tensor) -> Tensor:
            if self.steps == 4:
                raise Killed
            return super().update(x, indices)

    def run(learner: Counting) -> list[tuple[int, float]]:
        trial = a_trial(tmp_path, checkpoint_every=0.0)
        batches = Minibatches(torch.rand(10, 2), 3, trial.generator)
        return list(epochs(trial, "train", learner, batches, 3))

    with pytest.raises(Killed):
        run(Mortal())
    assert run(Counting()) == [(2, 5.0), (3, 8.0)]


def test_a_rising_reconstruction_error_is_divergence(tmp_path: Path) -> None:
    trial = a_trial(tmp_path)
    rbm = RBM(64, 20)
    rbm.initialise(0.01, trial.generator, trial.data.train)
    learner = ContrastiveDivergence(rbm, 1, 50.0, trial.generator)
    batches = Minibatches(trial.data.train, 20, trial.generator)
    said = r"layer2, epoch 1, rate=50: the reconstruction error is [\d.]+, risen from [\d.]+"
    with pytest.raises(Diverged, match=said):
        list(fit_rbm(trial, "layer2", learner, batches, 3))


def test_hardly_learning_is_no_divergence(tmp_path: Path) -> None:
    """Nor is the noise of units drawn at each visit."""
    trial = a_trial(tmp_path)
    rbm = RBM(64, 20)
    rbm.initialise(0.01, trial.generator, trial.data.train)
    learner = ContrastiveDivergence(rbm, 1, 1e-9, trial.generator)
    batches = Minibatches(trial.data.train, 20, trial.generator, dynamic=True)
    assert len(list(fit_rbm(trial, "train", learner, batches, 2))) == 2


@pytest.mark.parametrize("drawn", [False, True])
def test_data_and_reconstructions_are_both_drawn_or_both_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, drawn: bool
) -> None:
    """A reconstruction's own variance beside data without it would pull at all weights."""
    seen = []

    class Watched(ContrastiveDivergence):
        def update(self, x: Tensor, indices: Tensor) -> Tensor:
            seen.append((bool(((x == 0) | (x == 1)).all()), self.grey))
            return super().update(x, indices)

    monkeypatch.setattr("dgm.protocols.fit_rbm.ContrastiveDivergence", Watched)
    trial = a_trial(tmp_path)
    settings = GreedySettings.model_validate({"batch": 20, "greedy_epochs": 1})
    rbms = [RBM(64, 10), LabelRBM(10, 10, 5)]
    greedy(settings, trial, trial.data.train, rbms, trial.data.labels["train"], drawn=drawn)
    assert set(seen) == {(drawn, not drawn)}


def test_greedy_layers_see_the_layer_below_and_the_labels(tmp_path: Path) -> None:
    trial = a_trial(tmp_path)
    settings = GreedySettings.model_validate(
        {"batch": 20, "greedy_epochs": 8, "greedy_rate": 0.2, "greedy_std": 0.05}
    )
    first, top = RBM(64, 40), LabelRBM(40, 10, 60)
    classes = trial.data.labels["train"]
    greedy(settings, trial, trial.data.train, [first, top], classes)
    table = trial.tables()["greedy"]
    assert table["phase"].tolist() == ["layer1"] * 8 + ["layer2"] * 8
    for _, rows in table.groupby("phase"):
        assert rows["error"].iloc[-1] < rows["error"].iloc[0]
    right = top.label_logits(first.hidden_mean(trial.data.train)).argmax(1) == classes
    assert right.float().mean() > 0.6  # chance is 0.1
    with pytest.raises(ValueError, match="needs the classes"):
        greedy(settings, trial, trial.data.train, [LabelRBM(64, 10, 5)])


@pytest.mark.parametrize("units", ["words", "labels"])
def test_draws_that_are_not_finite_are_divergence(tmp_path: Path, units: str) -> None:
    """And no library's own complaint."""
    trial = a_trial(tmp_path)
    rbm = SoftmaxRBM(64, 5) if units == "words" else LabelRBM(54, 10, 5)
    x = (10 * trial.data.train).round()
    learner = ContrastiveDivergence(rbm, 1, 3e38, trial.generator)
    batches = Minibatches(x, 20, trial.generator)
    said = rf"layer1, epoch 1, rate=3e\+38: the {units}' probabilities are not finite"
    with pytest.raises(Diverged, match=said):
        list(epochs(trial, "layer1", learner, batches, 2, rbm=rbm))


def test_weights_too_large_to_begin_with(tmp_path: Path) -> None:
    trial = a_trial(tmp_path)
    rbm = RBM(64, 20)
    rbm.initialise(1e300, trial.generator, trial.data.train)
    learner = ContrastiveDivergence(rbm, 1, 0.1, trial.generator)
    batches = Minibatches(trial.data.train, 20, trial.generator)
    with pytest.raises(Diverged, match="layer1: the reconstruction error is nan before learning"):
        list(fit_rbm(trial, "layer1", learner, batches, 1))
