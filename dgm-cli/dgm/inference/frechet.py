"""How near generated images are to real ones in the features of a classifier.

With N(m, C) fitted to the features of either set of images, the squared Frechet distance of the
two Gaussians, also called the Wasserstein-2 distance (Dowson & Landau 1982; Heusel et al. 2017), is

    |m_1 - m_2|^2 + tr(C_1) + tr(C_2) - 2 tr((C_1^1/2 C_2 C_1^1/2)^1/2)

The score of Salimans et al. (2016) is exp E_x KL(p(y|x) || p(y)), p(y) the mean of p(y|x).
"""

import torch
from torch import Tensor


def frechet_distance(x: Tensor, y: Tensor) -> float:
    """The squared distance of the Gaussians fitted to x (n, d) and y (m, d)."""
    x, y = x.double(), y.double()
    between = (x.mean(0) - y.mean(0)).square().sum()
    first, second = x.T.cov(), y.T.cov()
    half = root(first)
    # The eigenvalues of the product, as those of a symmetric matrix: it has real roots.
    overlap = torch.linalg.eigvalsh(half @ second @ half).clamp(min=0).sqrt().sum()
    return float(between + first.trace() + second.trace() - 2 * overlap)


def root(covariance: Tensor) -> Tensor:
    """The symmetric root of a covariance matrix, which may be singular."""
    values, vectors = torch.linalg.eigh(covariance)
    return (vectors * values.clamp(min=0).sqrt()) @ vectors.T


def classifier_score(log_p: Tensor) -> float:
    """exp E_x KL(p(y|x) || p(y)) from log p(y|x), (n, classes): 1 to the number of classes."""
    log_p = log_p.double()
    marginal = log_p.logsumexp(0) - torch.tensor(float(len(log_p))).log()
    return float((log_p.exp() * (log_p - marginal)).sum(1).mean().exp())
