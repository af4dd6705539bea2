"""Bernoulli draws: every random word enumerated, and frequencies against the binomial."""

import numpy as np
import pytest
import torch

from dgm.fast import draws
from dgm.fast.draws import bernoulli
from dgm.fast.loops import random_words


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def every_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of random numbers, each of the 2^16 that a draw can be made of, once."""

    def words(seed: int, n: int) -> np.ndarray:
        return np.arange(-(2**15), 2**15).astype(np.int16).view(np.int64)

    monkeypatch.setattr(draws, "random_words", words)


def test_words_are_splitmix64s() -> None:
    """Oracle: the first outputs of the reference implementation (Vigna, splitmix64.c)."""
    of_1234567 = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    assert [word % 2**64 for word in random_words(1234567, 5).tolist()] == of_1234567
    negative = [word % 2**64 for word in random_words(-1, 3).tolist()]
    z, expected = 2**64 - 1, []
    for _ in range(3):
        z = (z + 0x9E3779B97F4A7C15) % 2**64
        word = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        word = (word ^ (word >> 27)) * 0x94D049BB133111EB % 2**64
        expected.append(word ^ (word >> 31))
    assert negative == expected


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_probabilities_are_rounded_to_multiples_of_one_65536th(
    every_word: None, dtype: torch.dtype
) -> None:
    for k in (0, 1, 2, 3, 1000, 21845, 32767, 32768, 32769, 65533, 65535, 65536):
        for offset in (-0.49, 0, 0.49):
            p = min(max((k + offset) / 65536, 0), 1)
            drawn = bernoulli(torch.full((65536,), p, dtype=dtype), seeded())
            assert drawn.dtype == dtype
            assert drawn.sum() == k


def test_never_and_always() -> None:
    p = torch.tensor([0.0, 1.0]).expand(500_000, 2)
    assert torch.equal(bernoulli(p, seeded()), p)


def test_frequencies_are_binomial() -> None:
    p = torch.rand(2000, generator=seeded(1)) * 0.98 + 0.01
    n = 2001
    drawn = bernoulli(p.expand(n, 2000), seeded(2))
    assert ((drawn == 0) | (drawn == 1)).all()
    z = (drawn.sum(0) - n * p) / (n * p * (1 - p)).sqrt()
    assert abs(z.mean()) < 3 / 2000**0.5  # three standard errors
    assert abs(z.std() - 1) < 3 / 4000**0.5


@pytest.mark.parametrize("p", [0.5, 0.1, 1 / 3, 0.999])
def test_the_four_draws_of_a_word_are_independent(p: float) -> None:
    n = 200_000
    drawn = bernoulli(torch.full((n, 4), p, dtype=torch.float64), seeded(3))
    columns = torch.cat([drawn[:-1], drawn[1:]], 1)  # and of the next word
    correlation = torch.corrcoef(columns.T) - torch.eye(8)
    correlation[range(4, 8), range(4, 8)] = 0
    assert correlation.abs().max() < 4 / n**0.5
    pattern = (drawn @ torch.tensor([1.0, 2, 4, 8], dtype=torch.float64)).long()
    ones = torch.tensor([bin(i).count("1") for i in range(16)])
    expected = n * p**ones * (1 - p) ** (4 - ones)
    assert ((torch.bincount(pattern, minlength=16) - expected).abs() < 4.5 * expected.sqrt()).all()


@pytest.mark.parametrize(
    "shape", [(), (0,), (1,), (3,), (4,), (5, 1), (3, 7), (2, 0, 3), (2, 3, 5)]
)
def test_any_shape_from_the_generators_state_alone(shape: tuple[int, ...]) -> None:
    generator = seeded(4)
    p = torch.rand(shape, generator=generator)
    given, state = p.clone(), generator.get_state()
    drawn = bernoulli(p, generator)
    after = bernoulli(p.expand(100, *shape), generator)
    assert drawn.shape == shape
    assert torch.equal(p, given)
    generator.set_state(state)
    torch.manual_seed(9)  # has no say
    assert torch.equal(bernoulli(p, generator), drawn)
    again = bernoulli(p.expand(100, *shape), generator)
    assert torch.equal(again, after)
    assert p.numel() == 0 or set(again.flatten().tolist()) == {0, 1}  # each is a fresh draw


def test_strides_have_no_say() -> None:
    p = torch.rand(7, 9, generator=seeded(5))
    assert torch.equal(bernoulli(p.T, seeded()), bernoulli(p.T.contiguous(), seeded()))
