"""Codes and reconstructions: gradients, pre-training, PCA, and the experiment over them."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from dgm import data
from dgm.experiments.autoencoder_vs_pca import report
from dgm.experiments.autoencoder_vs_pca import trial as autoencoder_vs_pca
from dgm.experiments.autoencoder_vs_pca.settings import AutoencoderRow
from dgm.models.autoencoder import Autoencoder
from dgm.protocols.fit_autoencoder import (
    ConjugateGradients,
    FallingAdam,
    best_codes,
    fit_autoencoder,
)
from dgm.recipe.schema import Expectation
from dgm.report.tables import Results
from dgm.trial.loop import Trial


def small_net(*sizes: int) -> tuple[Autoencoder, torch.Generator]:
    generator = torch.Generator().manual_seed(0)
    net = Autoencoder(sizes)
    net.initialise(generator)
    return net, generator


def test_both_optimisers_lower_the_cross_entropy() -> None:
    x = data.load("digits").train[:300]
    for batches in (20, 150):
        net, generator = small_net(64, 20, 5)
        start = net.backward(x).item()
        learner: Any = FallingAdam(net, 0.01, generator)
        if batches == 20:
            learner = ConjugateGradients(net, 3, generator)
        for step in range(batches):
            learner.update(x, torch.arange(len(x)), 1 - step / batches)
        assert net.backward(x).item() < 0.85 * start


def test_best_codes_are_stationary_and_no_worse() -> None:
    net, generator = small_net(6, 2)
    x = torch.rand(5, 6, generator=generator)
    codes = best_codes(net, x, 3000, 0.05)
    assert net.code_gradient(x, codes).abs().max() < 1e-2
    before = net.cross_entropy(x, net.decode(net.encode(x)))
    assert (net.cross_entropy(x, net.decode(codes)) < before).all()


# --- the experiment ----------------------------------------------------------------------------


def settings_of(**more: object) -> AutoencoderRow:
    few = {"layers": [12], "code": 3, "greedy_epochs": 1, "tuning_epochs": 2, "batch": 50}
    return AutoencoderRow.model_validate({**few, "tuning_batch": 100, **more})


def test_the_table_holds_what_the_model_gives(tmp_path: Path) -> None:
    trial = Trial("t", data.load("digits"), 0, tmp_path)
    found = autoencoder_vs_pca.run_trial(settings_of(optimiser="adam", code_steps=20), trial)
    net, errors = found.models["autoencoder"], found.tables["errors"]
    test = data.load("digits").test
    plain = errors[(errors["stage"] == "") & (errors["split"] == "test")]["squared_error"].item()
    by_hand = (test - net.reconstruct(test)).square().sum(1).mean().item()
    assert plain == pytest.approx(by_hand, rel=1e-6)
    better = errors[(errors["stage"] == "best_codes") & (errors["split"] == "test")]
    assert better["squared_error"].item() < plain
    assert found.tables["curves"]["epoch"].tolist() == [0, 0, 1, 1, 2, 2]
    assert found.tables["greedy"]["phase"].tolist() == ["layer1", "layer2"]
    assert found.arrays["original"].shape == (10, 8, 8)
    values = (test - net.reconstruct(test)).square().sum(1).numpy()
    np.testing.assert_allclose(found.arrays["test_values"], values, rtol=1e-4)
    assert found.arrays["test_best_codes_values"].mean() < values.mean()
    row = errors[(errors["stage"] == "") & (errors["split"] == "test")].iloc[0]
    assert row["test_std"] == pytest.approx(values.std(ddof=1), rel=1e-5)
    assert row["images"] == 300
    cells = {"data": "digits", "row": "net", "code": 3, "seed": 0}
    table = pd.concat([pd.DataFrame([cells] * len(errors)), errors], axis=1)
    stderrs = {m.metric: m.test_stderr for m in report.summarise(Results({"errors": table}))}
    assert stderrs["test_squared_error/net/code3"] == row["test_std"] / 300**0.5
    assert np.isnan(stderrs["train_squared_error/net/code3"])


def test_validation_images_are_left_out_where_they_judge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def note(
        settings: Any, trial: Any, x: torch.Tensor, judged: dict[str, torch.Tensor], **more: Any
    ) -> Any:
        seen.append((len(x), {name: len(of) for name, of in judged.items()}))
        return fit_autoencoder(settings, trial, x, judged, **more)

    monkeypatch.setattr(autoencoder_vs_pca, "fit_autoencoder", note)
    for judged in ("test", "validation"):
        trial = Trial("t", data.load("digits"), 0, tmp_path / judged)
        found = autoencoder_vs_pca.run_trial(settings_of(judged=judged), trial)
        assert set(found.tables["errors"]["split"]) == {"train", judged}
    assert seen == [(1497, {"train": 1497, "test": 300}), (1400, {"train": 1400, "validation": 97})]


def test_images_are_moved_where_a_shift_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And fine-tuning sees what they are made into: of nothing but black it learns black."""
    seen: list[Any] = []

    def black(x: torch.Tensor, **how: Any) -> torch.Tensor:
        seen.append(how)
        return torch.zeros_like(x)

    monkeypatch.setattr(autoencoder_vs_pca, "shifted", black)
    means = []
    for shift in (0, 2):
        trial = Trial("t", data.load("digits"), 0, tmp_path / str(shift))
        settings = settings_of(shift=shift, optimiser="adam", rate=0.01, tuning_epochs=3)
        means.append(autoencoder_vs_pca.run_trial(settings, trial).arrays["reconstructed"].mean())
        assert bool(seen) == bool(shift)
    assert seen[0] == {"shape": (8, 8), "most": 2, "generator": trial.generator}
    assert means[1] < 0.5 * means[0]


