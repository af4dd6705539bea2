"""Neural variational inference and learning (Mnih & Gregor 2014).

Ascends the bound E_q[log p(x, h) - log q(h|x)], by one draw h ~ q(h|x) of each image. What layer
h_l could change of it is its learning signal,

    s_l = log p(h_{l-1}, h_l, .., h_L) - log q(h_l, .., h_L|h_{l-1}),   h_0 = x,

    dtheta = d log p(x, h)
    dphi = sum_l (s_l - C_l(h_{l-1}) - c_l) / max(1, sd_l) d log q(h_l|h_{l-1}) .

The baselines C_l, each a net with one hidden layer, learn by least squares; c_l and sd_l are
running means of what they leave and of its standard deviation. The baselines lower the variance
and change no mean.
"""

from typing import Any

import torch
from torch import Tensor

from dgm.learning.adam import Adam
from dgm.models.mlp import MLP
from dgm.models.parameters import concatenate
from dgm.models.sigmoid_belief_net import SigmoidBeliefNet
from dgm.state import State

KEEP = 0.8  # of the running means, at an update


class NVIL(State):
    """Ascends by Adam, net and baselines alike. `offset` and `variance` (layers, 1): c and sd^2."""

    momentum = 0.0  # there is none; `epochs` reads and sets it

    def __init__(
        self, net: SigmoidBeliefNet, baseline_units: int, rate: float, generator: torch.Generator
    ) -> None:
        self.net, self.rate, self.generator = net, rate, generator
        device = net.flat.device
        below = net.sizes[:-1]
        self.baselines = [MLP([n, baseline_units, 1], device) for n in below]
        whole = concatenate(*(baseline.parameters for baseline in self.baselines))
        for baseline in self.baselines:
            baseline.initialise(generator)
        self.optimisers = [Adam(net.flat, rate), Adam(whole.flat, rate)]
        self.gradients = [net.parameters, whole]
        self.offset = torch.zeros(net.layers, 1, device=device)
        self.variance = torch.zeros(net.layers, 1, device=device)

    def update(self, x: Tensor, indices: Tensor) -> Tensor:
        """One step on a minibatch x (batch, visible); the estimated mean bound."""
        bound = self.gradient(x)
        for optimiser, of in zip(self.optimisers, self.gradients, strict=True):
            optimiser.rate = self.rate
            optimiser.ascend(of.gradient)
        return bound

    def gradient(self, x: Tensor) -> Tensor:
        """Write the gradients of net and baselines, mean over x (n, visible)."""
        net, n = self.net, len(x)
        found = net.recognise(x, 1, self.generator)
        signal = self._signals(found.p.log_p, found.q.log_p)
        hidden = [
            baseline.hidden(below)
            for baseline, below in zip(self.baselines, found.states, strict=False)
        ]
        of_baselines = zip(self.baselines, hidden, strict=True)
        predicted = [baseline.output(states[-1])[:, 0] for baseline, states in of_baselines]
        left = signal - torch.stack(predicted)
        self.offset.lerp_(left.mean(1, keepdim=True), 1 - KEEP)
        self.variance.lerp_(left.var(1, unbiased=False, keepdim=True), 1 - KEEP)
        left -= self.offset
        for baseline, below, states, error in zip(
            self.baselines, found.states, hidden, left, strict=False
        ):
            baseline.backward(below, states, error[:, None].contiguous(), scale=1 / n)
        scaled = left / self.variance.sqrt().clamp_min(1) / n
        net.generative_gradient(found.states, found.p, x.new_full((n,), 1 / n))
        net.recognition_gradient(found.states, found.q, list(scaled))
        return signal[0].mean()

    @staticmethod
    def _signals(log_p: list[Tensor], log_q: list[Tensor]) -> Tensor:
        """s_l of each hidden layer, (layers, n), the lowest first."""
        terms = torch.stack(log_p[:-1]) - torch.stack(log_q)
        return terms.flip(0).cumsum(0).flip(0) + log_p[-1]

    def state_dict(self) -> dict[str, Any]:
        state: dict[str, Any] = {"offset": self.offset, "variance": self.variance}
        state["baselines"] = self.gradients[1].flat
        for name, optimiser in zip(("net", "of_baselines"), self.optimisers, strict=True):
            state |= {f"{name}.{key}": value for key, value in optimiser.state_dict().items()}
        return state
