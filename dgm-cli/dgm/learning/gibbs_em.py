"""Learning a sigmoid belief net from its posterior, by Gibbs sampling (Neal 1992).

E step: draw h ~ p(h|x) of each image. M step: the delta rule,

    dW_ji = h_j (s_i - sigmoid(b + h W)_i),   s_i the state of a child, h_j that of its parent.

As in Neal's, each training image keeps its chain: an update goes on from where the last visit to
the image left it, by a few sweeps. The gradient is right only where the chain has reached the
posterior.
"""

from typing import Any

import torch
from torch import Tensor

from dgm.fast.draws import bernoulli
from dgm.inference.gibbs import gibbs_sweep
from dgm.learning.adam import Adam
from dgm.models.sigmoid_belief_net import SigmoidBeliefNet
from dgm.state import State


class GibbsEM(State):
    """Ascends by Adam. `chains` (images, hidden units) are the states of all training images."""

    momentum = 0.0  # there is none; `epochs` reads and sets it

    def __init__(
        self,
        net: SigmoidBeliefNet,
        images: int,
        sweeps: int,
        rate: float,
        generator: torch.Generator,
    ) -> None:
        if sweeps < 1:
            raise ValueError(f"{sweeps} Gibbs sweeps: at least one draws the hidden units")
        self.net, self.sweeps, self.rate, self.generator = net, sweeps, rate, generator
        half = torch.full((images, sum(net.sizes[1:])), 0.5, device=net.flat.device)
        self.chains = bernoulli(half, generator).bool()
        self.optimiser = Adam(net.flat[: net.generative_size], rate)

    def update(self, x: Tensor, indices: Tensor) -> Tensor:
        """One step on a minibatch x (batch, visible); the mean of log p(x, h)."""
        net = self.net
        hidden = self.chains[indices].float().split(net.sizes[1:], 1)
        states = [x, *(h.contiguous() for h in hidden)]
        for _ in range(self.sweeps):
            gibbs_sweep(net, states, self.generator)
        self.chains[indices] = torch.cat(states[1:], 1).bool()
        p = net.p_terms(states)
        net.generative_gradient(states, p, x.new_full((len(x),), 1 / len(x)))
        self.optimiser.rate = self.rate
        self.optimiser.ascend(net.gradient[: net.generative_size])
        return torch.stack(p.log_p).sum(0).mean()

    def state_dict(self) -> dict[str, Any]:
        return {"chains": self.chains, **self.optimiser.state_dict()}
