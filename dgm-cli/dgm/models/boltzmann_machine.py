"""Boltzmann machines: binary units, any symmetric connections (Hinton & Sejnowski 1983).

    p(s) = exp(-E(s)) / Z,   -E(s) = sum over pairs i < j of w_ij s_i s_j + sum_i b_i s_i
    p(s_i = 1|others) = sigmoid(sum_j w_ij s_j + b_i)

The first units are visible (v), the others hidden (h). Shapes: s (n, units). Units: nats.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from dgm.fast.draws import seed_of
from dgm.fast.loops import gibbs
from dgm.models.connections import pairs_of
from dgm.models.parameters import FlatModel, Parameters


class BoltzmannMachine(FlatModel):
    """A weight w for each connection, in the order of `pairs`, and biases b, in one vector `flat`.

    `connections` are pairs of units, or a symmetric matrix of 0 and 1 (`dgm.models.connections`,
    whose ValueErrors it raises). It stays on the CPU: such machines are small.
    """

    parameters: Parameters

    def __init__(
        self, units: int, connections: Sequence[Sequence[float]], device: object = "cpu"
    ) -> None:
        self.units, pairs = units, pairs_of(connections, units)
        self.config = {"units": units, "connections": [list(pair) for pair in pairs]}
        self.pairs = torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).T  # (2, connections)
        self.parameters = Parameters({"w": (len(pairs),), "b": (units,)})

    @classmethod
    def of(cls, weights: Tensor, biases: Tensor) -> "BoltzmannMachine":
        """The machine of a symmetric matrix (units, units) of weights, 0 where there is none."""
        machine = cls(len(biases), pairs_of(weights.tolist(), len(biases)))
        machine.parameters["w"].copy_(weights[tuple(machine.pairs)])
        machine.parameters["b"].copy_(biases)
        return machine

    def initialise(self, std: float, generator: torch.Generator) -> None:
        """w ~ N(0, std^2), b = 0."""
        self.flat.zero_()
        self.parameters["w"].normal_(0.0, std, generator=generator)

    def weights(self) -> Tensor:
        """The symmetric matrix (units, units), in double precision."""
        w = torch.zeros(self.units, self.units, dtype=torch.float64)
        w[tuple(self.pairs)] = self.parameters["w"].double()
        return w + w.T

    def minus_energy(self, s: Tensor) -> Tensor:
        """-E(s), (n,), in double precision."""
        s = s.double()
        return 0.5 * ((s @ self.weights()) * s).sum(1) + s @ self.parameters["b"].double()

    def sample(
        self,
        s: Tensor,
        free: Tensor,
        betas: Sequence[float],
        generator: torch.Generator,
        counted: int = 0,
    ) -> tuple[Tensor, Tensor]:
        """s (n, units) after a Gibbs sweep over the units `free`, in their order, at each inverse
        temperature; and <s s^T> (units, units) over s and the last `counted` sweeps."""
        states = s.float()[None].clone()
        matrix, biases = self.weights().float()[None], self.parameters["b"][None]
        seed = seed_of(generator)
        counts = gibbs(matrix, biases, states, free, betas, seed, counted, ordered=True)
        return states[0], counts[0].double() / max(1, counted * len(s))


class MachinePath:
    """From independent units that are on with probability 1/2 to the machine, for AIS:

        p*_beta(s) = exp(-beta E(s)),   Z_0 = 2^(units that are free) .

    With `clamped` (visible,) the visible units have these values throughout, and Z is the sum over
    the hidden ones: log p(v) is the difference of two such log Z.
    """

    def __init__(self, machine: BoltzmannMachine, clamped: Tensor | None = None) -> None:
        self.machine = machine
        self.clamped = torch.zeros(0) if clamped is None else clamped
        self.free = torch.arange(len(self.clamped), machine.units)
        self.log_start = len(self.free) * math.log(2)

    def start(self, chains: int, generator: torch.Generator) -> tuple[Tensor]:
        s = torch.randint(2, (chains, self.machine.units), generator=generator).float()
        s[:, : len(self.clamped)] = self.clamped
        return (s,)

    def log_ratio(self, states: tuple[Tensor, ...], before: float, after: float) -> Tensor:
        return (after - before) * self.machine.minus_energy(states[0])

    def move(
        self, states: tuple[Tensor, ...], beta: float, generator: torch.Generator
    ) -> tuple[Tensor]:
        return (self.machine.sample(states[0], self.free, [beta], generator)[0],)
