"""Annealed importance sampling, against log Z by enumeration."""

from copy import deepcopy

import pytest
import torch
from torch import Tensor

from dgm.inference.ais import AIS, Reversed, from_above, schedule
from dgm.inference.enumeration import Enumerated
from dgm.models.rbm import RBM, RBMPath
from tests.small import small_dbm, small_rbm


def anneal(rbm: RBM, chains: int, betas: int, seed: int, base: Tensor | None = None) -> AIS:
    generator = torch.Generator().manual_seed(seed)
    ais = AIS(RBMPath(rbm, base), schedule((betas, 0.0, 1.0)), chains, generator)
    for step in range(ais.steps):
        ais.update(step)
    return ais


def test_the_schedule_of_the_authors() -> None:
    betas = schedule((500, 0, 0.5), (4000, 0.5, 0.9), (10_000, 0.9, 1.0))
    assert len(betas) == 14_501
    assert betas[[0, 500, 4500, -1]].tolist() == [0.0, 0.5, 0.9, 1.0]
    assert (betas.diff() > 0).all()
    assert betas[1].item() == pytest.approx(0.001)
    assert betas[-2].item() == pytest.approx(1 - 1e-5)
    falling = [(9, 0, 0.9), (9, 0.5, 1)]
    for wrong in ([(9, 0.5, 1)], falling, [(9, 0, 2)], [(0, 0, 0.5), (9, 0, 1)], [(-5, 0, 1)]):
        with pytest.raises(ValueError, match="betas must rise from 0 to 1"):
            schedule(*wrong)


@pytest.mark.parametrize("of_data", [False, True])
def test_annealing_finds_log_z(of_data: bool) -> None:
    """Oracle: enumeration. Without any step in between, the mean weight is right too."""
    rbm = small_rbm(12, 10, std=0.8)
    base = torch.linspace(-1, 1, 12) if of_data else None
    exact = rbm.log_partition()
    found = anneal(rbm, 200, 1000, 0, base).result()
    assert abs(found.log_partition - exact) < 0.2
    assert found.low < found.log_partition < found.high
    assert 20 < found.effective_chains <= 200

    easy = small_rbm(6, 5, std=0.3)
    at_once = anneal(easy, 50_000, 1, 0).result()
    assert at_once.log_partition == pytest.approx(easy.log_partition(), abs=0.02)


def test_without_weights_annealing_is_exact() -> None:
    rbm = small_rbm(6, 5)
    rbm.parameters["W"].zero_()
    rbm.parameters["b"].zero_()
    found = anneal(rbm, 7, 3, 0).result()
    assert found.log_partition == pytest.approx(rbm.log_partition(), abs=1e-5)
    assert found.effective_chains == pytest.approx(7)


def test_the_interval_covers_log_z_as_often_as_it_says() -> None:
    """40 repeats of a 95 % interval: 33 or fewer would be one chance in two hundred."""
    rbm = small_rbm(10, 8, std=0.7)
    exact = rbm.log_partition()
    results = [anneal(rbm, 100, 200, seed).result() for seed in range(40)]
    assert sum(found.low <= exact <= found.high for found in results) >= 34
    widths = torch.tensor([found.high - found.low for found in results])
    errors = torch.tensor([found.log_partition - exact for found in results])
    assert widths.mean() < 8 * errors.std()  # and is not wide for nothing


def test_annealing_goes_on_from_its_state() -> None:
    rbm = small_rbm(6, 5)
    whole = anneal(rbm, 10, 20, 3)
    generator = torch.Generator().manual_seed(3)
    betas = schedule((20, 0.0, 1.0))
    first = AIS(RBMPath(rbm), betas, 10, generator)
    for step in range(8):
        first.update(step)
    second = AIS(RBMPath(rbm), betas, 10, torch.Generator())
    second.load_state_dict(deepcopy(first.state_dict()))
    second.generator.set_state(generator.get_state())
    for step in range(8, 20):
        second.update(step)
    assert second.result() == whole.result()


@pytest.mark.parametrize("sizes", [[7, 6, 7], [6, 4, 5, 4]], ids=str)
def test_annealing_a_deep_machine_from_below_and_from_above(sizes: list[int]) -> None:
    """Oracle: enumeration. The odd layers are sampled, and the even ones summed out.

    Back from exact samples the estimate is of 1 / Z.
    """
    dbm = small_dbm(sizes, std=0.8)
    exact = dbm.log_partition()
    rbm = dbm.as_rbm()
    path, betas = RBMPath(rbm), schedule((1000, 0.0, 1.0))
    generator = torch.Generator().manual_seed(0)
    ais = AIS(path, betas, 200, generator)
    for step in range(ais.steps):
        ais.update(step)
    below = ais.result()
    assert abs(below.log_partition - exact) < 0.1

    p_v = Enumerated(rbm).log_p_v.exp()
    drawn = torch.multinomial(p_v, 200, replacement=True, generator=generator)
    v = Enumerated(rbm).v[drawn].float()
    back = AIS(Reversed(path, path.from_samples(v)), betas.flip(0), 200, generator)
    for step in range(back.steps):
        back.update(step)
    above = from_above(path, back.result())
    assert abs(above.log_partition - exact) < 0.1
    assert above.low < above.log_partition < above.high
    with pytest.raises(ValueError, match="7 chains from 200 samples"):
        AIS(Reversed(path, path.from_samples(v)), betas.flip(0), 7, generator)


def test_few_temperatures_err_to_either_side() -> None:
    """On average over repeats: Jensen's inequality, from below and from above."""
    rbm = small_rbm(8, 7, std=5.0)
    exact, path, betas = rbm.log_partition(), RBMPath(rbm), schedule((2, 0.0, 1.0))
    enumerated, generator = Enumerated(rbm), torch.Generator().manual_seed(0)
    p_v = enumerated.log_p_v.exp()
    errors: dict[str, list[float]] = {"below": [], "above": []}
    for _ in range(60):
        v = enumerated.v[torch.multinomial(p_v, 5, replacement=True, generator=generator)].float()
        forth = AIS(path, betas, 5, generator)
        back = AIS(Reversed(path, path.from_samples(v)), betas.flip(0), 5, generator)
        for step in range(forth.steps):
            forth.update(step)
            back.update(step)
        errors["below"].append(forth.result().log_partition - exact)
        errors["above"].append(from_above(path, back.result()).log_partition - exact)
    below, above = (torch.tensor(values) for values in errors.values())
    assert below.mean() < -3 * below.std() / 60**0.5
    assert above.mean() > 3 * above.std() / 60**0.5
