"""The mean-field posterior of a deep Boltzmann machine, its bound, and classes from it.

The machine and the equations: `dgm.models.dbm`.
"""

import torch
from torch import Tensor

from dgm.inference.mean_field import mean_field
from dgm.models.dbm import DBM, DBMClassifier, Layers

BLOCK = 1000  # images at once


def posterior(dbm: DBM, v: Tensor, most: int, tolerance: float = 0.0) -> tuple[Layers, int]:
    """m_1 .. m_L of each image by mean field that starts at a pass up, and the updates it took."""
    from_below = dbm.from_below(v)
    return mean_field(lambda means: dbm.refined(from_below, means), dbm.up(v), most, tolerance)


def expected(dbm: DBM, v: Tensor, most: int, tolerance: float = 0.0) -> tuple[Tensor, Tensor]:
    """E_q[-E] + H(q) of each image, (n,), by mean field and by the pass up that it starts at.

    Less log Z, each is a lower bound on log p(v).
    """
    found, at_start = [], []
    for part in v.split(BLOCK):
        at_start.append(dbm.expected(part, dbm.up(part)))
        found.append(dbm.expected(part, posterior(dbm, part, most, tolerance)[0]))
    return torch.cat(found), torch.cat(at_start)


def activity(dbm: DBM, v: Tensor, most: int) -> list[tuple[Tensor, Tensor]]:
    """The mean over images and the standard deviation of each unit's m_l, a pair a layer."""
    parts = [posterior(dbm, part, most)[0] for part in v.split(BLOCK)]
    layers = (torch.cat(of_layer) for of_layer in zip(*parts, strict=True))
    return [(means.mean(0), means.std(0)) for means in layers]


def inputs(model: DBMClassifier, v: Tensor) -> Tensor:
    """What the net sees of each image: v and m_2, (n, visible + units)."""
    parts = [posterior(model.dbm, part, model.updates)[0][1] for part in v.split(BLOCK)]
    return torch.cat([v, torch.cat(parts)], 1)


def classify(model: DBMClassifier, v: Tensor) -> Tensor:
    """The most likely class of each image, (n,)."""
    return torch.cat([model.net.classify(inputs(model, part)) for part in v.split(BLOCK)])
