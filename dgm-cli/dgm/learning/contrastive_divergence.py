"""Contrastive divergence (Hinton 2002) and its persistent form (Tieleman 2008).

    d log p(v) / dW = <v h>_data - <v h>_model,   likewise for the biases.

CD-k puts k Gibbs steps from the data in place of the model's distribution; PCD goes on with chains
of its own. Hidden units enter the statistics as probabilities, visible ones as samples; but where
the data are probabilities themselves (grey), so are the visible units of the negative phase, or
else its samples' variance would pull at the weights when every reconstruction is perfect.

Centred (Cho, Raiko & Ilin 2013; Melchior, Fischer & Wiskott 2016), W learns from products of what v
and h differ by from their means m and l, and biases from what is left:

    dW = <(v - m) (h - l)>_data - <(v - m) (h - l)>_model
    da = <v>_data - <v>_model - dW l,   db = <h>_data - <h>_model - m dW .

Then it makes no difference whether a pixel is called on where there is ink or where there is none.
"""

import torch
from torch import Tensor

from dgm.fast.draws import bernoulli
from dgm.fast.loops import squared_distance
from dgm.learning.weight_prior import NO_PRIOR, WeightPrior
from dgm.models.parameters import Parameters
from dgm.models.rbm import RBM

SLIDE = 0.01  # share of each minibatch in the running means that centred units differ from


class ContrastiveDivergence:
    """theta += velocity,  velocity = momentum velocity + rate gradient.

    The gradient is that of log p(v) and of the prior of the weights.

    `rate` and `momentum` may be set between updates. With `chains` the negative phase is PCD's;
    `grey` says that the data are probabilities; `centred` is for machines of binary units.
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
        p = self.rbm.parameters
        h_data = self.rbm.hidden_mean(x)
        start = self.rbm.draw_hidden(h_data, self.generator)
        reconstruction = self.rbm.reconstruct(x, start)
        if len(self.chains):
            v = gibbs(self.rbm, self.chains, self.k, self.generator)
            self.chains = v
        elif self.grey:
            v = reconstruction
            for _ in range(self.k - 1):
                v = self.rbm.reconstruct(v, self.rbm.sample_hidden(v, self.generator))
        else:
            v = self.rbm.draw_visible(reconstruction, self.generator)
            v = gibbs(self.rbm, v, self.k - 1, self.generator)
        data = self.rbm.statistic(x), h_data
        model = self.rbm.statistic(v), self.rbm.hidden_mean(v)
        if self.direct:
            add_statistics(p, *data, self.rate)
            add_statistics(p, *model, -self.rate)
        else:
            self._ascend(data, model)
        return squared_distance(x, reconstruction)

    @property
    def direct(self) -> bool:
        """Whether a step is rate times the statistics, which then need not be written first."""
        return not (self.momentum or self.means or self.prior.pulls)

    def _ascend(self, data: tuple[Tensor, Tensor], model: tuple[Tensor, Tensor]) -> None:
        p = self.rbm.parameters
        statistics(p, *data, *model)
        if self.means:
            for name, units in zip(("of_v", "of_h"), data, strict=True):
                self.means[name].lerp_(units.mean(0), SLIDE)
            centre(p, **self.means)
        self.prior.add_gradient(p["W"], p.grad["W"])
        if self.momentum:
            self.velocity.mul_(self.momentum).add_(p.gradient, alpha=self.rate)
            self.rbm.flat.add_(self.velocity)
        else:  # a velocity that is forgotten at once need not be kept
            self.rbm.flat.add_(p.gradient, alpha=self.rate)

    def state_dict(self) -> dict[str, Tensor]:
        return {"velocity": self.velocity, "chains": self.chains, **self.means}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.velocity.copy_(state["velocity"])
        self.chains = state["chains"].to(self.chains)
        for name, mean in self.means.items():
            mean.copy_(state[name])


def gibbs(rbm: RBM, v: Tensor, steps: int, generator: torch.Generator) -> Tensor:
    """v after so many block Gibbs steps, v -> h -> v, each row a chain of its own."""
    for _ in range(steps):
        mean = rbm.reconstruct(v, rbm.sample_hidden(v, generator))
        v = rbm.draw_visible(mean, generator)
    return v


def statistics(p: Parameters, v: Tensor, h: Tensor, v_model: Tensor, h_model: Tensor) -> None:
    """Write <v h>_data - <v h>_model and the same of the biases, means over cases."""
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
    """Make of the gradient that `statistics` wrote the centred one, for these means."""
    W, a, b = p.grad["W"], p.grad["a"], p.grad["b"]
    W.addmm_(torch.stack([of_v, a], 1), torch.stack([b, of_h]), alpha=-1)
    a.addmv_(W, of_h, alpha=-1)
    b.addmv_(W.t(), of_v, alpha=-1)
