"""Annealed importance sampling of an RBM's partition function (Neal 2001).

The path is that of Salakhutdinov & Murray (2008), section 4.1: from the machine with no weights
and visible biases a_0 at beta = 0 to the one of interest at beta = 1,

    log p*_beta(v) = (1 - beta) a_0 v + beta a v + sum_j log(1 + exp(beta (b + v W)_j)),
    log Z_0 = sum_i log(1 + exp(a_0)_i) + hidden log 2.

Each of several chains starts at an exact sample of beta = 0 and moves by one Gibbs step per beta;
its weight w = prod_k p*_k(v_k) / p*_{k-1}(v_k) is an unbiased estimate of Z / Z_0.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import softplus

from dgm.fast.draws import bernoulli
from dgm.models.rbm import RBM
from dgm.state import State


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

    The authors' 14,500: `schedule((500, 0, 0.5), (4000, 0.5, 0.9), (10_000, 0.9, 1))`.
    ValueError where they do not start at 0, where the chains do, or where they fall.
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
    """Chains with their log weights, which `update` moves from one beta to the next."""

    saved = ("v", "log_w")

    def __init__(
        self,
        rbm: RBM,
        betas: Tensor,
        chains: int,
        generator: torch.Generator,
        base: Tensor | None = None,
    ) -> None:
        """`base` is a_0, by default the machine's own a; the data's log odds are a better start."""
        p = rbm.parameters
        self.rbm, self.generator = rbm, generator
        self.betas = betas.tolist()
        self.base = p["a"] if base is None else base
        start = self.base.sigmoid().expand(chains, -1)
        self.v = bernoulli(start, generator)
        self.log_w = torch.zeros(chains, dtype=torch.float64, device=self.v.device)

    @property
    def steps(self) -> int:
        return len(self.betas) - 1

    def update(self, step: int) -> None:
        """Weigh the chains between betas `step` and `step + 1`, then move them at the latter."""
        p = self.rbm.parameters
        before, beta = self.betas[step], self.betas[step + 1]
        pre = torch.addmm(p["b"], self.v, p["W"])
        visible = (beta - before) * (self.v @ (p["a"] - self.base))
        hidden = softplus(beta * pre).sum(1) - softplus(before * pre).sum(1)
        self.log_w += visible.double() + hidden.double()
        if step + 1 < self.steps:  # after the last weight no chain needs to move
            h = bernoulli(pre.mul_(beta).sigmoid_(), self.generator)
            bias = (1 - beta) * self.base + beta * p["a"]
            mean = torch.addmm(bias, h, p["W"].t(), alpha=beta).sigmoid_()
            self.v = bernoulli(mean, self.generator)

    def result(self) -> LogPartition:
        """log Z after the last step, with a 95 % interval."""
        chains = len(self.log_w)
        log_z0 = softplus(self.base.double()).sum().item() + self.rbm.config["hidden"] * math.log(2)
        log_mean = (torch.logsumexp(self.log_w, 0) - math.log(chains)).item()
        ratio = torch.exp(self.log_w - log_mean)  # mean 1
        error = 1.96 * ratio.std().item() / math.sqrt(chains)
        centre = log_z0 + log_mean
        return LogPartition(
            centre,
            centre + math.log1p(-error) if error < 1 else -math.inf,
            centre + math.log1p(error),
            (ratio.sum().square() / ratio.square().sum()).item(),
        )
