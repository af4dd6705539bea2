"""The protocol of deep Boltzmann machines."""

from pathlib import Path
from typing import Any

import pytest
import torch

from dgm import data
from dgm.data.labelled import labelled
from dgm.errors import Diverged
from dgm.inference.deep_boltzmann import inputs
from dgm.learning.deep_boltzmann import DeepBoltzmann
from dgm.models.classifier import Classifier
from dgm.models.dbm import DBM
from dgm.protocols import fit_dbm
from dgm.protocols.settings.dbm import DBMSettings
from dgm.trial.loop import Trial

LITTLE: dict[str, Any] = {
    "hidden": [12, 10],
    "batch": 50,
    "greedy_epochs": 2,
    "joint_epochs": 4,
    "joint_rate": 0.01,
    "particles": 20,
    "gibbs_steps": 1,
    "mean_field_updates": 3,
    "tuning_epochs": 3,
}


def a_trial(tmp_path: Path) -> Trial:
    return Trial("t", data.load("digits"), 3, tmp_path)


def settings(**more: Any) -> DBMSettings:
    return DBMSettings.model_validate(LITTLE | more)


def test_the_upper_layers_contrast_with_more_and_more_steps(tmp_path: Path) -> None:
    trial = a_trial(tmp_path)
    chosen = settings(greedy_epochs=5, greedy_steps=[1, 2, 3], hidden=[12, 10, 8])
    dbm = fit_dbm.greedy(chosen, trial, trial.data.train)
    rows = trial.tables()["greedy"]
    found = [(str(phase), len(of)) for phase, of in rows.groupby("phase", sort=False)]
    assert found == [("layer1", 5)] + [
        (f"layer{layer}_cd{k}_{k}", n) for layer in (2, 3) for k, n in ((1, 2), (2, 1), (3, 2))
    ]
    assert dbm.config["sizes"] == [64, 12, 10, 8]
    assert all(W.abs().max() > 0 for W in dbm.W)


def test_the_mean_of_the_last_epochs_is_the_result(tmp_path: Path) -> None:
    """Oracle: the machine at each epoch's end, with as many machines kept as there are epochs."""
    kept = {}
    for averaged in (0.0, 0.5):
        trial = a_trial(tmp_path / str(averaged))
        chosen = settings(averaged=averaged)
        dbm = fit_dbm.greedy(chosen, trial, trial.data.train)
        kept[averaged] = fit_dbm.joint(chosen, trial, dbm, trial.data.train, [1, 2, 3, 4])
        assert torch.equal(dbm.flat, kept[averaged].vectors[-1])
        assert list(trial.tables()["joint"]["epoch"]) == [1, 2, 3, 4]
    whole = kept[0.0].vectors
    torch.testing.assert_close(kept[0.5].vectors[-1], whole[2:].mean(0))
    assert torch.equal(kept[0.5].vectors[:3], whole[:3])
    assert not torch.equal(whole[0], whole[1])


def test_a_machine_that_diverges_is_told_with_layer_epoch_and_rate(tmp_path: Path) -> None:
    trial = a_trial(tmp_path)
    chosen = settings(joint_rate=50.0, centred=True, joint_decay=0.5)
    with pytest.raises(Diverged) as caught:
        fit_dbm.fit_dbm(chosen, trial, trial.data.train, [4])
    said = str(caught.value)
    assert said.startswith("joint, epoch ") and "joint_rate=50" in said and "\n" not in said
    assert "weights of layer " in said and said.endswith("the last checkpoint is kept")


def test_more_particles_than_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several begin at the same image."""
    seen = []
    begin = DeepBoltzmann

    def begun(dbm: DBM, x: torch.Tensor, *others: Any) -> Any:
        seen.append(x)
        return begin(dbm, x, *others)

    monkeypatch.setattr(fit_dbm, "DeepBoltzmann", begun)
    trial, dbm = a_trial(tmp_path), DBM([64, 12, 10])
    images = trial.data.train[:50]
    fit_dbm.joint(settings(particles=110), trial, dbm, images, [4])
    assert torch.equal(seen[0], torch.cat([images, images, images[:10]]))


def test_tuning_is_stopped_on_validation_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The best of all settings and epochs, the first of equals; then all images for as long."""
    made_up = iter([5.0, 4.0, 6.0, 5.0, 3.0, 3.0, 0.5, 0.4])
    monkeypatch.setattr(fit_dbm, "error_percent", lambda *_: next(made_up))
    starts = []
    tune = fit_dbm._tune

    def tuned(*arguments: Any) -> Any:
        starts.append((arguments[3].net.flat.clone(), len(arguments[4]), arguments[6:]))
        return tune(*arguments)

    monkeypatch.setattr(fit_dbm, "_tune", tuned)
    trial = a_trial(tmp_path)
    dbm = DBM([64, 12, 10])
    dbm.flat.normal_(0, 0.1, generator=torch.Generator().manual_seed(0))
    images = labelled(trial.data, trial.device)
    model = fit_dbm.tune(settings(tuning_rates=[0.1, 0.2]), trial, dbm, images)
    assert trial.chosen == {"rate": 0.2, "decay": 0.0, "chosen_epoch": 2}
    curves = trial.tables()["curves"]
    assert list(curves["error"]) == [5.0, 4.0, 6.0, 5.0, 3.0, 3.0, 0.5, 0.4]
    n, everything = len(trial.data.train), len(images.all[0])
    assert [start[1:] for start in starts] == [
        (n, (0.1, 0.0)),
        (n, (0.2, 0.0)),
        (everything, (0.2, 0.0)),
    ]
    assert all(torch.equal(start[0], starts[0][0]) for start in starts)
    assert torch.equal(model.dbm.flat, dbm.flat)
    assert not torch.equal(model.net.flat, starts[0][0])


def test_the_net_learns_from_pixels_and_means(tmp_path: Path) -> None:
    """Its error falls well below that of chance, and it is of the size of its inputs."""
    trial = a_trial(tmp_path)
    dbm = DBM([64, 12, 10])
    dbm.flat.normal_(0, 0.1, generator=torch.Generator().manual_seed(0))
    images = labelled(trial.data, trial.device)
    model = fit_dbm.tune(settings(tuning_epochs=20, tuning_rates=[0.3]), trial, dbm, images)
    assert isinstance(model.net, Classifier) and model.net.config["sizes"] == [74, 12, 10, 10]
    assert inputs(model, images.x["test"]).shape == (300, 74)
    curves = trial.tables()["curves"]
    assert curves.loc[curves["split"] == "validation", "error"].min() < 30
