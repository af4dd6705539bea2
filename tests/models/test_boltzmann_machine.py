"""Boltzmann machines against sums over all their states, written out."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from dgm.fast.loops import gibbs
from dgm.inference.ais import AIS, schedule
from dgm.inference.annealing import inverse_temperatures
from dgm.inference.enumerated_machine import EnumeratedMachine, log_likelihood
from dgm.models.boltzmann_machine import BoltzmannMachine, MachinePath
from dgm.models.connections import complete, encoder, pairs_of, restricted

EDGES = [[0, 1], [3, 0], [1, 4], [2, 4], [3, 4], [0, 2]]


def machine(std: float = 1.0) -> BoltzmannMachine:
    found = BoltzmannMachine(5, EDGES)
    found.flat.normal_(0.0, std, generator=torch.Generator().manual_seed(0))
    return found


def by_definition(of: BoltzmannMachine) -> dict[tuple[int, ...], float]:
    """p(s), from the energy, written out; connections as they were given."""
    w = dict(zip(map(tuple, of.config["connections"]), of.parameters["w"].tolist(), strict=True))
    b = of.parameters["b"].tolist()
    weight = {
        s: math.exp(
            sum(v * s[i] * s[j] for (i, j), v in w.items())
            + sum(map(float.__mul__, b, map(float, s)))
        )
        for s in itertools.product([0, 1], repeat=of.units)
    }
    return {s: value / sum(weight.values()) for s, value in weight.items()}


def in_order(exact: EnumeratedMachine, p: dict[tuple[int, ...], float]) -> Tensor:
    return torch.tensor([p[tuple(s)] for s in exact.s.long().tolist()], dtype=torch.float64)


# --- connections ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("connections", "said"),
    [
        ([[0, 1], [2, 2]], "unit 2 is connected to itself"),
        ([[0, 1], [1, 2], [1, 0]], "units 0 and 1 are connected twice"),
        ([[0, 5]], "no unit 5: there are 5, numbered from 0"),
        ([[-1, 2]], "no unit -1"),
        ([[0, 1, 0], [0, 0, 1], [0, 1, 0]], "not symmetric: 0 from unit 1 to 0, 1 from 0 to 1"),
        ([[0, 1, 0], [1, 1, 0], [0, 0, 0]], "unit 1 is connected to itself"),
        ([[0, 1, 0], [1, 0, 0]], "neither pairs of units nor a square matrix"),
    ],
)
def test_connections_that_make_no_machine(connections: list[list[int]], said: str) -> None:
    with pytest.raises(ValueError, match=f"^connections: .*{said}"):
        pairs_of(connections, 5)


def test_pairs_and_matrix_say_the_same() -> None:
    matrix = torch.zeros(5, 5)
    for i, j in EDGES:
        matrix[i, j] = matrix[j, i] = 1
    assert pairs_of(matrix.tolist()) == pairs_of(EDGES, 5) == sorted(map(tuple, map(sorted, EDGES)))
    of = machine()
    again = BoltzmannMachine.of(of.weights(), of.parameters["b"])
    assert torch.equal(again.flat, of.flat) and again.config == of.config


def test_the_wiring_of_1985() -> None:
    pairs = set(encoder(4, 2))
    assert len(pairs) == 2 * 6 + 8 * 2
    assert (0, 3) in pairs and (4, 7) in pairs and (0, 8) in pairs and (7, 9) in pairs
    assert not {(0, 4), (3, 7), (8, 9)} & pairs  # between V1 and V2, among hidden units
    assert set(restricted(8, 2)) < pairs and len(complete(range(4))) == 6


# --- exact ---------------------------------------------------------------------------------------


def test_distributions_and_gradient() -> None:
    of, visible = machine(), 3
    exact, p = EnumeratedMachine(of, visible), by_definition(of)
    torch.testing.assert_close(exact.log_p.exp(), in_order(exact, p), atol=1e-7, rtol=0)
    data = torch.rand(8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    data /= data.sum()
    p_v: dict[tuple[int, ...], float] = {}
    for state, value in p.items():
        p_v[state[:visible]] = p_v.get(state[:visible], 0.0) + value
    codes = {v: v[0] + 2 * v[1] + 4 * v[2] for v in p_v}
    expected = sum(data[codes[v]].item() * math.log(p_v[v]) for v in p_v)
    assert (data @ exact.log_p_v).item() == pytest.approx(expected, abs=1e-6)
    clamped = {s: data[codes[s[:3]]].item() * p[s] / p_v[s[:3]] for s in p}
    torch.testing.assert_close(exact.clamped(data), in_order(exact, clamped), atol=1e-7, rtol=0)

    flat = of.flat.double().requires_grad_()
    mean = log_likelihood(flat, of, visible, data)
    assert mean.item() == pytest.approx(expected, abs=1e-6)
    (gradient,) = torch.autograd.grad(mean, flat)
    torch.testing.assert_close(exact.gradient(data), gradient, atol=1e-12, rtol=0)


def test_a_sweep_leaves_the_machine_as_it_is_and_is_what_the_sampler_does() -> None:
    of = machine()
    exact = EnumeratedMachine(of, 3)
    torch.testing.assert_close(exact.sweep(exact.log_p.exp(), range(5)), exact.log_p.exp())
    data = exact.empirical(torch.tensor([[1, 0, 1], [0, 0, 1]]))
    assert data[5] == data[4] == 0.5
    torch.testing.assert_close(exact.sweep(exact.clamped(data), [3, 4]), exact.clamped(data))
    one = torch.zeros(32, dtype=torch.float64)
    one[21] = 1  # s = 1 0 1 0 1
    # Each draw is reversible: p(s) T(s, t) = p(t) T(t, s).
    p = exact.log_p.exp()
    there = torch.stack([exact.sweep(row, [1]) for row in torch.eye(32, dtype=torch.float64)])
    torch.testing.assert_close(p[:, None] * there, (p[:, None] * there).T)

    generator = torch.Generator().manual_seed(0)
    start = torch.tensor([1.0, 0, 1, 0, 1]).expand(100_000, 5)
    end, pairs = of.sample(start, torch.arange(5), [1.0, 1.0], generator, counted=1)
    twice = exact.sweep(exact.sweep(one, range(5)), range(5))
    numbers = (end @ 2.0 ** torch.arange(5)).long()
    found = torch.bincount(numbers, minlength=32) / len(end)
    torch.testing.assert_close(found.double(), twice, atol=0.006, rtol=0)
    torch.testing.assert_close(pairs, exact.pairs(twice), atol=0.006, rtol=0)
    clamped, _ = of.sample(start, torch.tensor([3, 4]), [1.0], generator)
    assert torch.equal(clamped[:, :3], start[:, :3])


def test_random_draws_at_a_temperature() -> None:
    """Units chosen at random, many units of time: the machine at that temperature; two machines at
    once, each with its own weights."""
    of = machine(2.0)
    W, b = of.weights().float(), of.parameters["b"]
    weights, biases = torch.stack([W, 0 * W]), torch.stack([b, 0 * b])
    states = torch.zeros(2, 20_000, 5)
    counts = gibbs(weights, biases, states, torch.arange(5), [1 / 3] * 30, seed=7, counted=5)
    of.flat.div_(3)
    exact = EnumeratedMachine(of, 3)
    frequencies = counts.double() / 100_000
    aim = exact.pairs(exact.log_p.exp())
    torch.testing.assert_close(frequencies[0], aim, atol=0.01, rtol=0)
    independent = torch.full((5, 5), 0.25, dtype=torch.float64).fill_diagonal_(0.5)
    torch.testing.assert_close(frequencies[1], independent, atol=0.01, rtol=0)


def test_sweeps_that_a_phase_needs() -> None:
    of = BoltzmannMachine(6, restricted(4, 2))
    of.flat.normal_(0.0, 2.0, generator=torch.Generator().manual_seed(0))
    exact = EnumeratedMachine(of, 4)
    data = torch.full((16,), 1 / 16, dtype=torch.float64)
    assert exact.clamped_sweeps(data, 0.01, 50) == 1  # hidden units are independent given v
    # Two hidden units that nothing else tells what to do, and want to be alike: 2 x 2 states.
    pair = BoltzmannMachine(3, [[1, 2]])
    pair.flat.copy_(torch.tensor([8.0, 0.0, -4.0, -4.0]))
    exact = EnumeratedMachine(pair, 1)
    both, p, expected = exact.log_p.exp().view(4, 2)[3].sum(), torch.full((2,), 0.5), 0
    stay = torch.sigmoid(torch.tensor(4.0))
    transition = torch.tensor([[stay, 1 - stay], [1 - stay, stay]])
    on = torch.tensor([1 - stay, stay])  # of a unit, given the other
    joint = 0.25
    while abs(joint - both) > 0.01:  # by the chain of the second unit alone
        first = p @ on
        joint, expected = (first * stay).item(), expected + 1
        p = torch.stack([1 - first, first]) @ transition
    assert exact.clamped_sweeps(torch.tensor([0.5, 0.5]).double(), 0.01, 50) == expected
    assert exact.sweeps_needed(exact.uniform(), range(3), exact.log_p.exp(), 0.01, 50) == expected
    assert exact.sweeps_needed(exact.uniform(), range(3), exact.log_p.exp(), 0.0, 3) == 3


def test_cutting_the_free_phase_short() -> None:
    of = machine()
    exact = EnumeratedMachine(of, 3)
    data = exact.empirical(torch.tensor([[1, 0, 1], [0, 0, 1]]))
    far = exact.contrastive_divergence(data, 200)
    torch.testing.assert_close(far, exact.gradient(data))
    after = exact.sweep(exact.clamped(data), range(5))
    expected = exact.statistics(exact.clamped(data)) - exact.statistics(after)
    torch.testing.assert_close(exact.contrastive_divergence(data, 1), expected)


def test_annealed_importance_sampling_of_both_partition_functions() -> None:
    of = machine()
    exact, generator = EnumeratedMachine(of, 3), torch.Generator().manual_seed(0)
    v = torch.tensor([1.0, 0.0, 1.0])

    def log_z(clamped: Tensor | None) -> float:
        ais = AIS(MachinePath(of, clamped), schedule((100, 0, 1)), 500, generator)
        for step in range(ais.steps):
            ais.update(step)
        return ais.result().log_partition

    free = log_z(None)
    assert free == pytest.approx(exact.log_partition, abs=0.05)
    assert log_z(v) - free == pytest.approx(exact.log_p_v[5].item(), abs=0.08)


# --- refused -------------------------------------------------------------------------------------


def test_more_units_than_can_be_enumerated() -> None:
    with pytest.raises(ValueError, match="enumerating 17 units: more than 16 is too many"):
        EnumeratedMachine(BoltzmannMachine(17, [[0, 1]]), 9)


@pytest.mark.parametrize("temperatures", [[10, 20], [10, 10], [10, 0], [5, -1]])
def test_temperatures_that_do_not_fall(temperatures: list[float]) -> None:
    with pytest.raises(ValueError, match="schedule: temperatures must fall and be above 0, not"):
        inverse_temperatures([(2, t) for t in temperatures])
    assert inverse_temperatures([(2, 20), (1, 10)], 2) == [0.05, 0.05, 0.1, 0.1, 0.1]
