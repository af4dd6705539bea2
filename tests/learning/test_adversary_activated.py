"""The adversary-activated VAE: which samples it learns from, and what is saved."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dgm import data
from dgm.learning.adam import Adam
from dgm.learning.adversary_activated import AdversaryActivated
from dgm.learning.aevb import AEVB, aevb_gradient
from dgm.models.gan import Discriminator
from dgm.models.vae import VAE
from dgm.trial.checkpoint import flatten
from dgm.trial.loop import Trial

STEPS = 5


@pytest.fixture(autouse=True)
def no_grad() -> Iterator[None]:
    """As trials are run."""
    with torch.no_grad():
        yield


class Constant(nn.Module):
    """A discriminator that has the same logit for all."""

    def __init__(self, logit: float) -> None:
        super().__init__()
        self.logit = nn.Parameter(torch.tensor(logit))

    def forward(self, x: Tensor) -> Tensor:
        return self.logit.expand(len(x))


def small() -> VAE:
    vae = VAE(9, 5, 2)
    vae.initialise(0.5, torch.Generator().manual_seed(0))
    return vae


def learner(vae: VAE, generator: torch.Generator, d: nn.Module, **more: Any) -> AdversaryActivated:
    return AdversaryActivated(vae, 100, 1e-3, generator, d, 1e-9, **more)


def images(n: int = 20) -> Tensor:
    return (torch.rand(n, 9, generator=torch.Generator().manual_seed(5)) < 0.5).float()


def test_where_no_sample_passes_it_is_the_plain_vae() -> None:
    """Oracle: AEVB with the draws that come after those of the samples."""
    vae, plain = small(), small()
    one, two = (torch.Generator().manual_seed(1) for _ in range(2))
    activated = learner(vae, one, Constant(-100.0))
    activated.update(images(), torch.arange(20))
    assert (activated.made, activated.kept) == (20, 0)
    z = torch.randn(20, 2, generator=two)
    plain.decoder.sample(z, two)
    torch.empty(1, dtype=torch.int64).random_(-(2**63), None, generator=two)  # which samples pass
    AEVB(plain, 100, 1e-3, two, Adam).update(images(), torch.arange(20))
    assert torch.equal(vae.flat, plain.flat)


def test_where_all_pass_the_gradient_is_that_of_both() -> None:
    """Oracle: the mean of the bound's gradients at images and at samples."""
    vae, other = small(), small()
    one, two = (torch.Generator().manual_seed(1) for _ in range(2))
    activated = learner(vae, one, Constant(100.0))
    activated.update(images(), torch.arange(20))
    assert (activated.made, activated.kept) == (20, 20)
    made = other.decoder.sample(torch.randn(20, 2, generator=two), two)
    torch.empty(1, dtype=torch.int64).random_(-(2**63), None, generator=two)
    noise = torch.randn(40, 2, generator=two)
    parts = []
    for x, of_noise in ((images(), noise[:20]), (made, noise[20:])):
        aevb_gradient(other, x, of_noise)
        parts.append(other.gradient.clone())
    torch.testing.assert_close(vae.gradient, (parts[0] + parts[1]) / 2, atol=1e-6, rtol=1e-5)


def test_the_share_kept_is_what_d_says() -> None:
    """Oracle: a binomial count with probability sigmoid(-1)."""
    activated = learner(small(), torch.Generator().manual_seed(1), Constant(-1.0))
    for _ in range(100):
        activated.update(images(), torch.arange(20))
    p = torch.tensor(-1.0).sigmoid().item()
    assert activated.made == 2000
    assert activated.kept / 2000 == pytest.approx(p, abs=5 * (p * (1 - p) / 2000) ** 0.5)


def test_the_adversary_learns_to_tell_images_from_samples() -> None:
    """All pixels of the images are on; those of samples are not."""
    torch.manual_seed(0)
    d = Discriminator(9, [16])
    generator = torch.Generator().manual_seed(1)
    activated = AdversaryActivated(small(), 100, 1e-9, generator, d, 1e-2)
    for _ in range(60):
        activated.update(torch.ones(20, 9), torch.arange(20))
    assert d(torch.ones(1, 9)).item() > 1
    assert d(torch.zeros(1, 9)).item() < -1


def trained(path: Path, stop: int = STEPS) -> dict[str, Tensor]:
    for last in (stop, STEPS):
        trial = Trial("t", data.load("digits"), 3, path, checkpoint_every=0.0)
        vae = small()
        activated = AdversaryActivated(vae, 100, 1e-2, trial.generator, Discriminator(9, [6]), 1e-2)
        for step in trial.steps(STEPS, vae=vae, activated=activated):
            activated.update(images(), torch.arange(20))
            if step == last - 1 and last < STEPS:
                break
    state: dict[str, Tensor] = {}
    flatten([vae.state_dict(), activated.state_dict()], state)
    state["next"] = torch.rand(3, generator=trial.generator)
    state["counts"] = torch.tensor([activated.kept, activated.made])
    return state


def test_killed_and_resumed_it_is_the_same_byte_for_byte(tmp_path: Path) -> None:
    """The VAE, the adversary and both optimisers."""
    whole, resumed = trained(tmp_path / "whole"), trained(tmp_path / "resumed", stop=2)
    assert whole.keys() == resumed.keys()
    assert whole["counts"][1] == 100
    for place, tensor in whole.items():
        assert torch.equal(tensor, resumed[place]), place
