"""On a GPU: replayed updates are the updates, and every recipe runs there and meets its bands.

Skipped where there is none.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from dgm.data.batches import Minibatches
from dgm.fast.replay import replayed
from dgm.learning.adam import Adam
from dgm.learning.aevb import AEVB
from dgm.learning.monte_carlo_em import MonteCarloEM
from dgm.learning.up_down import UpDown
from dgm.learning.wake_sleep import WakeSleep
from dgm.models.dbn import DBN
from dgm.models.rbm import one_hot
from dgm.models.vae import VAE

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
ROOT = Path(__file__).parents[2]
RECIPES = sorted(path.stem for path in (ROOT / "recipes").glob("*.yaml"))
N, VISIBLE = 1000, 784


def vae(generator: torch.Generator, decoder: str = "bernoulli") -> VAE:
    model = VAE(VISIBLE, [50], 5, "cuda", decoder)
    model.initialise(0.1, generator)
    return model


def by_aevb(generator: torch.Generator) -> tuple[Tensor, AEVB]:
    model = vae(generator)
    return model.flat, AEVB(model, N, 0.02, generator)


def by_adam(generator: torch.Generator) -> tuple[Tensor, AEVB]:
    model = vae(generator, "gaussian")
    return model.flat, AEVB(model, N, 0.001, generator, Adam)


def by_wake_sleep(generator: torch.Generator) -> tuple[Tensor, WakeSleep]:
    model = vae(generator)
    return model.flat, WakeSleep(model, N, 0.02, generator)


def by_monte_carlo_em(generator: torch.Generator) -> tuple[Tensor, MonteCarloEM]:
    model = vae(generator)
    return model.flat, MonteCarloEM(model, N, 0.02, generator)


def by_up_down(generator: torch.Generator) -> tuple[Tensor, UpDown]:
    dbn = DBN(VISIBLE, [40, 30], 60, 10, "cuda")
    dbn.flat.normal_(0, 0.1, generator=generator)
    labels = one_hot(torch.arange(N, device="cuda") % 10, 10)
    chains = torch.cat([torch.zeros(100, 30, device="cuda"), labels[:100]], 1)
    learner = UpDown(dbn, labels, 3, 0.1, generator, decay=1e-4, chains=chains)
    return dbn.flat, learner


@pytest.mark.parametrize("start", [by_aevb, by_adam, by_wake_sleep, by_monte_carlo_em, by_up_down])
@pytest.mark.parametrize("dynamic", [False, True])
def test_replayed_updates_are_the_updates(
    start: Callable[[torch.Generator], tuple[Tensor, AEVB]], dynamic: bool
) -> None:
    def after(wrap: Callable[..., Callable[..., Tensor | None]]) -> tuple[Tensor, list[float]]:
        generator = torch.Generator("cuda").manual_seed(1)
        x = torch.rand(N, VISIBLE, generator=generator, device="cuda")
        flat, learner = start(generator)
        batches = Minibatches(x, 100, generator, dynamic)
        update = wrap(learner.update, generator)
        said = []
        for _ in range(25):  # two passes and a half: what is shuffled between replays counts too
            returned = update(*batches.draw())
            said.append(returned.item() if returned is not None else 0.0)
        return flat, said

    usual, said = after(lambda update, generator: update)
    found, found_said = after(replayed)
    torch.testing.assert_close(found, usual, rtol=1e-3, atol=1e-4)
    assert found_said == pytest.approx(said, rel=1e-3)


@pytest.mark.parametrize("name", RECIPES)
def test_the_embedded_preset_meets_its_bands_on_a_gpu(name: str, tmp_path: Path) -> None:
    dgm = [sys.executable, "-m", "dgm"]
    of = [name, "--preset", "embedded", "--out", str(tmp_path)]
    for command in (["run", *of, "--device", "cuda"], ["check", *of]):
        ran = subprocess.run([*dgm, *command], capture_output=True, text=True, cwd=ROOT)
        assert ran.returncode == 0, ran.stdout + ran.stderr
