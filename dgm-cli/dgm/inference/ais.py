"""Annealed importance sampling of partition functions and of evidence (Neal 2001).

A path of unnormalised densities p*_beta(x) leads from one at beta = 0, which can be sampled and
whose log Z_0 is known, to the one of interest at beta = 1. Each of several chains starts at an
exact sample of the first and moves by one transition per beta that leaves p_beta as it is; its
weight w = prod_k p*_k(x_k) / p*_{k-1}(x_k) is an unbiased estimate of Z / Z_0.

A model brings its own path: `dgm.models.rbm.RBMPath`, `dgm.inference.gibbs.PosteriorPath`.
"""

import math
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from dgm.state import State

States = tuple[Tensor, ...]  # of all chains; a path may keep beside x what follows from it


class Path(Protocol):
    """Densities from beta = 0 to 1, and how chains move among the states of each."""

    @property
    def log_start(self) -> float | Tensor:
        """log Z_0, or where the chains have several targets, that of each."""
        ...

    def start(self, chains: int, generator: torch.Generator) -> States:
        """Exact samples of beta = 0."""
        ...

    def log_ratio(self, states: States, before: float, after: float) -> Tensor:
        """log p*_after(x) - log p*_before(x) of each chain, (chains,)."""
        ...

    def move(self, states: States, beta: float, generator: torch.Generator) -> States:
        """One transition that leaves p_beta as it is. It may overwrite the states."""
        ...


class LogPartition(NamedTuple):
    """log Z, an interval for it, and the effective number of chains, (sum w)^2 / sum w^2.

    The interval is the mean of w plus and minus 1.96 standard errors, on the log scale: its lower
    end is -inf where the error is as large as the mean. If all chains miss a region, Z is too low,
    and nothing here shows it.
    """

    log_partition: float
    low: float
    high: float
    effective_chains: float


def schedule(*parts: tuple[int, float, float]) -> Tensor:
    """Betas from 0 to 1, in parts (number, from, to), each evenly spaced.

    The 14,500 of Salakhutdinov & Murray (2008): `schedule((500, 0, 0.5), (4000, 0.5, 0.9),
    (10_000, 0.9, 1))`. ValueError where they do not start at 0, where the chains do, or where they
    fall.
    """
    message = f"betas must rise from 0 to 1, by at least one in each part: {parts}"
    if any(n < 1 for n, _, _ in parts):
        raise ValueError(message)
    pieces = [
        torch.arange(n, dtype=torch.float64) / n * (end - start) + start for n, start, end in parts
    ]
    betas = torch.cat([*pieces, torch.ones(1, dtype=torch.float64)])
    if betas[0] != 0 or (betas.diff() < 0).any():
        raise ValueError(message)
    return betas


class AIS(State):
    """Chains with their log weights, which `update` moves from one beta to the next.

    A path of several targets, such as the posteriors of several images, has `chains` for each.
    """

    saved = ("states", "log_w")

    def __init__(self, path: Path, betas: Tensor, chains: int, generator: torch.Generator) -> None:
        self.path, self.generator = path, generator
        self.betas = betas.tolist()
        self.states = path.start(chains, generator)
        rows, device = len(self.states[0]), self.states[0].device
        self.log_w = torch.zeros(rows, dtype=torch.float64, device=device)

    @property
    def steps(self) -> int:
        return len(self.betas) - 1

    def update(self, step: int) -> None:
        """Weigh the chains between betas `step` and `step + 1`, then move them at the latter."""
        before, after = self.betas[step], self.betas[step + 1]
        self.log_w += self.path.log_ratio(self.states, before, after)
        if step + 1 < self.steps:  # after the last weight no chain needs to move
            self.states = self.path.move(self.states, after, self.generator)

    def result(self) -> LogPartition:
        """log Z after the last step, with a 95 % interval."""
        chains = len(self.log_w)
        log_mean = (torch.logsumexp(self.log_w, 0) - math.log(chains)).item()
        ratio = torch.exp(self.log_w - log_mean)  # mean 1
        error = 1.96 * ratio.std().item() / math.sqrt(chains)
        centre = float(self.path.log_start) + log_mean
        return LogPartition(
            centre,
            centre + math.log1p(-error) if error < 1 else -math.inf,
            centre + math.log1p(error),
            (ratio.sum().square() / ratio.square().sum()).item(),
        )


class Reversed:
    """A path back, from beta = 1 to 0, whose chains begin at given samples of p_1 (one a row).

    Their weights estimate Z_0 / Z without bias, so that the log Z of `from_above` is too high on
    average, as the one of the path itself is too low: together they are a check (Burda, Grosse &
    Salakhutdinov 2015; Grosse, Ghahramani & Adams 2015). It is that only as far as the samples are
    those of p_1, and where the path's `move` is reversible, as a step of block Gibbs sampling is.
    """

    log_start = 0.0

    def __init__(self, path: Path, samples: States) -> None:
        self.samples, self.log_ratio, self.move = samples, path.log_ratio, path.move

    def start(self, chains: int, generator: torch.Generator) -> States:
        if chains != len(self.samples[0]):
            raise ValueError(f"{chains} chains from {len(self.samples[0])} samples")
        return self.samples


def from_above(path: Path, back: LogPartition) -> LogPartition:
    """log Z and its interval, from the result of annealing that path back."""
    start = float(path.log_start)
    return LogPartition(
        start - back.log_partition, start - back.high, start - back.low, back.effective_chains
    )
