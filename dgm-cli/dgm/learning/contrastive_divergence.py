"""Contrastive divergence (Hinton 2002) and its persistent form (Tieleman 2008).

    d log p(v) / dW = <v h>_data - <v h>_model,   likewise for the biases.

CD-k replaces the model's distribution by k Gibbs steps from the data; PCD continues chains of its
own. Hidden units enter the statistics as probabilities, visible units as samples. Where the data
are probabilities themselves (grey), the visible units of the negative phase are too: the variance
of samples would change the weights even if every reconstruction were perfect.

Centred (Cho, Raiko & Ilin 2013; Melchior, Fischer & Wiskott 2016), W learns from the deviations of
v and h from their means m and l, and the biases from the rest:

    dW = <(v - m) (h - l)>_data - <(v - m) (h - l)>_model
    da = <v>_data - <v>_model - dW l,   db = <h>_data - <h>_model - m dW .

Learning is then the same whether 1 stands for ink or for paper.
"""

from typing import Any

import torch
from torch import Tensor

from dgm.fast.draws import bernoulli
from dgm.fast.loops import squared_distance
from dgm.learning.weight_prior import NO_PRIOR, WeightPrior
from dgm.models.parameters import Parameters
from dgm.models.rbm import RBM
from dgm.state import State

EMA_WEIGHT = 0.01  # weight of a minibatch in the running means m and l


class ContrastiveDivergence(State):
    """theta += velocity,  velocity = momentum velocity + rate gradient.

    The gradient is that of log p(v) plus that of the prior on the weights.

    `rate` and `momentum` may be set between updates. `chains` is the number of PCD's chains, 0 for
    CD; `grey` says that the data are probabilities; `centred` is for machines of binary units.
    """

    def __init__(
        self,
        rbm: RBM,
        k: int,
        rate: float,
        generator: torch.Generator,
        momentum: float = 0.0,
        prior: WeightPrior = NO_PRIOR,
        chains: int = 0,
        grey: bool = False,
        centred: bool = False,
    ) -> None:
        if k < 1:
            raise ValueError(f"CD-{k}: at least one Gibbs step leads away from the data")
        self.rbm, self.k, self.generator = rbm, k, generator
        self.rate, self.momentum, self.prior, self.grey = rate, momentum, prior, grey
        self.velocity = torch.zeros_like(rbm.flat)
        half = torch.full((chains, rbm.config["hidden"]), 0.5, device=rbm.flat.device)
        self.chains = rbm.sample_visible(bernoulli(half, generator), generator)
        self.means: dict[str, Tensor] = {}
        if centred:
            of_v = rbm.parameters["a"].sigmoid()
            self.means = {"of_v": of_v, "of_h": rbm.hidden_mean(of_v[None])[0]}

    def update(self, x: Tensor, indices: Tensor) -> Tensor:
        """One step on a minibatch x (batch, visible).

        Returns the squared error of the one-step reconstruction, summed over pixels, mean over x.
        """
        rbm = self.rbm
        h = rbm.hidden_mean(x)
        reconstruction = rbm.reconstruct(x, rbm.draw_hidden(h, self.generator))
        v = self._negative(reconstruction)
        data, model = (rbm.statistic(x), h), (rbm.statistic(v), rbm.hidden_mean(v))
        if self.momentum or self.means or not self.prior.is_flat:
            self._ascend(data, model)
        else:  # the step is rate times the statistics: they need not be written first
            add_statistics(rbm.parameters, *data, self.rate)
            add_statistics(rbm.parameters, *model, -self.rate)
        return squared_distance(x, reconstruction)

    def _negative(self, reconstruction: Tensor) -> Tensor:
        """The visible states of the negative phase, from those of one Gibbs step from the data."""
        rbm, generator = self.rbm, self.generator
        if len(self.chains):
            self.chains = gibbs(rbm, self.chains, self.k, generator)
            return self.chains
        if not self.grey:
            return gibbs(rbm, rbm.draw_visible(reconstruction, generator), self.k - 1, generator)
        v = reconstruction
        for _ in range(self.k - 1):
            v = rbm.reconstruct(v, rbm.sample_hidden(v, generator))
        return v

    def _ascend(self, data: tuple[Tensor, Tensor], model: tuple[Tensor, Tensor]) -> None:
        p = self.rbm.parameters
        statistics(p, *data, *model)
        if self.means:
            for name, units in zip(("of_v", "of_h"), data, strict=True):
                self.means[name].lerp_(units.mean(0), EMA_WEIGHT)
            centre(p, **self.means)
        self.prior.add_gradient(p["W"], p.grad["W"])
        if self.momentum:
            self.velocity.mul_(self.momentum).add_(p.gradient, alpha=self.rate)
            self.rbm.flat.add_(self.velocity)
        else:  # no momentum: the velocity is this step alone
            self.rbm.flat.add_(p.gradient, alpha=self.rate)

    def state_dict(self) -> dict[str, Any]:
        return {"velocity": self.velocity, "chains": self.chains, **self.means}


def gibbs(rbm: RBM, v: Tensor, steps: int, generator: torch.Generator) -> Tensor:
    """v after that many block Gibbs steps, v -> h -> v; each row is a chain."""
    for _ in range(steps):
        mean = rbm.reconstruct(v, rbm.sample_hidden(v, generator))
        v = rbm.draw_visible(mean, generator)
    return v


def statistics(p: Parameters, v: Tensor, h: Tensor, v_model: Tensor, h_model: Tensor) -> None:
    """Write <v h>_data - <v h>_model, and likewise of the biases, means over cases."""
    add_statistics(p.grad, v, h, 1.0, keep=0.0)
    add_statistics(p.grad, v_model, h_model, -1.0)


def add_statistics(
    to: Parameters | dict[str, Tensor], v: Tensor, h: Tensor, scale: float, keep: float = 1.0
) -> None:
    """Add `scale` times <v h>, <v> and <h>, means over cases, to `keep` times W, a and b."""
    scale /= len(v)
    to["W"].addmm_(v.t(), h, beta=keep, alpha=scale)
    to["a"].mul_(keep).add_(v.sum(0), alpha=scale)
    to["b"].mul_(keep).add_(h.sum(0), alpha=scale)


def centre(p: Parameters, of_v: Tensor, of_h: Tensor) -> None:
    """Turn the gradient that `statistics` wrote into the centred one, for these means."""
    W, a, b = p.grad["W"], p.grad["a"], p.grad["b"]
    W.addmm_(torch.stack([of_v, a], 1), torch.stack([b, of_h]), alpha=-1)
    a.addmv_(W, of_h, alpha=-1)
    b.addmv_(W.t(), of_v, alpha=-1)
