"""Both sides of the lemmas that make GANs and VAEs one family (Hu et al. 2018, arXiv 1706.00550).

A code y tells where x comes from, p(y) = 1/2:

    p(x|y=0) = p_g(x), the generator's density with parameters theta;   p(x|y=1) = p_data(x)

D(x) = q(y=1|x) tells data from what is generated, and q^r(y|x) = q(1-y|x) is its reverse:
q^r(0|x) = D(x), q^r(1|x) = 1 - D(x). With p_0 = (p_g + p_data) / 2 at the parameters theta_0, where
the gradient is taken, held fixed, the reverse has q^r(x|y) = q^r(y|x) p_0(x) / c_y, where c_y
normalises it.

Densities are given by their logarithms at the points of a grid, distributions of binary states by
theirs at all states. Every function is differentiable. Units: nats.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from dgm.inference.quadrature import Grid, jensen_shannon, kl

HALF = math.log(0.5)  # log p(y)

# --- Lemma 1: a GAN's generator ------------------------------------------------------------------


def generator_loss(
    logit: Callable[[Tensor], Tensor], generator: Callable[[Tensor], Tensor], over_z: Grid
) -> Tensor:
    """-E_{p(x|y) p(y)}[log q^r(y|x)] but for the data's part, which has no theta.

    -1/2 E_z[log D(g(z))], z ~ N(0, 1): half the loss -log D. The derivative goes through the points
    that are generated.
    """
    z = over_z.points[:, 0]
    p_z = (-0.5 * (z.square() + math.log(2 * math.pi))).exp()
    return -0.5 * over_z.integral(p_z * logsigmoid(logit(generator(over_z.points))))


def loss_by_density(log_g: Tensor, logits: Tensor, over: Grid) -> Tensor:
    """The same as an integral of p_g(x) log D(x); the derivative goes through the density."""
    return -0.5 * over.integral(log_g.exp() * logsigmoid(logits))


def lemma1(
    log_g: Tensor,
    log_data: Tensor,
    logits: Tensor,
    over: Grid,
    share: float = 1.0,
    frozen: bool = True,
) -> Tensor:
    """sum_y p(y) KL(p(x|y) || q^r(x|y)) - JSD(p_g, p_data), JSD the mean of two KLs as usual.

    Its derivative by theta is that of `generator_loss`. It no longer is if the Jensen-Shannon
    divergence counts for another `share`, or if p_0 is not `frozen` and moves with theta.
    """
    log_0 = torch.logaddexp(log_g.detach() if frozen else log_g, log_data) + HALF
    total = -share * jensen_shannon(log_g, log_data, over)
    for log_p, log_q in ((log_g, logsigmoid(logits)), (log_data, logsigmoid(-logits))):
        joint = log_q + log_0
        log_c = over.integral(joint.exp()).log()
        total = total + 0.5 * kl(log_p, joint - log_c, over)
    return total


def at_the_best(log_g: Tensor, log_data: Tensor, over: Grid) -> Tensor:
    """1/2 KL(p_g || p_data) - JSD(p_g, p_data).

    Its derivative is that of `generator_loss` where D = p_data / (p_g + p_data) at theta_0 and is
    frozen (Hu et al., equation 8; Arjovsky & Bottou 2017, Theorem 2.5, twice as much).
    """
    return 0.5 * kl(log_g, log_data, over) - jensen_shannon(log_g, log_data, over)


# --- Lemma 2: a VAE ------------------------------------------------------------------------------
#
# Tables of all states: log p(x, z) and log q(z|x) are (z, x); distributions of x are (x,).


def evidence(log_joint: Tensor, data: Tensor) -> Tensor:
    """E_data[log p(x)]."""
    return data @ log_joint.logsumexp(0)


def posterior_gap(log_joint: Tensor, log_q: Tensor, data: Tensor) -> Tensor:
    """E_data[KL(q(z|x) || p(z|x))]: by how much the bound is below the evidence."""
    log_posterior = log_joint - log_joint.logsumexp(0)
    return data @ (log_q.exp() * (log_q - log_posterior)).sum(0)


def bound(log_joint: Tensor, log_q: Tensor, data: Tensor) -> Tensor:
    """The lower bound E_data E_q[log p(x, z) - log q(z|x)]."""
    return data @ (log_q.exp() * (log_joint - log_q)).sum(0)


class Known(NamedTuple):
    """What Lemma 2 has besides the VAE, and theta does not move."""

    generated: Tensor  # p_g(x) at theta_0
    log_joint: Tensor  # log p(x, z|y=1) = log p_data(x) + log p(z)
    log_q: Tensor  # log q(z|x,y=1)


def lemma2(
    log_joint: Tensor, log_q: Tensor, data: Tensor, known: Known, normalised: bool
) -> Tensor:
    """-2 E_{p_0(x)}[KL(q(z|x,y) q^r(y|x) || p(z,y|x))], D perfect.

    D knows where each x is from, so q^r puts all data on y = 0, where p(x, z) is the VAE's
    (`log_joint`) and q(z|x) its encoder, and all that is generated on y = 1.

    Not `normalised`, the joint p(x|z,y) p(z) p(y) stands after the bars, and this is `bound` and a
    constant. Divided by p(x) = sum_y p(y) p(x|y) it is the posterior, as the lemma has it. What
    that takes away, 2 E_{p_0}[log p(x)], is highest at theta_0: it has no derivative there, but has
    one elsewhere.
    """
    log_x: Tensor | float = 0.0
    if normalised:
        both = torch.logaddexp(log_joint.logsumexp(0), known.log_joint.logsumexp(0))
        log_x = both + HALF
    of_data = data @ (log_q.exp() * (log_joint + HALF - log_x - log_q)).sum(0)
    of_other = (known.log_q.exp() * (known.log_joint + HALF - log_x - known.log_q)).sum(0)
    return of_data + known.generated @ of_other
