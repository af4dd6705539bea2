"""Learning by the sign of a difference of counts (Ackley, Hinton & Sejnowski 1985, section 3).

A cycle clamps each pattern, with noise, anneals the hidden units and counts how often units are on
together; lets the whole machine run free as often, and counts again; and moves

    w_ij by step * sign(n_ij clamped - n_ij free),   b_i likewise with n_ii .

Then both shrink by the factor 1 - decay. Many machines that differ in nothing but their random
numbers learn side by side. They stay on the CPU. Shapes: weights (machines, units, units), biases
(machines, units), patterns (patterns, visible). Weights, biases and temperatures have one unit.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from dgm.fast.draws import bernoulli, seed_of
from dgm.fast.loops import gibbs
from dgm.inference.annealing import Schedule, inverse_temperatures
from dgm.models.connections import encoder
from dgm.state import State


class Protocol(NamedTuple):
    """How a cycle collects its counts: `repeats` annealings of each pattern, a count at each of
    `counted` units of time; and the probabilities that a bit of a pattern is turned over, drawn
    anew for each annealing."""

    schedule: Schedule
    repeats: int = 2
    counted: int = 10
    on_to_off: float = 0.15
    off_to_on: float = 0.05


class Encoders(State):
    """Machines of two visible groups of `side` units and `hidden` units, all weights 0 at first."""

    saved = ("weights", "biases")

    def __init__(
        self,
        machines: int,
        side: int,
        hidden: int,
        generator: torch.Generator,
        step: float = 2.0,
        decay: float = 0.0,
    ) -> None:
        units = 2 * side + hidden
        self.side, self.hidden, self.generator = side, hidden, generator
        self.step, self.decay = step, decay
        self.weights = torch.zeros(machines, units, units)
        self.biases = torch.zeros(machines, units)
        self.connected = torch.eye(units)  # and the biases, on the diagonal
        i, j = torch.tensor(encoder(side, hidden)).T
        self.connected[i, j] = self.connected[j, i] = 1
        self.patterns = torch.eye(side).repeat(1, 2)  # the same unit is on in V1 and V2

    def update(
        self, protocol: Protocol, learning: Tensor, hidden: bool = True, pace: float = 1.0
    ) -> None:
        """One cycle of the machines `learning` (indices); without `hidden`, of the visible groups
        alone. Step and decay are multiplied by `pace`."""
        W, b, visible = self.weights[learning], self.biases[learning], 2 * self.side
        units = torch.arange(W.shape[1] if hidden else visible)
        clamped = self._noisy(protocol, len(W))
        betas = inverse_temperatures(protocol.schedule, protocol.counted)
        _, data = self._anneal(W, b, clamped, units[visible:], betas, protocol.counted)
        _, model = self._anneal(W, b, clamped, units, betas, protocol.counted)
        moved = pace * self.step * self.connected * torch.sign(data - model)
        if not hidden:
            moved[:, visible:] = moved[:, :, visible:] = 0
        of_biases = moved.diagonal(dim1=1, dim2=2)
        kept = 1 - pace * self.decay
        self.biases[learning] = kept * (b + of_biases)
        self.weights[learning] = kept * (W + moved - torch.diag_embed(of_biases))

    def _noisy(self, protocol: Protocol, machines: int) -> Tensor:
        """Patterns with noise, (machines, annealings, visible)."""
        on = torch.where(self.patterns > 0, 1 - protocol.on_to_off, protocol.off_to_on)
        shape = (machines, protocol.repeats, *on.shape)
        return bernoulli(on.expand(shape).contiguous(), self.generator).flatten(1, 2)

    def _anneal(
        self, W: Tensor, b: Tensor, visible: Tensor, free: Tensor, betas: list[float], counted: int
    ) -> tuple[Tensor, Tensor]:
        """States after annealing the free units from random ones, and how often units were on
        together at the last `counted` temperatures."""
        machines, chains, n = visible.shape
        states = torch.zeros(machines, chains, W.shape[1])
        states[:, :, :n] = visible
        half = torch.full((machines, chains, len(free)), 0.5)
        states[:, :, free] = bernoulli(half, self.generator)
        counts = gibbs(W, b, states, free, betas, seed_of(self.generator), counted)
        return states, counts

    def completes(self, schedule: Schedule, machines: Tensor) -> Tensor:
        """Whether V2 shows just the pattern that is clamped to V1, after annealing the rest:
        (machines, patterns), of the machines with these indices."""
        W, b, side = self.weights[machines], self.biases[machines], self.side
        patterns = self.patterns.expand(len(W), -1, -1)
        free, betas = torch.arange(side, W.shape[1]), inverse_temperatures(schedule)
        states, _ = self._anneal(W, b, patterns, free, betas, 0)
        return (states[:, :, side : 2 * side] == patterns[:, :, side:]).all(2)

    def codes(self) -> Tensor:
        """The most probable hidden states given each pattern on both sides, (machines, patterns,
        hidden)."""
        visible = 2 * self.side
        W, b = self.weights[:, :visible, visible:], self.biases[:, None, visible:]
        return (self.patterns @ W + b > 0).float()

    def distinct(self) -> Tensor:
        """How many different codes each machine has, (machines,)."""
        numbers = (self.codes() * 2.0 ** torch.arange(self.hidden)).sum(2).sort(1).values
        return 1 + (numbers.diff(dim=1) > 0).sum(1)
