"""The recipe of the Boltzmann machines: its parts at a small size, and what it refuses."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pydantic
import pytest
import torch
from torch import Tensor

from dgm import data
from dgm.errors import BadInput
from dgm.experiments.boltzmann_machine import report, trial
from dgm.experiments.boltzmann_machine.settings import (
    COMPLETE,
    GENERAL,
    RESTRICTED,
    Encoder,
    Phases,
)
from dgm.learning.encoder import Encoders
from dgm.report.tables import Results
from dgm.trial.loop import Trial


def a_trial(folder: Path) -> Trial:
    return Trial("t", data.load("bars_and_stripes"), 0, folder)


def small(**more: Any) -> Phases:
    values = {"hidden": 2, "steps": 150, "short_steps": 5, "most_sweeps": 20, "ais_steps": 20}
    return Phases.model_validate(values | {"ais_chains": 20} | more)


def with_cell(tables: dict[str, pd.DataFrame], **cell: object) -> Results:
    keyed = {}
    for name, table in tables.items():
        frame = table.copy()
        for i, (key, value) in enumerate({**cell, "seed": 0}.items()):
            frame.insert(i, key, value)
        keyed[name] = frame
    return Results(keyed)


def test_noise_of_the_data() -> None:
    """Oracle: bit by bit, over all pairs of states."""
    p = torch.tensor([0.5, 0, 0, 0.5, 0, 0, 0, 0], dtype=torch.float64)
    expected = torch.zeros_like(p)
    for v in range(8):
        for u in (0, 3):
            turned = (v ^ u).bit_count()
            expected[v] += 0.5 * 0.1**turned * 0.9 ** (3 - turned)
    torch.testing.assert_close(trial.noisy(p, 0.1), expected)
    assert torch.equal(trial.noisy(p, 0.0), p)


def test_the_phases_of_three_machines(tmp_path: Path) -> None:
    tables = trial.phases(small(), a_trial(tmp_path)).tables
    learned = tables["learned"]
    end = learned[learned["machine"] != "anew"].groupby("machine")["log_likelihood"].last()
    assert (end[[GENERAL, COMPLETE]] >= end[RESTRICTED]).all()
    assert end[RESTRICTED] > learned["log_likelihood"].iloc[0]
    metrics = {m.metric: m.value for m in report.summarise(with_cell(tables, part="phases"))}
    assert 0 < metrics["gradient_error"] < 1e-12
    assert metrics["clamped_sweeps/restricted"] == 1
    assert metrics["clamped_sweeps_ratio/equal"] == metrics["clamped_sweeps_ratio"]
    assert metrics["log_likelihood/general"] == pytest.approx(end[GENERAL])
    figures = report.draw(with_cell(tables, part="phases"), {})
    assert set(figures) == {"exact", "phases", "short_chains"}
    clamped, free = figures["phases"].axes
    assert clamped.get_title() == "Clamped phase" and free.get_title() == "Free phase"
    restricted = clamped.get_lines()[0].get_ydata()
    assert np.all(np.asarray(restricted) == 1)


def test_a_run_ends_when_it_has_been_right_often_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two machines: one always right with distinct codes from the third cycle, one never. Cycles
    count from the fifth on, when the noise has ended."""
    cycle = {"now": 0}

    class Known(Encoders):
        def update(self, protocol: Any, learning: Tensor, *rest: Any) -> None:
            cycle["now"] += 1
            assert learning.tolist() == ([0, 1] if cycle["now"] <= 9 else [1])

        def distinct(self) -> Tensor:
            return torch.tensor([4 if cycle["now"] >= 3 else 3, 2])

        def completes(self, schedule: Any, machines: Tensor) -> Tensor:
            return (machines == 0)[:, None].expand(-1, 4)

    monkeypatch.setattr(trial, "Encoders", Known)
    values = {"part": "encoder", "runs": 2, "cycles": 12, "noisy": 4, "enough": 5}
    tables = trial.encoders(Encoder.model_validate(values), a_trial(tmp_path)).tables
    runs = tables["runs"].set_index("run")
    assert list(runs["solved"]) == [9, 0] and list(runs["distinct"]) == [3, 0]
    assert list(runs["codes"]) == [4, 2] and list(runs["right"]) == [1, 0]
    found = {m.metric: m.value for m in report.summarise(
        with_cell({"runs": tables["runs"]}, part="encoder", encoder="4-2-4"))}  # fmt: skip
    assert found["encoder_solved/4-2-4"] == found["encoder_correct/4-2-4"] == 0.5
    assert found["encoder_all_codes/4-2-4"] == 0.5 and found["encoder_codes/4-2-4"] == 3
    assert found["encoder_cycles/4-2-4"] == 9


def test_a_step_that_falls_when_the_noise_has_ended() -> None:
    values = {"part": "encoder", "cycles": 30, "noisy": 10, "step": 2.0, "final_step": 0.5}
    falling = Encoder.model_validate(values)
    steps = [2 * falling.pace(cycle) for cycle in (1, 10, 20, 30)]
    assert steps == pytest.approx([2, 2, 1.25, 0.5])
    assert Encoder.model_validate({"part": "encoder"}).pace(4000) == 1


def test_encoders_learn_and_are_drawn(tmp_path: Path) -> None:
    values = {"part": "encoder", "encoder": "2-1-2", "runs": 3, "cycles": 12}
    left = trial.run_trial(Encoder.model_validate(values), a_trial(tmp_path))
    results = with_cell(left.tables, part="encoder", encoder="2-1-2")
    results.cells = {"k": {"encoder": "2-1-2", "seed": 0}}
    results.arrays = {"codes": {"k": left.arrays["codes"]}}
    figures = report.draw(results, {})
    assert set(figures) == {"encoders", "codes"}
    assert figures["codes"].axes[0].images[0].get_array().shape == (1, 2)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"connections": [[0, 1], [1, 0]]}, "connections: units 0 and 1 are connected twice"),
        ({"connections": [[3, 3]]}, "connections: unit 3 is connected to itself"),
        ({"connections": [[0, 1, 0], [0, 0, 0], [0, 0, 0]]}, "connections: not symmetric"),
        ({"schedule": [[5, 1.0], [5, 2.0]]}, "schedule: temperatures must fall"),
        ({"schedule": [[5, 2.0]]}, "the last temperature should be 1"),
    ],
)
def test_settings_of_the_phases_that_make_no_sense(settings: Any, said: str) -> None:
    with pytest.raises(pydantic.ValidationError, match=said):
        Phases.model_validate(settings)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"schedule": [[2, 10], [2, 20]]}, "temperatures must fall"),
        ({"test_schedule": [[2, 10], [2, 0]]}, "temperatures must fall and be above 0"),
        ({"encoder": "4-2-5"}, "should read V-H-V"),
        ({"final_step": 3}, "final_step 3: above step 2"),
        ({"encoder": "8-2-8"}, "2 hidden units have no 8 different codes"),
    ],
)
def test_settings_of_an_encoder_that_make_no_sense(settings: Any, said: str) -> None:
    with pytest.raises(pydantic.ValidationError, match=said):
        Encoder.model_validate({"part": "encoder", **settings})


def test_machines_that_do_not_fit_the_data(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="hidden 8: 17 units, of which 16 are enumerated"):
        trial.phases(small(hidden=8), a_trial(tmp_path))
    with pytest.raises(BadInput, match="connections: no unit 11: there are 11"):
        trial.phases(small(connections=[[0, 11]]), a_trial(tmp_path))
