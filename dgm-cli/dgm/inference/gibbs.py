"""Gibbs sampling of a sigmoid belief net's posterior (Neal 1992), and annealing along it.

A unit is drawn given all others: its parents, its children, and its children's other parents. Units
of one layer that share children are not independent given these, as an RBM's are: they explain each
other away, and have to be drawn one after another.
"""

import torch
from torch import Tensor
from torch.nn.functional import softplus

from dgm.fast.draws import bernoulli
from dgm.fast.loops import bernoulli_terms, sweep
from dgm.inference.ais import AIS, States
from dgm.inference.likelihood import Estimate, from_log_weights
from dgm.models.sigmoid_belief_net import SigmoidBeliefNet


def gibbs_sweep(
    net: SigmoidBeliefNet, states: list[Tensor], generator: torch.Generator, beta: float = 1.0
) -> None:
    """Draw every hidden unit of `states` once, in place, from the lowest layer up.

    It leaves p_beta(h), proportional to p(h) p(x|h_1)^beta, as it is. With an undirected top, whose
    higher layer is drawn at once, beta multiplies the weights between its two layers too.
    """
    for number, layer in enumerate(net.generative, start=1):
        below, h = states[number - 1 : number + 1]
        top = number == net.layers
        undirected = top and net.undirected_top
        scale = beta if number == 1 or undirected else 1.0
        drive = net.prior["b"].repeat(len(h), 1)
        if not top:
            drive = from_above(net, number, states[number + 1], beta)
        drive.addmm_(below, layer["W"].t(), alpha=scale)
        if undirected:
            h.copy_(bernoulli(drive.sigmoid_(), generator))
        else:
            noise = torch.rand(h.shape, generator=generator, device=h.device).logit_()
            pre = torch.addmm(layer["b"], h, layer["W"])
            sweep(h, drive, pre, layer["W"], noise, scale)


def from_above(net: SigmoidBeliefNet, number: int, above: Tensor, beta: float) -> Tensor:
    """The input of layer `number`, (rows, units), of the states of the layer above it."""
    layer, undirected = net.generative[number], net.undirected_top and number == net.layers - 1
    return torch.addmm(layer["b"], above, layer["W"], alpha=beta if undirected else 1.0)


class PosteriorPath:
    """From the prior to the posterior of each image, for AIS: p*_beta(h) = p(h) p(x|h_1)^beta.

    Its Z is p(x). The chains of all images x (n, visible) are rows: chain c of image i is row
    c n + i, and `evidence` tells the images apart. An undirected top cannot be sampled at once:
    beta multiplies its weights too, and Z is p(x) times the RBM's own Z.
    """

    def __init__(self, net: SigmoidBeliefNet, x: Tensor) -> None:
        self.net, self.x = net, x
        self.log_start = x.new_zeros(len(x), dtype=torch.float64)  # log Z_0 of each image
        if net.undirected_top:
            below, top = net.generative[-1]["b"].double(), net.prior["b"].double()
            self.log_start += softplus(top).sum()
            self.log_start += softplus(below).sum() if net.layers > 1 else x.double() @ below

    def start(self, chains: int, generator: torch.Generator) -> States:
        net = self.net
        mean = net.prior["b"].sigmoid().expand(chains * len(self.x), -1)
        states = [bernoulli(mean, generator)]
        for number in range(net.layers - 1, 0, -1):
            mean = from_above(net, number, states[0], beta=0.0).sigmoid_()
            states.insert(0, bernoulli(mean, generator))
        return tuple(states)

    def log_ratio(self, states: States, before: float, after: float) -> Tensor:
        net, x = self.net, self._images(states)
        change = torch.zeros(len(x), dtype=torch.float64, device=x.device)
        if net.undirected_top:
            below = states[-2] if net.layers > 1 else x
            change += ((states[-1] @ net.generative[-1]["W"]) * below).sum(1)
        if net.layers > 1 or not net.undirected_top:
            change += bernoulli_terms(from_above(net, 0, states[0], beta=1.0), x)
        return (after - before) * change

    def move(self, states: States, beta: float, generator: torch.Generator) -> States:
        gibbs_sweep(self.net, [self._images(states), *states], generator, beta)
        return states

    def _images(self, states: States) -> Tensor:
        return self.x.repeat(len(states[0]) // len(self.x), 1)


def evidence(annealed: AIS, path: PosteriorPath) -> Estimate:
    """log p(x) of each image (n,) after the last step; with an undirected top, log p(x) + log Z."""
    found = from_log_weights(annealed.log_w.view(-1, len(path.x)).t())
    return found._replace(log_likelihood=found.log_likelihood + path.log_start)
