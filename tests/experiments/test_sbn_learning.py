"""Sigmoid belief nets: what a trial leaves, its settings, and the metrics made of it."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pydantic
import pytest
import torch

from dgm import data
from dgm.experiments.sbn_learning import report
from dgm.experiments.sbn_learning import trial as sbn_learning
from dgm.experiments.sbn_learning.settings import Learning, Mixing
from dgm.inference.enumeration import log_evidence
from dgm.models.sigmoid_belief_net import SigmoidBeliefNet
from dgm.report.tables import Results
from dgm.trial.loop import Trial

SMALL: dict[str, Any] = {"units": 4, "top_units": 1, "batch": 75, "epochs": 3, "ais_images": 20}
SMALL |= {"importance_samples": 400, "bound_samples": 5, "ais_schedule": [[50, 0, 1]]}
SMALL |= {"evaluated_images": 100, "top_schedule": [[200, 0, 1]], "iterations": 3}


def a_trial(tmp_path: Path, name: str = "bars") -> Trial:
    return Trial("t", data.load(name), 0, tmp_path)


@pytest.mark.parametrize("method", ["gibbs", "mean_field", "wake_sleep", "rws", "nvil", "greedy"])
def test_estimates_of_a_small_net_agree_with_its_exact_likelihood(
    tmp_path: Path, method: str
) -> None:
    settings = Learning.model_validate(SMALL | {"method": method, "chain_steps": 20})
    left = sbn_learning.run_trial(settings, a_trial(tmp_path))
    tables, net = left.tables, left.models["net"]
    x = data.load("bars").test[:100]
    (row,) = tables["exact"].to_dict("records")
    exact = log_evidence(net, x)
    assert row["log_likelihood"] == pytest.approx(exact.mean().item(), abs=1e-6)
    assert row["annealed_log_likelihood"] == pytest.approx(exact[:20].mean().item(), abs=1e-6)
    distinct, times = torch.unique(x, dim=0, return_counts=True)
    p = times.double() / 100
    kl = (p * (p.log() - log_evidence(net, distinct))).sum().item() / math.log(2)
    assert row["kl_bits"] == pytest.approx(kl, abs=1e-6)
    (annealed,) = tables["annealed"].to_dict("records")
    error = abs(annealed["log_likelihood"] - row["annealed_log_likelihood"])
    assert error < 4 * annealed["stderr"] + 1e-3
    assert annealed["stderr"] < 0.1
    assert left.arrays["samples"].shape == (100, 4, 4)
    assert ("mixing_learned" in tables) == (method != "greedy")
    if method in ("wake_sleep", "rws", "nvil"):
        (by_samples,) = tables["importance"].to_dict("records")
        assert abs(by_samples["log_likelihood"] - exact.mean().item()) < 0.05
        (bound,) = tables["bounds"].to_dict("records")
        assert bound["elbo"] < exact.mean().item() + 4 * bound["stderr"]


def test_a_part_of_the_likelihood_is_enough_to_verify_it(tmp_path: Path) -> None:
    settings = Learning.model_validate(SMALL | {"bias_images": 20, "evaluated_images": 300})
    settings = settings.model_copy(update={"bias_samples": 2000, "ais_images": 0})
    left = sbn_learning.run_trial(settings, a_trial(tmp_path / "whole"))
    again = a_trial(tmp_path / "again")
    part = sbn_learning.measure(settings, again, left.models["net"], full=False)
    assert list(left.tables["importance"]["first_image"]) == [0, 100, 200]
    assert list(part.tables["importance"]["first_image"]) == [0, 100]
    assert "bias" not in part.tables
    merged = left.tables["importance"].merge(part.tables["importance"], on="first_image")
    apart = (merged["log_likelihood_x"] - merged["log_likelihood_y"]).abs()
    assert (apart < 4 * (merged["stderr_x"] ** 2 + merged["stderr_y"] ** 2) ** 0.5).all()
    bias = left.tables["bias"]
    assert set(bias["by"]) == {"few", "many"}
    assert bias.groupby("by")["samples"].first().to_dict() == {"few": 400, "many": 2000}


def test_the_epoch_best_on_validation_images_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([-3.0, -1.0, -2.0])
    kept: list[torch.Tensor] = []

    def score(net: SigmoidBeliefNet, *_: object) -> float:
        kept.append(net.flat.clone())
        return next(scores)

    monkeypatch.setattr(sbn_learning, "estimated", score)
    settings = Learning.model_validate(SMALL | {"evaluations": 3})
    trial = a_trial(tmp_path)
    net = sbn_learning.learn(settings, trial, sbn_learning.images(trial))
    assert torch.equal(net.flat, kept[1])
    assert trial.chosen["chosen_epoch"] == 2
    assert list(trial.tables()["curves"]["epoch"]) == [1, 2, 3]


def test_equal_computation_is_counted_in_units_drawn() -> None:
    def of(**values: Any) -> Learning:
        return Learning.model_validate({"units": 20, "layers": 2, **values})

    assert of(method="gibbs", sweeps=3).draws(100) == 3 * 40
    assert of(method="mean_field", iterations=4).draws(100) == 4 * 40
    assert of(method="nvil").draws(100) == 40
    assert of(method="wake_sleep").draws(100) == 40 + 140
    assert of(method="rws", particles=5).draws(100) == 5 * 40 + 140
    assert of(method="greedy").draws(100) == (100 + 2 * 20) + (20 + 2 * 20)
    assert of(method="gibbs", unit_updates=80_000).passes(1000, 100) == 2
    assert of(method="gibbs", unit_updates=1).passes(1000, 100) == 1
    assert of(epochs=7).passes(1000, 100) == 7
    assert of(top_units=3, layers=3).hidden == [20, 20, 3]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"layers": 0}, "layers\n.*greater than or equal to 1"),
        ({"particles": 0}, "particles\n.*greater than or equal to 1"),
        ({"sweeps": 0}, "sweeps\n.*greater than or equal to 1"),
        ({"ais_schedule": [[10, 0.1, 1]]}, "ais_schedule: betas must rise from 0 to 1"),
        ({"ais_schedule": [[10, 0, 0.5], [10, 0.3, 1]]}, "ais_schedule: betas must rise"),
        ({"top_schedule": [[10, 0, 2]]}, "top_schedule: betas must rise from 0 to 1"),
        ({"ais_schedule": []}, "ais_schedule\n.*at least 1 item"),
    ],
)
def test_settings_that_make_no_sense(values: Any, said: str) -> None:
    with pytest.raises(pydantic.ValidationError, match=said):
        Learning.model_validate(values)


def test_the_chain_of_two_causes_stays_where_it_began(tmp_path: Path) -> None:
    """Oracle: given the effect, p(one cause alone) = p(the other alone) = 1 / (2 + 2 exp(-10))."""
    values = {"part": "mixing", "units": 4, "depths": [1, 2], "scales": [1, 4], "nets": 2}
    settings = Mixing.model_validate(values | {"chains": 4, "steps": 40, "cause_steps": 300})
    tables = sbn_learning.run_trial(settings, a_trial(tmp_path)).tables
    causes = tables["causes"].set_index(["first", "second"])
    single = 1 / (2 + 2 * math.exp(-10))
    assert causes.loc[(1, 0), "exact"] == pytest.approx(single, abs=1e-4)
    assert causes.loc[(0, 1), "exact"] == pytest.approx(single, abs=1e-4)
    assert causes["exact"].sum() == pytest.approx(1)
    assert causes.loc[(1, 0), "sampled"] > 0.9
    assert causes["sampled"].sum() == pytest.approx(1)
    mixing = tables["mixing"]
    assert len(mixing) == 2 * 2 * (1 + 2)  # scales, nets, layers of either depth
    assert (mixing["tau"] > 0).all()
    assert mixing["effective"].tolist() == pytest.approx((1000 / mixing["tau"]).tolist())


def annealed(values: dict[str, float], stderr: float, layers: int = 3) -> pd.DataFrame:
    return pd.DataFrame(
        {"data": "mnist", "part": "learning", "variant": "equal", "method": method}
        | {"layers": layers, "seed": 0, "log_likelihood": value, "stderr": stderr}
        for method, value in values.items()
    )


@pytest.mark.parametrize(
    ("greedy", "stderr", "behind"), [(-98.0, 0.1, 1), (-99.9, 0.1, 0), (-98.0, 1.0, 0)]
)
def test_gibbs_falls_behind_beyond_both_intervals(
    greedy: float, stderr: float, behind: float
) -> None:
    values = {"gibbs": -100.0, "wake_sleep": -90.0, "rws": -80.0, "greedy": greedy}
    results = Results({"annealed": annealed(values, stderr)})
    found = {metric: value for metric, _, value, *_ in report.summarise(results)}
    assert found["gibbs_falls_behind"] == behind
    assert found["annealed_log_likelihood/rws/equal/layers3"] == -80
    assert found["annealed_half_interval/rws/equal/layers3"] == pytest.approx(1.96 * stderr)
    shallow = Results({"annealed": annealed(values, stderr, layers=2)})
    assert "gibbs_falls_behind" not in {metric for metric, *_ in report.summarise(shallow)}


@pytest.mark.parametrize(("deepest", "rises"), [(9.0, 1), (3.0, 0)])
def test_the_time_of_the_slowest_layer_at_the_largest_scale(deepest: float, rises: float) -> None:
    taus = {(1, 1, 1.0): 5.0, (1, 1, 8.0): 2.0, (2, 1, 8.0): 1.0, (2, 2, 8.0): 4.0}
    taus |= {(2, 1, 1.0): 1.0, (3, 3, 8.0): deepest, (3, 1, 1.0): 1.0}
    mixing = pd.DataFrame(
        {"data": "bars", "part": "mixing", "variant": None, "method": None, "layers": None}
        | {"seed": 0, "depth": depth, "scale": scale, "net": net, "layer": layer}
        | {"tau": tau * factor}
        for (depth, layer, scale), tau in taus.items()
        for net, factor in ((0, 0.5), (1, 2.0))  # whose geometric mean is 1
    )
    found = {m: value for m, _, value, *_ in report.summarise(Results({"mixing": mixing}))}
    assert found["autocorrelation_rises"] == rises
    assert found["autocorrelation_time/scale8/layers2"] == pytest.approx(4)
    assert found["autocorrelation_time/scale1/layers1"] == pytest.approx(5)
    assert found["autocorrelation_time/scale8/layers3"] == pytest.approx(deepest)


def test_likelihoods_of_all_images_and_the_bias_of_few_samples() -> None:
    cell = {"data": "mnist", "part": "learning", "variant": "paper", "method": "rws", "layers": 2}
    cell |= {"seed": 0}
    rows = [(0, 100, -90.0, 8200.0, 50.0), (100, 50, -96.0, 9300.0, 20.0)]
    importance = pd.DataFrame(
        cell
        | {"first_image": first, "images": n, "log_likelihood": mean, "squares": squares}
        | {"mean_effective_samples": effective, "stderr": 0.1}
        for first, n, mean, squares, effective in rows
    )
    bias = pd.concat([importance.assign(by="many"), importance.assign(by="few")])
    bias.loc[bias["by"] == "few", "log_likelihood"] -= 0.25
    curves = pd.DataFrame([cell | {"log_likelihood": value} for value in (-99.0, -95.0, -96.0)])
    results = Results({"importance": importance, "bias": bias, "curves": curves})
    found = {metric: (value, share) for metric, _, value, share in report.summarise(results)}
    mean, share = found["test_log_likelihood/rws"]
    assert mean == pytest.approx(-92)
    squares = (100 * 8200 + 50 * 9300) / 150
    assert share == pytest.approx(math.sqrt((squares - 92**2) / 150))
    assert found["importance_effective_samples/rws"][0] == pytest.approx(40)
    assert found["importance_bias/rws"][0] == pytest.approx(-0.25)
    assert found["validation_log_likelihood/rws"][0] == -95


def test_figures_of_what_is_there() -> None:
    """Likelihood by depth with annealing's interval; validation curves, of NVIL the bound."""
    by_depth = [annealed({"gibbs": -9.0 - n, "rws": -8.0}, 0.1, layers=n) for n in (1, 2)]
    figure = report.draw(Results({"annealed": pd.concat(by_depth)}), {})["depth"]
    (axes,) = figure.axes
    lines = [line for line in axes.lines if line.get_linestyle() == "-"]
    assert [np.asarray(line.get_ydata()).tolist() for line in lines] == [[-10, -11], [-8, -8]]
    _, labels = axes.get_legend_handles_labels()
    assert labels == ["Gibbs, delta rule", "reweighted wake-sleep"]
    curves = pd.DataFrame(
        {"method": method, "seed": 0, "epoch": epoch, "log_likelihood": -90.0 - 10 / epoch}
        for method in ("rws", "nvil")
        for epoch in (1, 2, 5)
    )
    (axes,) = report.learning_figure(curves).axes
    assert [line.get_label() for line in axes.lines] == ["reweighted wake-sleep", "NVIL (bound)"]
    assert np.asarray(axes.lines[1].get_ydata()).tolist() == [-100, -95, -92]
