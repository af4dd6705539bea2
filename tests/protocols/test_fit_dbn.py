"""The generative net's protocol, with errors that are made up."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from dgm import data
from dgm.data.labelled import labelled
from dgm.errors import BadInput
from dgm.learning.up_down import UpDown
from dgm.models.dbn import DBN
from dgm.protocols import fit_dbn
from dgm.protocols.settings.dbn import DBNSettings
from dgm.trial.loop import Trial

LITTLE: dict[str, object] = {
    "hidden": [12, 12, 20],
    "train_size": 300,
    "batch": 150,
    "greedy_epochs": 2,
    "gibbs_steps": [1, 2],
    "up_down_epochs": 2,
    "up_down_persistent": True,
    "last_epochs": 3,
}


@pytest.mark.parametrize(("on_all", "last"), [([1.5, 1.0, 0.5], 2), ([1.5, 1.4, 1.3], 3)])
@pytest.mark.parametrize("fresh", [0.3, 1.0])
def test_the_generative_nets_protocol(
    on_all: list[float], last: int, fresh: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The epoch best on validation images goes on, as the average that it was, and stops where the
    training error is what it had been, or at the cap."""
    on_validation, aim = [5.0, 4.0, 2.0, 3.0, 2.5], 1.0  # before up-down and after its 4 epochs
    made_up = iter([*on_validation, aim, *on_all])
    judged: list[Tensor] = []  # each net that classified something
    learned: list[Tensor] = []  # the net that learns, at each epoch's end
    classify, update = DBN.classify, UpDown.update

    def classified(net: DBN, x: Tensor) -> Tensor:
        judged.append(net.flat.clone())
        return classify(net, x)

    def updated(learner: UpDown, x: Tensor, indices: Tensor) -> Tensor:
        error = update(learner, x, indices)
        learned.append(learner.dbn.flat.clone())
        return error

    monkeypatch.setattr(DBN, "classify", classified)
    monkeypatch.setattr(UpDown, "update", updated)
    monkeypatch.setattr(fit_dbn, "error_percent", lambda *_: next(made_up))
    images = labelled(data.load("digits"), torch.device("cpu"))
    size, everything = 300, len(images.all[0])
    settings = DBNSettings.model_validate(LITTLE | {"fresh": fresh})
    trial = Trial("t", data.load("digits"), 3, tmp_path)
    net, predicted = fit_dbn.fit_dbn(settings, trial, images)

    _, start, *averages = judged[:6]
    ends = learned[size // 150 - 1 :: size // 150][:4]
    for before, after, end in zip([start, *averages], averages, ends, strict=False):
        torch.testing.assert_close(after, before.lerp(end, fresh))
    selected, of_aim, *last_averages, final = judged[6:]
    assert torch.equal(selected, averages[1])
    assert torch.equal(of_aim, selected)
    assert len(last_averages) == last
    updates = everything // 150
    first_end = learned[4 * (size // 150) + updates - 1]
    torch.testing.assert_close(last_averages[0], selected.lerp(first_end, fresh))
    assert torch.equal(final, last_averages[-1])
    assert torch.equal(net.flat, final)
    assert set(predicted) == {"greedy", "selected", "up_down"}
    assert trial.chosen == {"chosen_epoch": 2, "training_error": aim, "last_epochs": last}
    curves = trial.tables()["curves"]
    assert list(curves["error"]) == [*on_validation, *on_all[:last]]


def test_no_more_training_images_than_there_are(tmp_path: Path) -> None:
    trial = Trial("t", data.load("digits"), 0, tmp_path)
    images = labelled(trial.data, torch.device("cpu"))
    with pytest.raises(BadInput, match="train_size 1401: there are 1400 training images"):
        fit_dbn.fit_dbn(DBNSettings.model_validate(LITTLE | {"train_size": 1401}), trial, images)
