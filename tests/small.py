"""Nets small enough to enumerate, and all there is to show them."""

import itertools

import torch
from torch import Tensor
from torch.nn.functional import softplus

from dgm.models.dbm import DBM
from dgm.models.dbn import DBN
from dgm.models.rbm import RBM
from dgm.models.sigmoid_belief_net import SigmoidBeliefNet


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


def small_net(
    visible: int = 4, hidden: tuple[int, ...] = (3, 2), std: float = 1.0, undirected: bool = False
) -> SigmoidBeliefNet:
    net = SigmoidBeliefNet(visible, hidden, undirected)
    net.flat.normal_(0.0, std, generator=torch.Generator().manual_seed(0))
    return net


def every_state(net: SigmoidBeliefNet, x: Tensor) -> list[Tensor]:
    """[x, h_1, .., h_L] with one image in all rows and every hidden state in one."""
    h = all_states(sum(net.sizes[1:]))
    parts = [part.contiguous() for part in h.split(net.sizes[1:], 1)]
    return [x.expand(len(h), -1).contiguous(), *parts]


def log_joint(net: SigmoidBeliefNet, states: list[Tensor]) -> Tensor:
    """log p(x, h) by its definition, in double precision; unnormalised with an undirected top."""
    s = [state.double() for state in states]
    total = s[-1] @ net.prior["b"].double()
    if not net.undirected_top:
        total = total - softplus(net.prior["b"].double()).sum()
    for number, layer in enumerate(net.generative):
        pre = layer["b"].double() + s[number + 1] @ layer["W"].double()
        total = total + (s[number] * pre).sum(1)
        if not (net.undirected_top and number == net.layers - 1):
            total = total - softplus(pre).sum(1)
    return total


def gradient_of(net: SigmoidBeliefNet, value: Tensor) -> Tensor:
    """d value / d(all parameters) by autograd, as `net.gradient` lies."""
    order = [*net.generative, net.prior, *net.recognition]
    leaves = [part[name] for part in order for name in part.shapes]
    found = torch.autograd.grad(value, leaves, allow_unused=True)
    pairs = zip(leaves, found, strict=True)
    return torch.cat([(torch.zeros_like(x) if g is None else g).flatten() for x, g in pairs])


def watched(net: SigmoidBeliefNet) -> SigmoidBeliefNet:
    """A copy whose parameters are leaves of autograd."""
    copy = SigmoidBeliefNet(net.sizes[0], net.sizes[1:], net.undirected_top)
    copy.flat.copy_(net.flat)
    for part in (*copy.generative, copy.prior, *copy.recognition):
        for name in part.shapes:
            part._values[name] = part[name].clone().requires_grad_()
    return copy
