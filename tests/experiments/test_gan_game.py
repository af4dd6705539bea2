"""The GAN game where everything is known."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from dgm import data
from dgm.errors import BadInput
from dgm.experiments.gan_game import report
from dgm.experiments.gan_game import trial as gan_game
from dgm.experiments.gan_game.settings import BOX, Densities, Gradients, Ring, Settings
from dgm.inference.quadrature import grid
from dgm.models.gan import Discriminator, MonotoneGenerator
from dgm.report.tables import Artifacts, Results
from dgm.trial.loop import Trial

SMALL: dict[str, Any] = {"hidden": [8], "batch": 20, "steps": 20, "alone": 12}


def run(tmp_path: Path, settings: Settings, name: str) -> Artifacts:
    trial = Trial("t", data.load(name), 0, tmp_path)
    with torch.no_grad():
        return gan_game.run_trial(settings, trial)


def a_ring(**values: Any) -> Ring:
    small = {"part": "ring", "hidden": [8], "batch": 8, "evaluations": 5}
    return Ring.model_validate(small | values)


class Best(torch.nn.Module):
    """The logit of D* = p / (p + q)."""

    def __init__(self, p: Any, q: Any) -> None:
        super().__init__()
        self.p, self.q = p, q

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.p.log_density(x) - self.q.log_density(x)


@torch.no_grad()
def test_the_best_discriminator_has_no_gap_and_gives_the_value() -> None:
    """Oracle: Goodfellow et al. (2014), V(D*) = -log 4 + 2 JSD; and D = 1/2 gives -log 4."""
    p, q = data.load("two_bumps"), MonotoneGenerator(4, 1.0, 1.0)
    over = grid([-12.0], [12.0], 2401)
    log_p = p.log_density(over.points)
    best = gan_game.judged(Best(p, q), q, log_p, over)  # type: ignore[arg-type]
    assert best["gap"] == pytest.approx(0, abs=1e-12)
    assert best["jsd"] > 0.01
    assert best["value"] == pytest.approx(-math.log(4) + 2 * best["jsd"], abs=1e-6)
    half = Discriminator(1, [3]).double()
    for parameter in half.parameters():
        parameter.zero_()
    of_half = gan_game.judged(half, q, log_p, over)
    assert of_half["gap"] == pytest.approx(of_half["gap_of_half"]) == best["gap_of_half"]
    assert of_half["value"] == pytest.approx(-math.log(4), abs=1e-6)


def test_generators_are_frozen_as_they_were(tmp_path: Path) -> None:
    """Oracle: the divergence that the game itself recorded at the same steps."""
    values = SMALL | {"frozen_at": [0, 10, 19], "frames": 20, "rate": 0.05, "mean": 2.0}
    tables = run(tmp_path, Densities(**values), "two_bumps").tables
    game, frozen = tables["game"].set_index("step"), tables["frozen"].set_index("step")
    assert game["jsd"].nunique() == 20
    assert frozen.index.tolist() == [0, 10, 19, 20]
    for step in (0, 10, 19):
        assert frozen.loc[step, "jsd"] == game.loc[step, "jsd"]


def test_frames_are_densities_and_probabilities(tmp_path: Path) -> None:
    arrays = run(tmp_path, Densities(**SMALL, frames=4, frozen_at=[5]), "two_bumps").arrays
    x = np.linspace(*BOX, len(arrays["data"]))
    for p in (arrays["data"], *arrays["generated"]):
        assert np.trapezoid(p, x) == pytest.approx(1, abs=1e-3)
    assert ((arrays["discriminator"] > 0) & (arrays["discriminator"] < 1)).all()
    assert (np.diff(arrays["mapped"]) > 0).all()


def test_gradients_are_those_of_the_losses(tmp_path: Path) -> None:
    """Both norms are recorded at the first and the last steps, and between at one in twenty."""
    left = run(tmp_path, Gradients(part="gradients", **(SMALL | {"alone": 130})), "two_bumps")
    gradients = left.tables["gradients"]
    assert gradients["step"].tolist() == [*range(1, 11), 20, *range(31, 131)]
    assert (gradients[["minimax", "log_d"]] > 0).all(axis=None)
    assert 0 < left.tables["separation"]["jsd"].item() < math.log(2)


@pytest.mark.parametrize("method", ["minimax", "nonsaturating", "r1"])
def test_a_ring_is_judged_at_even_steps(tmp_path: Path, method: Any) -> None:
    settings = a_ring(method=method, steps=20)
    left = run(tmp_path, settings, "ring")
    assert left.tables["ring"]["step"].tolist() == [4, 8, 12, 16, 20]
    assert left.tables["ring"]["modes"].between(0, 8).all()
    assert left.arrays["samples"].shape == (gan_game.KEPT, 2)


def test_methods_differ_by_loss_and_penalty(tmp_path: Path) -> None:
    """From one start each goes its own way; the penalty counts for r1 alone."""

    def samples(**values: Any) -> np.ndarray:
        where = tmp_path / "".join(map(str, values.values()))
        found: np.ndarray = run(where, a_ring(steps=5, **values), "ring").arrays["samples"]
        return found

    every = [samples(method=method) for method in ("minimax", "nonsaturating", "r1")]
    assert not any(np.array_equal(every[i], every[j]) for i, j in ((0, 1), (0, 2), (1, 2)))
    assert np.array_equal(samples(method="nonsaturating", penalty=9.0), every[1])
    assert not np.array_equal(samples(method="r1", penalty=9.0), every[2])


# --- metrics and figures -----------------------------------------------------------------------


def test_gradients_are_compared_by_medians() -> None:
    step = np.arange(1, 301)
    table = pd.DataFrame({"trial": "k", "data": "two_bumps", "part": "gradients"}, index=step)
    table = table.assign(seed=0, step=step, minimax=np.where(step <= 10, 5.0, 1e-3))
    table["log_d"] = np.where(step > 200, 40.0, 2.0)
    table.loc[1, "minimax"], table.loc[300, "log_d"] = 1e9, 1e9  # one step alone changes nothing
    found = {m.metric: m.value for m in report.summarise(Results({"gradients": table}))}
    assert found == pytest.approx({"gradient_drop/minimax": 5000, "gradient_rise/log_d": 20})


def test_a_rings_value_is_the_median_over_its_last_fifth() -> None:
    steps = np.arange(1, 26) * 40
    modes = np.where(steps <= 800, 8, 0)
    modes[-3:] = (2, 3, 8)  # the last fifth: 0, 0, 2, 3, 8
    table = pd.DataFrame({"trial": "k", "data": "ring", "part": "ring", "method": "r1", "seed": 4,
                          "step": steps, "modes": modes, "touched": 8, "quality": 0.5})  # fmt: skip
    found = list(report.summarise(Results({"ring": table})))
    assert ("modes/r1", 4, 2) in [m[:3] for m in found]
    assert ("quality/r1", 4, 0.5) in [m[:3] for m in found]


def test_generators_that_are_near_do_not_count() -> None:
    rows = {"jsd": [0.4, 0.2, 0.09, 0.01], "gap": [0.02, 0.04, 0.5, 0.5]}
    rows |= {"gap_of_half": [0.4, 0.2, 0.1, 0.1], "value": [-1.0, -1.1, -1.2, -1.38]}
    found = dict(report.of_frozen(pd.DataFrame(rows)))
    assert found == pytest.approx(
        {
            "frozen_generators": 2,
            "discriminator_gap": 0.03,
            "discriminator_gap/worst": 0.04,
            "discriminator_gap_share": 0.1,
            "jsd": 0.01,
            "game_value": -1.38,
        }
    )


# --- what may go wrong ---------------------------------------------------------------------------


def test_a_part_on_data_that_do_not_suit(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"^data ring: this part needs a density on the line$"):
        run(tmp_path, Densities(**SMALL), "ring")
    with pytest.raises(BadInput, match=r"^data two_bumps: .* round Gaussians in the plane$"):
        run(tmp_path, a_ring(steps=5), "two_bumps")


@pytest.mark.parametrize("where", [{"mean": 22.0}, {"slope": 5.0}])
@pytest.mark.parametrize("part", ["densities", "gradients"])
def test_generated_points_beyond_the_grid(
    tmp_path: Path, part: str, where: dict[str, float]
) -> None:
    given = SMALL | {"alone": 110} | where
    settings = (
        Densities(**given, frozen_at=[0])
        if part == "densities"
        else Gradients.model_validate({"part": part, **given})
    )
    with pytest.raises(BadInput, match=r"^mean, slope: .* percent of what is generated lies"):
        run(tmp_path, settings, "two_bumps")


def test_generators_beyond_the_end(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"^frozen_at 20: the game has 20 steps, from 0 on$"):
        run(tmp_path, Densities(**SMALL, frozen_at=[0, 20]), "two_bumps")


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("penalty=-1", "settings.penalty: should be greater than 0, not -1"),
        ("batch=0", "settings.batch: should be greater than 0, not 0"),
        ("latent_dim=0", "settings.latent_dim: should be greater than 0, not 0"),
        ("hidden=[0]", "settings.hidden: should be greater than 0, not 0"),
        ("evaluations=1", "settings.evaluations: should be greater than or equal to 5, not 1"),
        ("method=wgan", "grid.method: should be 'minimax', 'nonsaturating' or 'r1', not 'wgan'"),
        ("data=rnig", "data: no rnig; did you mean ring?"),
        ("data=mnist", "data: no mnist"),
    ],
)
def test_settings_that_are_none(override: str, complaint: str, here: Any) -> None:
    said = here("run", "gan_game", "--dry-run", "part=ring", override, code=2)
    assert complaint in said


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("frozen_at=[0,0]", "settings.frozen_at: should name each step once"),
        ("alone=109", "settings.alone: should be greater than or equal to 110, not 109"),
    ],
)
def test_settings_of_the_line_that_are_none(override: str, complaint: str, here: Any) -> None:
    assert complaint in here("run", "gan_game", "--dry-run", override, code=2)
