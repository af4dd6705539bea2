"""Sigmoid belief nets (Neal 1992), with a recognition net as of a Helmholtz machine.

    p(x, h_1, .., h_L) = p(x|h_1) p(h_1|h_2) .. p(h_{L-1}|h_L) p(h_L)
    p(h_l = 1|h_{l+1}) = sigmoid(b_l + h_{l+1} W_l),   h_0 = x,   p(h_L = 1) = sigmoid(b_L)
    q(h_1, .., h_L|x) = q(h_1|x) q(h_2|h_1) .. q(h_L|h_{L-1}), likewise with weights up

With an undirected top the last two factors are an RBM, up to its log Z:

    p*(h_{L-1}, h_L) = exp(b_{L-1} h_{L-1} + h_L W_{L-1} h_{L-1} + b_L h_L) .

`states` are [x, h_1, .., h_L], each (rows, units). Units: nats, per row.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from dgm.fast.draws import bernoulli
from dgm.fast.loops import bernoulli_terms
from dgm.models.dbn import conditional
from dgm.models.parameters import FlatModel, Parameters, concatenate
from dgm.models.rbm import RBM, log_odds


class Terms(NamedTuple):
    """log p of each layer's states given the next layer's, (rows,) each, from x up; and the
    derivatives by the layers' inputs, s - mean, (rows, units) each."""

    log_p: list[Tensor]
    errors: list[Tensor]


class Particles(NamedTuple):
    """Draws of q(h|x), several successive rows an image: states, p's terms and q's."""

    states: list[Tensor]
    p: Terms
    q: Terms

    def log_weights(self, images: int) -> Tensor:
        """log p(x, h) - log q(h|x), (images, particles)."""
        return torch.stack(self.p.log_p).sum(0).sub_(sum(self.q.log_p)).view(images, -1)