def test_other_code_sizes_carry_theirs_in_the_name() -> None:
    errors = pd.DataFrame(
        {
            "data": "digits",
            "row": ["pca", "pca", "net", "net"],
            "code": [2, 30, 30, 30],
            "seed": 0,
            "stage": ["", "", "", "best_codes"],
            "split": "test",
            "squared_error": [4.0, 3.0, 2.0, 1.0],
        }
    )
    found = report.summarise(Results({"errors": errors}))
    metrics = {metric: value for metric, _, value, *_ in found}
    assert metrics == {
        "test_squared_error/pca/code2": 4.0,
        "test_squared_error/pca": 3.0,
        "test_squared_error/net": 2.0,
        "test_squared_error/net_best_codes": 1.0,
    }


def test_reported_errors_are_marked_at_the_papers_code_size() -> None:
    errors = pd.DataFrame(
        {
            "data": "mnist",
            "row": ["pca", "pca", "autoencoder", "autoencoder_adam"],
            "code": [2, 30, 30, 30],
            "seed": 0,
            "stage": "",
            "split": "test",
            "squared_error": [40.0, 13.5, 2.9, 2.8],
        }
    )
    about = {"metric": "test_squared_error/pca", "measures": "errors", "reported": 13.0}
    about |= {"better": "lower"}
    entry = Expectation.model_validate(about)
    (axes,) = report.codes_figure(errors, {entry.metric: entry}).axes
    lines = {str(line.get_label()): line for line in axes.lines}
    assert np.asarray(lines["reported"].get_xydata()).tolist() == [[30, 13.0]]
    assert np.asarray(lines["PCA"].get_xydata()).tolist() == [[2, 40.0], [30, 13.5]]
    assert lines["autoencoder"].get_markerfacecolor() == "none"
    assert lines["autoencoder"].get_marker() != lines["autoencoder, Adam"].get_marker()
    (axes,) = report.codes_figure(errors, {}).axes
    assert "reported" not in {line.get_label() for line in axes.lines}


def test_rows_have_each_their_marker() -> None:
    markers = report.MARKERS
    assert len(set(markers.values())) == len(markers) and set(markers) == set(report.ROWS) - {"pca"}
