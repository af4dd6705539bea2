"""Nets small enough to enumerate, and all there is to show them."""

import itertools

import torch
from torch import Tensor

from dgm.models.dbm import DBM
from dgm.models.dbn import DBN
from dgm.models.rbm import RBM


def all_states(n: int) -> Tensor:
    return torch.tensor(list(itertools.product([0.0, 1.0], repeat=n)))


def small_rbm(visible: int = 5, hidden: int = 4, std: float = 1.0, seed: int = 0) -> RBM:
    generator = torch.Generator().manual_seed(seed)
    rbm = RBM(visible, hidden)
    rbm.flat.normal_(0.0, std, generator=generator)
    return rbm


def bars_and_stripes(side: int) -> Tensor:
    """Every image whose rows are all alike or whose columns are."""
    rows = all_states(side)[:, :, None].expand(-1, side, side)
    both = torch.cat([rows, rows.mT]).reshape(-1, side * side)
    return torch.unique(both, dim=0)


def joint(rbm: RBM) -> tuple[Tensor, Tensor, Tensor]:
    """All v, all h, and p(v, h) by the definition of the energy."""
    p = {name: rbm.parameters[name].double() for name in ("W", "a", "b")}
    v, h = (all_states(len(p[name])).double() for name in ("a", "b"))
    minus_energy = v @ p["W"] @ h.T + (v @ p["a"])[:, None] + (h @ p["b"])[None]
    return v, h, torch.softmax(minus_energy.flatten(), 0).view_as(minus_energy)


def small_dbn(std: float = 0.5) -> tuple[DBN, torch.Generator]:
    generator = torch.Generator().manual_seed(0)
    dbn = DBN(visible=6, hidden=[5, 4], top=7, labels=3)
    dbn.flat.normal_(0.0, std, generator=generator)
    return dbn, generator


def cases(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    x = (torch.rand(n, 6, generator=generator) < 0.5).float()
    return x, torch.eye(3)[torch.randint(3, (n,), generator=generator)]


def small_dbm(sizes: list[int], std: float = 1.0, seed: int = 0) -> DBM:
    dbm = DBM(sizes)
    dbm.flat.normal_(0.0, std, generator=torch.Generator().manual_seed(seed))
    return dbm
