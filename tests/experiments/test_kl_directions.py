"""Two directions of the KL divergence, on Gaussians and on models of a ring."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from dgm import data
from dgm.errors import BadInput
from dgm.experiments.kl_directions import report
from dgm.experiments.kl_directions import trial as kl_directions
from dgm.experiments.kl_directions.settings import MODELS, Fit, Ring, Settings
from dgm.report.tables import Artifacts, Results
from dgm.trial.loop import Trial


def run(tmp_path: Path, settings: Settings, name: str) -> Artifacts:
    trial = Trial("t", data.load(name), 0, tmp_path)
    with torch.no_grad():
        return kl_directions.run_trial(settings, trial)


def a_ring(**values: Any) -> Ring:
    small = {"part": "ring", "hidden": [8], "batch": 8, "steps": 10, "evaluations": 5}
    return Ring.model_validate(small | values)


def test_moments_are_those_of_draws() -> None:
    """Oracle: the sample's mean and covariance."""
    density = data.load("two_hills")
    mean, covariance = kl_directions.moments(density)
    x = density.sample(20_000, torch.Generator().manual_seed(0))
    torch.testing.assert_close(x.mean(0), mean, atol=0.05, rtol=0)
    torch.testing.assert_close(x.T.cov(), covariance, atol=0.1, rtol=0)


def test_fits_are_the_closed_forms(tmp_path: Path) -> None:
    """Oracle: 1 / Lambda_ii, Sigma_ii (Bishop 2006, section 10.1.2); and quadrature."""
    settings = Fit.model_validate({"starts": 1})
    tables = run(tmp_path, settings, "correlated_gaussian").tables
    sigma = data.load("correlated_gaussian").covariances[0]
    variances = {
        "model_data": (1 / sigma.inverse().diagonal()).tolist(),
        "data_model": sigma.diagonal().tolist(),
    }
    for direction, fits in tables["fits"].groupby("direction"):
        assert fits[["x", "y"]].to_numpy() == pytest.approx(0.5, abs=1e-6)
        for row in fits[["xx", "yy"]].to_numpy():
            assert row == pytest.approx(variances[str(direction)], abs=1e-6)
        assert fits["divergence"].to_numpy() == pytest.approx(fits["by_quadrature"], abs=1e-6)
    exact = tables["exact"].set_index("direction")
    assert exact.loc["model_data", ["xx", "yy"]].tolist() == pytest.approx(variances["model_data"])


@pytest.mark.parametrize("model", MODELS)
def test_every_model_of_the_ring(tmp_path: Path, model: str) -> None:
    left = run(tmp_path, a_ring(model=model), "ring")
    table = left.tables["ring"]
    assert table["step"].tolist() == [2, 4, 6, 8, 10]
    assert (table["gaps"] <= 1 - table["quality"] + 1e-9).all()
    assert left.arrays["samples"].shape == (kl_directions.KEPT, 2)
    assert ("decoder" in left.tables) == (model == "vae")


def fits(*optima: tuple[float, float]) -> pd.DataFrame:
    """Fits at x with a divergence, otherwise alike."""
    rows = [{"x": x, "y": 0.0, "xx": 1.0, "xy": 0.0, "yy": 1.0, "divergence": d} for x, d in optima]
    return pd.DataFrame(rows)


def test_optima_are_counted_once() -> None:
    found = report.distinct(fits((2.0, 0.7), (-2.0, 0.5), (2.00001, 0.7), (-2.0, 0.5), (2.0, 0.7)))
    assert found[["x", "divergence", "starts"]].to_numpy().tolist() == [
        [-2.0, 0.5, 2],
        [pytest.approx(2.0, abs=1e-4), 0.7, 3],
    ]


@pytest.mark.parametrize(
    ("values", "verdicts"),
    [
        # modes and gaps of gan, vae, and of both f-GANs
        ([(5, 0.1), (8, 0.6), (3, 0.0), (8, 0.5)], (1, 1, 1)),
        ([(8, 0.1), (8, 0.1), (8, 0.0), (8, 0.5)], (0, 0, 0)),
        ([(8, 0.7), (7, 0.6), (3, 0.6), (8, 0.5)], (0, 0, 0)),
    ],
)
def test_claims(values: list[tuple[float, float]], verdicts: tuple[int, ...]) -> None:
    models = {m: {"modes": n, "gaps": g} for m, (n, g) in zip(MODELS, values, strict=True)}
    assert tuple(value for _, value in report.claims(models)) == verdicts


def test_a_rings_metrics() -> None:
    step = np.arange(1, 6)
    head: dict[str, Any] = {"trial": "", "data": "ring", "part": "ring", "family": None}
    tables = []
    for model, modes in zip(MODELS, (2, 8, 1, 7), strict=True):
        head |= {"trial": model, "model": model, "seed": 0}
        rows = pd.DataFrame({**head, "step": step, "modes": modes, "sharp_modes": 0})
        rows = rows.assign(quality=0.5, gaps=modes / 10)
        tables.append(rows)
    found = {m.metric: m.value for m in report.summarise(Results({"ring": pd.concat(tables)}))}
    assert found["modes/gan"] == 2 and found["gaps/vae"] == 0.8
    assert found["gan_misses_modes"] == found["vae_covers_gaps"] == found["direction_explains"] == 1


def test_a_part_on_data_that_do_not_suit(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"^data two_bumps: this part needs a density in the plane$"):
        run(tmp_path, Fit.model_validate({}), "two_bumps")
    with pytest.raises(
        BadInput, match=r"^data two_hills: this part needs round Gaussians in the plane$"
    ):
        run(tmp_path, a_ring(), "two_hills")
    with pytest.raises(BadInput, match=r"^data two_bumps: .* round Gaussians in the plane$"):
        run(tmp_path, a_ring(), "two_bumps")
    with pytest.raises(
        BadInput, match=r"^data ring: its narrowest standard deviation is 0.01, and"
    ):
        run(tmp_path, Fit.model_validate({}), "ring")


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("starts=0", "settings.starts: should be greater than 0, not 0"),
        ("d_steps=-1", "settings.d_steps: should be greater than 0, not -1"),
        ("model=wgan", "grid.model: "),
    ],
)
def test_settings_that_are_none(override: str, complaint: str, here: Any) -> None:
    assert complaint in here("run", "kl_directions", "--dry-run", override, code=2)
