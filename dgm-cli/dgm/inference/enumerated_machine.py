"""Exact distributions, gradients and Gibbs sweeps of a small Boltzmann machine, by enumeration.

States are numbered by their binary digits, lowest unit first, so that the visible units are the low
digits. Everything is in double precision. Costs grow as 2^units, with a limit of 16 units.
Gradients and statistics are vectors in the order of `machine.flat`: <s_i s_j> of each connection,
then <s_i> of each unit.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache

import torch
from torch import Tensor

from dgm.models.boltzmann_machine import BoltzmannMachine
from dgm.models.rbm import states

MOST = 16  # units


class EnumeratedMachine:
    """All states `s` (2^units, units) of a machine whose first `visible` units are visible.

    ValueError for more than 16 units.
    """

    def __init__(self, machine: BoltzmannMachine, visible: int) -> None:
        if machine.units > MOST:
            raise ValueError(f"enumerating {machine.units} units: more than {MOST} is too many")
        self.machine, self.visible = machine, visible
        pairs = tuple((int(i), int(j)) for i, j in machine.config["connections"])
        self.s, self.products = _features(machine.units, pairs)
        minus_energy = self.products @ machine.flat.double()
        self.log_partition = torch.logsumexp(minus_energy, 0).item()
        self.log_p = minus_energy - self.log_partition
        by_visible = self.log_p.view(-1, 2**visible)  # (hidden states, visible states)
        self.log_p_v = torch.logsumexp(by_visible, 0)
        self.log_posterior = by_visible - self.log_p_v  # log p(h|v)

    def empirical(self, x: Tensor) -> Tensor:
        """The distribution over the numbered visible states of the rows of x, (2^visible,)."""
        codes = (x.long() * 2 ** torch.arange(self.visible)).sum(1)
        return torch.bincount(codes, minlength=2**self.visible).double() / len(x)

    def clamped(self, data: Tensor) -> Tensor:
        """data(v) p(h|v) of every state, (2^units,)."""
        return (data * self.log_posterior.exp()).flatten()

    def uniform(self, data: Tensor | None = None) -> Tensor:
        """Of every state: the same probability; with `data`, data(v) times it for the hidden."""
        if data is None:
            return torch.full_like(self.log_p, 1 / len(self.s))
        return data.repeat(len(self.s) // len(data)) * len(data) / len(self.s)

    def statistics(self, p: Tensor) -> Tensor:
        """<s_i s_j> of each connection and <s_i> of each unit under p (2^units,)."""
        return p @ self.products

    def pairs(self, p: Tensor) -> Tensor:
        """<s_i s_j> of all pairs and <s_i> on the diagonal, (units, units)."""
        return self.s.t() @ (p[:, None] * self.s)

    def gradient(self, data: Tensor) -> Tensor:
        """d/dtheta of sum_v data(v) log p(v): clamped less free statistics."""
        return self.statistics(self.clamped(data) - self.log_p.exp())

    def contrastive_divergence(self, data: Tensor, k: int) -> Tensor:
        """The expected direction of learning when the free phase starts at the clamped one's
        distribution and is cut short after k sweeps over all units."""
        p = start = self.clamped(data)
        for _ in range(k):
            p = self.sweep(p, range(self.machine.units))
        return self.statistics(start - p)

    def sweep(self, p: Tensor, units: Iterable[int]) -> Tensor:
        """The distribution of s after one Gibbs sweep over these units, in their order, from p.

        A unit's new state is independent of its old one: with s_i summed out of p, it is on with
        p(s_i = 1|others).
        """
        for i in units:
            of_unit = self.log_p.view(-1, 2, 2**i)
            on = torch.sigmoid(of_unit[:, 1] - of_unit[:, 0])
            either = p.view(-1, 2, 2**i).sum(1)
            p = torch.stack([either * (1 - on), either * on], 1).flatten()
        return p

    def sweeps_needed(
        self, p: Tensor, units: range, equilibrium: Tensor, tolerance: float, most: int
    ) -> int:
        """Sweeps over these units from p until no pair's <s_i s_j> is further than `tolerance` from
        that of the equilibrium; `most` where more are needed."""
        return self._sweeps(p, units, self.pairs, equilibrium, tolerance, most)

    def clamped_sweeps(self, data: Tensor, tolerance: float, most: int) -> int:
        """Sweeps over the hidden units, from uniform ones, until they are enough for every visible
        state v that `data` holds: until no pair's <s_i s_j> given v is further than `tolerance`
        from its value at equilibrium."""
        hidden = self.machine.units - self.visible
        of_h = states(torch.arange(2**hidden), hidden)
        products = (of_h[:, :, None] * of_h[:, None]).flatten(1)  # a pair with v_i is v_i <h_j>
        there = data > 0

        def given_v(p: Tensor) -> Tensor:
            return products.t() @ p.view(-1, 2**self.visible)[:, there]

        each = torch.ones_like(data)  # every visible state alike: one column of p for each
        start, units = self.uniform(each), range(self.visible, self.machine.units)
        return self._sweeps(start, units, given_v, self.clamped(each), tolerance, most)

    def _sweeps(
        self,
        p: Tensor,
        units: range,
        statistics: Callable[[Tensor], Tensor],
        equilibrium: Tensor,
        tolerance: float,
        most: int,
    ) -> int:
        aim = statistics(equilibrium)
        for done in range(most):
            if (statistics(p) - aim).abs().max() <= tolerance:
                return done
            p = self.sweep(p, units)
        return most


@lru_cache(maxsize=4)  # as long as one machine learns, they stay the same
def _features(units: int, pairs: tuple[tuple[int, int], ...]) -> tuple[Tensor, Tensor]:
    """All states (2^units, units); and s_i s_j of each pair, then s_i, end to end."""
    s = states(torch.arange(2**units), units)
    i, j = torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).T
    return s, torch.cat([s[:, i] * s[:, j], s], 1)


def log_likelihood(flat: Tensor, machine: BoltzmannMachine, visible: int, data: Tensor) -> Tensor:
    """sum_v data(v) log p(v) by enumeration, as a function of the parameters that autograd can
    differentiate: the oracle of `EnumeratedMachine.gradient`. It shares no line with it."""
    s = states(torch.arange(2**machine.units), machine.units)
    i, j = machine.pairs
    w, b = flat.split([len(i), machine.units])
    minus_energy = (s[:, i] * s[:, j]) @ w + s @ b
    by_visible = torch.logsumexp(minus_energy.view(-1, 2**visible), 0)
    return data @ by_visible - torch.logsumexp(minus_energy, 0)
