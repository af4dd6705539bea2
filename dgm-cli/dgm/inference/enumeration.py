"""Exact distributions, Gibbs chains and gradients of a small RBM, and a small net's likelihood.

States are numbered by their binary digits, lowest unit first, as in `dgm.models.rbm.states`.
Everything is in double precision and on the CPU, wherever the RBM is. Costs grow as
2^(visible + hidden), with a limit of 20 units.
"""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from dgm.models.rbm import RBM, states
from dgm.models.sigmoid_belief_net import SigmoidBeliefNet

MOST = 20  # units, visible and hidden together


class Enumerated:
    """All states `v` (2^visible, visible) and `h` (2^hidden, hidden) of an RBM with binary units.

    `up[v, h]` = p(h|v) and `down[h, v]` = p(v|h) are the two halves of a Gibbs step.
    """

    def __init__(self, rbm: RBM) -> None:
        W, a, b = (rbm.parameters[name].double().cpu() for name in ("W", "a", "b"))
        if sum(W.shape) > MOST:
            raise ValueError(f"enumerating {sum(W.shape)} units: more than {MOST} is too many")
        self.v, self.h = (states(torch.arange(2 ** len(x)), len(x)) for x in (a, b))
        self.up_mean = torch.sigmoid(self.v @ W + b)  # E[h|v]
        self.log_up = log_bernoulli(self.v @ W + b, self.h)
        self.log_down = log_bernoulli(self.h @ W.t() + a, self.v)
        self.up, self.down = self.log_up.exp(), self.log_down.exp()
        minus_energy = self.v @ W @ self.h.t() + (self.v @ a)[:, None] + self.h @ b
        log_joint = minus_energy - torch.logsumexp(minus_energy.flatten(), 0)
        self.log_p_v, self.log_p_h = torch.logsumexp(log_joint, 1), torch.logsumexp(log_joint, 0)

    def empirical(self, x: Tensor) -> Tensor:
        """The distribution over the numbered visible states of the rows of x, (2^visible,)."""
        digits = 2 ** torch.arange(x.shape[1])
        codes = (x.cpu().long() * digits).sum(1)
        return torch.bincount(codes, minlength=len(self.v)).double() / len(x)

    def gibbs(self, p_v: Tensor, steps: int) -> Tensor:
        """The distribution of v after that many steps v -> h -> v from v ~ p_v."""
        for _ in range(steps):
            p_v = p_v @ self.up @ self.down
        return p_v

    def statistics(self, p_v: Tensor) -> Tensor:
        """<v h>, <v> and <h> under v ~ p_v and h ~ p(h|v), end to end as in `rbm.flat`."""
        weighted = p_v[:, None] * self.v
        of_h = p_v @ self.up_mean
        return torch.cat([(weighted.t() @ self.up_mean).flatten(), weighted.sum(0), of_h])

    def gradient(self, data: Tensor) -> Tensor:
        """d/dtheta of sum_v data(v) log p(v)."""
        return self.statistics(data) - self.statistics(self.log_p_v.exp())

    def contrastive_divergence(self, data: Tensor, k: int) -> Tensor:
        """The expected update direction of CD-k."""
        return self.statistics(data) - self.statistics(self.gibbs(data, k))


def fit_exactly(rbm: RBM, data: Tensor, iterations: int) -> list[Tensor]:
    """Ascend sum_v data(v) log p(v) by L-BFGS; every iteration raises it.

    `data` (2^visible,) holds the probabilities of the numbered states. Returns `rbm.flat` at the
    start and after each iteration.
    """
    from scipy.optimize import minimize

    def set_to(theta: Any) -> None:
        rbm.flat.copy_(torch.from_numpy(theta))

    def objective(theta: Any) -> tuple[float, Any]:
        set_to(theta)
        exact = Enumerated(rbm)
        return -(data @ exact.log_p_v).item(), -exact.gradient(data).numpy()

    def keep(theta: Any) -> None:
        set_to(theta)
        path.append(rbm.flat.clone())

    path: list[Tensor] = [rbm.flat.clone()]
    start = rbm.flat.double().cpu().numpy()
    options = {"maxiter": iterations, "maxfun": 100 * iterations}
    minimize(objective, start, jac=True, method="L-BFGS-B", callback=keep, options=options)
    rbm.flat.copy_(path[-1])
    return path


def log_evidence(net: SigmoidBeliefNet, x: Tensor) -> Tensor:
    """log p(x) of images x (n, visible), (n,), summing over one hidden layer's states at a time.

    Double precision, on the CPU. ValueError where two neighbouring hidden layers have more than 20
    units; an undirected top's log Z has a limit of its own.
    """
    sizes = net.sizes[1:]
    most = max(map(sum, pairwise([*sizes, 0])))
    if most > MOST:
        raise ValueError(f"enumerating {most} units of a net: more than {MOST} is too many")
    every = [x.double().cpu(), *(states(torch.arange(2**n), n) for n in sizes)]
    layers = net.generative
    if net.undirected_top:
        rbm, h = net.top(), every[-2]
        log_p = -rbm.free_energy(h.to(net.flat)).double().cpu() - rbm.log_partition()
        layers = layers[:-1]
    else:
        log_p = log_bernoulli(net.prior["b"].double().cpu()[None], every[-1])[0]
    for number in range(len(layers) - 1, -1, -1):
        W, b = (layers[number][name].double().cpu() for name in "Wb")
        down = log_bernoulli(every[number + 1] @ W + b, every[number])  # (above, below)
        log_p = torch.logsumexp(log_p[:, None] + down, 0)
    return log_p


def log_bernoulli(pre: Tensor, states: Tensor) -> Tensor:
    """log of prod_i p(s_i) for units that are on with sigmoid(pre_i): (rows of pre, states)."""
    return logsigmoid(pre) @ states.t() + logsigmoid(-pre) @ (1 - states).t()