class SigmoidBeliefNet(FlatModel):
    """`generative[l]` from h_{l+1} to h_l, `prior` of h_L, `recognition[l]` from h_l to h_{l+1}.

    All share one vector, the generative ones first: `generative_size` of its numbers.
    """

    def __init__(
        self,
        visible: int,
        hidden: Sequence[int],
        undirected_top: bool = False,
        device: torch.device | str = "cpu",
    ) -> None:
        sizes = [visible, *hidden]
        if not hidden or min(sizes) < 1:
            raise ValueError(f"a sigmoid belief net of {visible} visible and {[*hidden]} units")
        self.config = {
            "visible": visible,
            "hidden": [*hidden],
            "undirected_top": undirected_top,
        }
        self.sizes, self.undirected_top = sizes, undirected_top
        pairs = list(pairwise(sizes))
        self.generative = [
            Parameters({"W": (up, down), "b": (down,)}, device) for down, up in pairs
        ]
        self.prior = Parameters({"b": (sizes[-1],)}, device)
        self.recognition = [Parameters({"W": (down, up), "b": (up,)}, device) for down, up in pairs]
        self.generative_size = sum(len(part.flat) for part in (*self.generative, self.prior))
        self.parameters = concatenate(*self.generative, self.prior, *self.recognition)

    @property
    def layers(self) -> int:
        return len(self.generative)

    def initialise(self, std: float, generator: torch.Generator, data: Tensor) -> None:
        """Every W ~ N(0, std^2); biases 0, but for those of x, which fit the data's means."""
        self.flat.zero_()
        for layer in (*self.generative, *self.recognition):
            layer["W"].normal_(0.0, std, generator=generator)
        self.generative[0]["b"].copy_(log_odds(data))

    def stack(self, rbms: Sequence[RBM]) -> None:
        """Copy greedily trained RBMs, from the data up."""
        for up, down, rbm in zip(self.recognition, self.generative, rbms, strict=True):
            up["W"].copy_(rbm.parameters["W"])
            up["b"].copy_(rbm.parameters["b"])
            down["W"].copy_(rbm.parameters["W"].t())
            down["b"].copy_(rbm.parameters["a"])
        self.prior["b"].copy_(rbms[-1].parameters["b"])

    def top(self) -> RBM:
        """The RBM that the highest two layers are, where the top is undirected (a copy)."""
        layer = self.generative[-1]
        rbm = RBM(self.sizes[-2], self.sizes[-1], self.flat.device)
        rbm.parameters["W"].copy_(layer["W"].t())
        rbm.parameters["a"].copy_(layer["b"])
        rbm.parameters["b"].copy_(self.prior["b"])
        return rbm

    def input(self, number: int, states: Sequence[Tensor]) -> Tensor:
        """What layer `number` gets from above, (rows, units): its log odds under p."""
        if number == self.layers:
            return self.prior["b"].repeat(len(states[number]), 1)
        layer = self.generative[number]
        return torch.addmm(layer["b"], states[number + 1], layer["W"])

    def dream(self, rows: int, generator: torch.Generator) -> list[Tensor]:
        """States drawn from p, from the top down. Not of an undirected top."""
        mean = self.prior["b"].sigmoid().expand(rows, -1)
        states = [bernoulli(mean, generator)]
        for layer in reversed(self.generative):
            states.append(bernoulli(conditional(layer, states[-1]), generator))
        return states[::-1]

    def p_terms(self, states: Sequence[Tensor]) -> Terms:
        """Of log p(x, h). x may have fewer rows: each belongs to several successive ones."""
        errors = [self.input(number, states) for number in range(self.layers + 1)]
        log_p = [bernoulli_terms(pre, of) for pre, of in zip(errors, states, strict=True)]
        return Terms(log_p, errors)

    def q_terms(self, states: Sequence[Tensor]) -> Terms:
        """Of log q(h|x)."""
        pairs = zip(self.recognition, states, strict=False)
        errors = [torch.addmm(layer["b"], below, layer["W"]) for layer, below in pairs]
        log_q = [bernoulli_terms(pre, of) for pre, of in zip(errors, states[1:], strict=True)]
        return Terms(log_q, errors)

    def recognise(self, x: Tensor, particles: int, generator: torch.Generator) -> Particles:
        """Draw h ~ q(h|x) that many times for each image x (n, visible); rows: n x particles."""
        states, log_q, errors = [x], [], []
        for layer in self.recognition:
            pre = torch.addmm(layer["b"], states[-1], layer["W"])
            if len(states) == 1 and particles > 1:
                pre = pre.repeat_interleave(particles, 0)
            states.append(bernoulli(pre.sigmoid(), generator))
            log_q.append(bernoulli_terms(pre, states[-1]))
            errors.append(pre)
        return Particles(states, self.p_terms(states), Terms(log_q, errors))

    def generative_gradient(self, states: Sequence[Tensor], p: Terms, weights: Tensor) -> None:
        """Write d/dtheta of sum_rows weights log p(x, h): the delta rule; `weights` (rows,)."""
        for layer, above, error in zip(self.generative, states[1:], p.errors, strict=False):
            torch.mm((above * weights[:, None]).t(), error, out=layer.grad["W"])
        for part, error in zip((*self.generative, self.prior), p.errors, strict=True):
            torch.mv(error.t(), weights, out=part.grad["b"])

    def recognition_gradient(
        self, states: Sequence[Tensor], q: Terms, weights: Sequence[Tensor], keep: float = 0.0
    ) -> None:
        """Write d/dphi of sum_rows weights_l log q(h_l|h_{l-1}) over the layers, for `weights` of
        each layer (rows,), plus `keep` times the gradient that was there."""
        for layer, below, error, of in zip(
            self.recognition, states, q.errors, weights, strict=False
        ):
            weighted = error * of[:, None]
            if len(below) < len(weighted):  # x: its particles' errors meet the same pixels
                weighted = weighted.view(len(below), -1, weighted.shape[1]).sum(1)
            layer.grad["W"].addmm_(below.t(), weighted, beta=keep)
            layer.grad["b"].mul_(keep).add_(weighted.sum(0))
