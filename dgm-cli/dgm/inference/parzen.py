"""A Parzen window's log-likelihood: a Gaussian around each sample of a model.

    log p(x) = log 1/n sum_k N(x; s_k, sigma^2 I)

as Breuleux, Bengio & Vincent (2011) judge models that can only be drawn from.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

BLOCK = 500  # images whose distances to all samples are in memory at once


def log_likelihoods(samples: Tensor, x: Tensor, bandwidths: Sequence[float]) -> Tensor:
    """log p(x) in nats for each bandwidth sigma, (bandwidths, n), from samples (k, d), x (n, d).

    In the precision of x. Distances are |x|^2 - 2 x.s + |s|^2, of points moved to the samples'
    mean so that little is lost by the difference.
    """
    centre = samples.mean(0)
    samples, d = samples - centre, samples.shape[1]
    squares = samples.square().sum(1)
    found = []
    for part in x.split(BLOCK):
        part = part - centre
        distances = torch.addmm(squares, part, samples.T, alpha=-2)
        distances.add_(part.square().sum(1, keepdim=True)).clamp_(min=0)
        rows = [(distances / (-2 * sigma**2)).logsumexp(1) for sigma in bandwidths]
        found.append(torch.stack(rows))
    constants = [
        math.log(len(samples)) + d / 2 * math.log(2 * math.pi * sigma**2) for sigma in bandwidths
    ]
    return torch.cat(found, 1) - x.new_tensor(constants)[:, None]
