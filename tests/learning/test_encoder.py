"""Learning by the sign of a difference of counts."""

import torch

from dgm.fast.draws import seed_of
from dgm.learning.encoder import Encoders, Protocol

SCHEDULE = [(2, 20.0), (2, 10.0)]
GENTLE = [(20, 20.0), (20, 10.0), (20, 5.0), (20, 2.0)]


def test_a_cycle_moves_each_connection_by_the_step_or_not_at_all() -> None:
    machines = Encoders(2, 4, 2, torch.Generator().manual_seed(0))
    machines.update(Protocol(SCHEDULE), torch.tensor([1]))
    W, b = machines.weights, machines.biases
    assert not W[0].any() and not b[0].any()  # only the machines that learn
    assert set(W[1].unique().tolist()) <= {-2.0, 0.0, 2.0}
    assert torch.equal(W, W.mT) and not W.diagonal(dim1=1, dim2=2).any()
    assert not W[:, :4, 4:8].any() and not W[:, 8:, 8:].any()  # V1 to V2, and among hidden units
    # At first both of two units of a group are on in every fourth free state, but seldom clamped.
    inside = ~torch.eye(4, dtype=torch.bool)
    assert (W[1, :4, :4][inside] == -2).all() and (W[1, 4:8, 4:8][inside] == -2).all()


def test_hidden_units_that_are_not_connected_yet() -> None:
    machines = Encoders(1, 4, 2, torch.Generator().manual_seed(0))
    machines.update(Protocol(SCHEDULE), torch.tensor([0]), hidden=False)
    assert machines.weights[0, :4, :4].any()
    assert not machines.weights[0, 8:].any() and not machines.biases[0, 8:].any()


def test_decay() -> None:
    machines = Encoders(1, 4, 2, torch.Generator().manual_seed(0), decay=0.25)
    machines.update(Protocol(SCHEDULE), torch.tensor([0]))
    assert set(machines.weights.unique().tolist()) <= {-1.5, 0.0, 1.5}
    assert 1.5 in machines.biases.abs()


def test_a_slower_pace_shrinks_step_and_decay() -> None:
    machines = Encoders(1, 4, 2, torch.Generator().manual_seed(0), decay=0.25)
    machines.update(Protocol(SCHEDULE), torch.tensor([0]), pace=0.5)
    assert set(machines.weights.unique().tolist()) <= {-0.875, 0.0, 0.875}
    assert 0.875 in machines.biases.abs()


def test_noise_turns_bits_over() -> None:
    machines = Encoders(500, 4, 2, torch.Generator().manual_seed(0))
    noisy = machines._noisy(Protocol(SCHEDULE), 500)
    assert noisy.shape == (500, 8, 8)
    on = machines.patterns.repeat(2, 1).expand(500, -1, -1) > 0
    assert abs(noisy[on].mean().item() - 0.85) < 0.02
    assert abs(noisy[~on].mean().item() - 0.05) < 0.01


def test_a_machine_that_knows_the_code() -> None:
    """By hand: each unit of V1 and V2 is on for one of the four states of two hidden units."""
    machines = Encoders(1, 4, 2, torch.Generator().manual_seed(0))
    codes = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    W, b = machines.weights[0], machines.biases[0]
    inside = -60.0 * (1 - torch.eye(4))
    W[:4, :4] = W[4:8, 4:8] = inside
    W[:8, 8:] = (40 * (2 * codes - 1)).repeat(2, 1)
    W[8:, :8] = W[:8, 8:].T
    b[:8] = 20 - 40 * codes.sum(1).repeat(2)
    every = torch.tensor([0])
    assert torch.equal(machines.codes()[0], codes)
    assert machines.distinct().tolist() == [4]
    shares = [machines.completes(GENTLE, every).float().mean().item() for _ in range(20)]
    assert sum(shares) / 20 > 0.95
    b[4] -= 200  # the first unit of V2 stays off
    assert machines.completes(GENTLE, every)[0].tolist()[0] is False
    W[:8, 9] = W[:8, 8]
    assert machines.distinct().tolist() == [2]


def test_a_small_encoder_is_learned_and_the_same_seed_gives_the_same() -> None:
    """2-1-2: one hidden unit, two codes."""

    def learned() -> Encoders:
        machines = Encoders(10, 2, 1, torch.Generator().manual_seed(0), decay=0.005)
        for cycle in range(200):
            noise = (0.1, 0.1) if cycle < 100 else (0.0, 0.0)
            machines.update(Protocol(SCHEDULE, 2, 10, *noise), torch.arange(10))
        return machines

    machines, again = learned(), learned()
    assert torch.equal(machines.weights, again.weights)
    assert (machines.distinct() == 2).all()
    right = torch.stack([machines.completes(GENTLE, torch.arange(10)) for _ in range(10)])
    assert right.float().mean() > 0.95


def test_seeds_have_64_bits() -> None:
    generator = torch.Generator().manual_seed(0)
    seeds = [seed_of(generator) for _ in range(100)]
    assert len(set(seeds)) == 100 and min(seeds) < -(2**62) and max(seeds) > 2**62
