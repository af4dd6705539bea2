"""Gaussians fitted to a density by either direction of the Kullback-Leibler divergence.

P = N(m, L L^T) is the model and Q the data:

    KL(P || Q) = E_P[log p - log q]     seeks modes: P is 0 where Q is
    KL(Q || P) = E_Q[log q - log p]     covers Q

Both are integrals on a grid: the first over u in x = m + L u, u ~ N(0, I), the second over x. L is
lower triangular, or diagonal where the model is factorised (Bishop 2006, section 10.1.2).
"""

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from dgm.data.mixture import Mixture
from dgm.inference.quadrature import Grid, grid

Direction = Literal["model_data", "data_model"]  # KL(P || Q), KL(Q || P)
REACH, POINTS = 8.0, 81  # of u, in standard deviations on either side, and points a side
ITERATIONS = 300  # of L-BFGS, at most


class Gaussian(NamedTuple):
    """What a fit gives; the divergence in nats."""

    mean: Tensor  # (d,)
    covariance: Tensor  # (d, d)
    divergence: float


def fit(
    data: Mixture, direction: Direction, factorised: bool, start: Tensor, over: Grid
) -> Gaussian:
    """The Gaussian at the local optimum to which L-BFGS comes from N(start, I).

    `over` covers the data; the divergence KL(Q || P) is integrated on it.
    """
    d = len(start)
    mean = start.clone().requires_grad_()
    factor = torch.zeros_like(data.covariances[0]).requires_grad_()  # the diagonal's logarithm
    optimizer = torch.optim.LBFGS(
        [mean, factor],
        max_iter=ITERATIONS,
        tolerance_grad=1e-11,
        tolerance_change=1e-14,
        line_search_fn="strong_wolfe",
    )
    standard = grid([-REACH] * d, [REACH] * d, POINTS, start.device)
    weights = standard.weights * _log_standard(standard.points).exp()
    log_q = data.log_density(over.points)
    q = log_q.exp()

    def lower() -> Tensor:
        below = torch.zeros_like(factor) if factorised else factor.tril(-1)
        return torch.diag_embed(factor.diagonal().exp()) + below

    def divergence() -> Tensor:
        L, log_det = lower(), factor.diagonal().sum()
        if direction == "model_data":
            x = mean + standard.points @ L.T
            entropy = log_det + 0.5 * d * (1 + math.log(2 * math.pi))
            return -entropy - weights @ data.log_density(x)
        white = torch.linalg.solve_triangular(L, (over.points - mean).T, upper=False).T
        return over.integral(q * (log_q - _log_standard(white) + log_det))

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = divergence()
        loss.backward()
        return loss

    with torch.enable_grad():
        optimizer.step(closure)
    L = lower().detach()
    return Gaussian(mean.detach(), L @ L.T, float(divergence().detach()))


def _log_standard(u: Tensor) -> Tensor:
    """log N(u; 0, I) of rows of u."""
    return -0.5 * (u.square().sum(1) + u.shape[1] * math.log(2 * math.pi))
