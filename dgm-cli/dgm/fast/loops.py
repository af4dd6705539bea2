"""Several elementwise operations fused into one pass over memory.

Besides its matrix products, a step on a minibatch of 100 images consists of a few dozen small
operations, and on a CPU each takes as long to call as to compute. For a CPU they are compiled here
into one loop; on other devices torch's own operations compute the same.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

Units = Literal["tanh", "logistic"]


def column_sums(d: Tensor, sums: Tensor, scale: float) -> None:
    """Write `scale` times the sum of each column of d (rows, columns) into `sums` (columns,)."""
    if d.is_cpu:
        _loops().column_sums(d.numpy(), sums.numpy(), scale)
    else:
        torch.sum(d, 0, out=sums).mul_(scale)


def activation_backward(
    units: Units, hidden: Tensor, d: Tensor, sums: Tensor | None = None, scale: float = 1.0
) -> Tensor:
    """d (rows, columns) times the derivative of units in the states `hidden`, written over d:

        tanh: d (1 - hidden^2),   logistic: d hidden (1 - hidden) .

    With `sums` (columns,), `scale` times the sum of each column of the result is written there.
    """
    if sums is not None and d.is_cpu:
        loop = _loops().tanh_backward if units == "tanh" else _loops().logistic_backward
        loop(hidden.numpy(), d.numpy(), sums.numpy(), scale)
        return d
    backward = torch.ops.aten.tanh_backward if units == "tanh" else torch.ops.aten.sigmoid_backward
    backward.grad_input(d, hidden, grad_input=d)
    if sums is not None:
        column_sums(d, sums, scale)
    return d


def reparameterise(output: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """z = mean + shift and shift = std * noise, each (rows, n), for noise (rows, n).

    `output` (rows, 2 n) holds the means, then the log variances.
    """
    if output.is_cpu:
        z, shift = torch.empty_like(noise), torch.empty_like(noise)
        _loops().reparameterise(output.numpy(), noise.numpy(), z.numpy(), shift.numpy())
        return z, shift
    mean, log_variance = output.chunk(2, dim=1)
    shift = torch.exp(0.5 * log_variance).mul_(noise)
    return mean + shift, shift


def d_reparameterised(output: Tensor, shift: Tensor, g: Tensor) -> Tensor:
    """The derivative of log p(x|z) - KL(q(z|x) || N(0, I)) at `output`, (rows, 2 n).

    With g = d log p(x|z) / dz, and `shift` from `reparameterise`, both (rows, n):

        by the mean: g - mean,   by the log variance: (g * shift + 1 - var) / 2 .
    """
    if output.is_cpu:
        d = torch.empty_like(output)
        _loops().d_reparameterised(output.numpy(), shift.numpy(), g.numpy(), d.numpy())
        return d
    mean, log_variance = output.chunk(2, dim=1)
    return torch.cat([g - mean, 0.5 * (g * shift + 1 - log_variance.exp())], dim=1)


def squared_distance(x: Tensor, y: Tensor) -> Tensor:
    """|x - y|^2 of a row, mean over rows, a scalar."""
    if x.is_cpu:
        mean = x.new_empty(())
        _loops().squared_distance(x.numpy(), y.numpy(), mean.numpy())
        return mean
    return (x - y).square().sum() / len(x)


def add_prior_gradient(
    W: Tensor, gradient: Tensor, decay: float, lasso: float, smoothness: float, columns: int
) -> None:
    """Add to `gradient`, on a CPU, the derivative of the log prior of `WeightPrior`:

        -decay W - lasso sign(W) - smoothness sum_j (W_i - W_j) .

    Both (pixels, units); the sum is over the neighbours j of pixel i in an image with that many
    columns.
    """
    strengths = [np.float32(strength) for strength in (decay, lasso, smoothness)]
    _loops().add_prior_gradient(W.numpy(), gradient.numpy(), *strengths, columns)


def bernoulli_terms(pre: Tensor, states: Tensor) -> Tensor:
    """log p of each row's states (rows,), for units that are on with probability sigmoid(pre):

        sum_j s_j pre_j - log(1 + exp(pre_j)) .

    `pre` (rows, n) is overwritten by its derivative, s - sigmoid(pre). `states` (m, n) has as many
    rows, or fewer, each of which then belongs to rows / m successive rows of `pre`.
    """
    if pre.is_cpu:
        log_p = pre.new_empty(len(pre))
        _loops().bernoulli_terms(pre.numpy(), states.numpy(), log_p.numpy())
        return log_p
    if len(states) < len(pre):
        states = states.repeat_interleave(len(pre) // len(states), 0)
    log_p = (states * pre - torch.nn.functional.softplus(pre)).sum(1)
    torch.sub(states, pre.sigmoid(), out=pre)
    return log_p


def sweep(h: Tensor, drive: Tensor, pre: Tensor, W: Tensor, noise: Tensor, scale: float) -> None:
    """Draw binary units that share children, one after another, each given all others.

    `pre` (rows, children) = b + h W is the children's input and follows every change of h
    (rows, n). With F = sum_i log(1 + exp(pre_i)), unit j is on where

        drive_j - scale (F with h_j = 1 - F with h_j = 0) > noise_j,

    `noise` being log-odds of uniform numbers. A unit costs one pass over its row of W
    (n, children).
    """
    if h.is_cpu:
        tensors = (each.numpy() for each in (h, drive, pre, W, noise))
        _loops().sweep(*tensors, np.float32(scale))
        return
    softplus = torch.nn.functional.softplus
    for j in range(h.shape[1]):
        off = pre - h[:, j : j + 1] * W[j]
        change = softplus(off + W[j]).sum(1) - softplus(off).sum(1)
        h[:, j] = drive[:, j] - scale * change > noise[:, j]
        pre.copy_(off + h[:, j : j + 1] * W[j])


def random_words(seed: int, n: int) -> np.ndarray:
    """n words of 64 random bits from a seed of 64 bits: SplitMix64.

    Word i is a mix of seed + i golden, i = 1, 2 ..., and so depends on no other word.
    Steele, Lea & Flood (2014), Fast splittable pseudorandom number generators, Figure 16.
    """
    words = np.empty(n, dtype=np.int64)
    _loops().random_words(seed, words)
    return words


def less_than(words: np.ndarray, probability: Tensor) -> Tensor:
    """1 where a word of 16 random bits, -32768 .. 32767, is less than 65536 p - 32768.5, else 0.

    Of the 65536 words, round(65536 p) are. `words` (n,), at least as many as there are
    probabilities, which may have any shape, on a CPU.
    """
    drawn = torch.empty_like(probability, memory_format=torch.contiguous_format)
    _loops().less_than(words, probability.numpy().reshape(-1), drawn.numpy().reshape(-1))
    return drawn


def gibbs(
    weights: Tensor,
    biases: Tensor,
    states: Tensor,
    free: Tensor,
    betas: Sequence[float],
    seed: int,
    counted: int = 0,
    ordered: bool = False,
) -> Tensor:
    """Gibbs sampling of several machines of binary units, each with several chains; on a CPU.

    A unit of time is as many draws as there are units `free` (indices): of each in turn (`ordered`)
    or of units chosen at random. A draw turns unit i on with sigmoid(beta (W s + b)_i). There is a
    unit of time for each of `betas`. Writes the last states over `states` (machines, chains,
    units), and returns how often units were on together, (machines, units, units), over all chains
    and the last `counted` units of time.
    `weights` (machines, units, units), symmetric with zero diagonal, and `biases` (machines, units)
    are of 32 bits, as the states.
    """
    counts = torch.zeros(weights.shape)
    arrays = (x.numpy() for x in (weights, biases, states, free))
    inverse = np.array(betas, dtype=np.float64)
    _loops().gibbs(*arrays, inverse, seed, counted, ordered, counts.numpy())
    return counts


@cache
def _loops() -> Any:
    """Imported on first use: numba takes a while to import."""
    from dgm.fast import compiled

    return compiled
