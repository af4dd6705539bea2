"""Joint learning of all layers of a deep Boltzmann machine (Salakhutdinov & Hinton 2009).

    dW_l = <h_(l-1) h_l>_q - <h_(l-1) h_l>_model,   db_l = <h_l>_q - <h_l>_model

is the gradient of the bound at the mean-field posterior q (the clamped phase). The model's
statistics come from persistent chains of block Gibbs steps (the free phase); the even layers enter
these as probabilities given the odd ones, which keeps the mean and lowers the variance.

Centred (Montavon & Mueller 2012; Melchior, Fischer & Wiskott 2016), with running means mu_l of the
clamped phase,

    dW_l = <(h_(l-1) - mu_(l-1)) (h_l - mu_l)>_q - the same of the model
    db_l = <h_l>_q - <h_l>_model - mu_(l-1) dW_l - dW_(l+1) mu_(l+1) .
"""

from typing import Any

import torch
from torch import Tensor

from dgm.fast.draws import bernoulli
from dgm.fast.loops import squared_distance
from dgm.inference.deep_boltzmann import posterior
from dgm.learning.weight_prior import NO_PRIOR, WeightPrior
from dgm.models.dbm import DBM, Layers
from dgm.state import State

EMA_WEIGHT = 0.01  # weight of a minibatch in the running means


class DeepBoltzmann(State):
    """theta += velocity,   velocity = momentum velocity + rate gradient.

    `rate` and `momentum` may be set between updates. `x` (chains, visible) are binary images at
    which the persistent chains begin. The `prior`'s smoothness is for W_1, the rest of it for all
    weights.
    """

    def __init__(
        self,
        dbm: DBM,
        x: Tensor,
        rate: float,
        generator: torch.Generator,
        gibbs_steps: int = 5,
        updates: int = 10,
        momentum: float = 0.0,
        prior: WeightPrior = NO_PRIOR,
        centred: bool = False,
    ) -> None:
        if len(x) < 1 or gibbs_steps < 1:
            raise ValueError(f"{len(x)} persistent chains of {gibbs_steps} Gibbs steps an update")
        self.dbm, self.rate, self.generator = dbm, rate, generator
        self.gibbs_steps, self.updates = gibbs_steps, updates
        self.momentum = momentum
        self.priors = [prior, *[WeightPrior(prior.decay, prior.lasso)] * (dbm.depth - 1)]
        up = dbm.up(x)
        self.chains: Layers = (x.clone(), *(bernoulli(mean, generator) for mean in up))
        self.velocity = torch.zeros_like(dbm.flat)
        self.means: list[Tensor] = []
        if centred:
            self.means = [layer.mean(0) for layer in (x, *up)]

    def update(self, x: Tensor, indices: Tensor) -> Tensor:
        """One step on a minibatch x (batch, visible).

        Returns the squared error of E[v|m_1], summed over pixels, mean over x, before the step.
        """
        dbm = self.dbm
        clamped = x, *posterior(dbm, x, self.updates)[0]
        self.chains, free = dbm.gibbs(self.chains, self.gibbs_steps, self.generator)
        error = squared_distance(x, dbm.mean(0, clamped))
        self.write_gradient(clamped, free)
        if self.momentum:
            self.velocity.mul_(self.momentum).add_(dbm.gradient, alpha=self.rate)
            dbm.flat.add_(self.velocity)
        else:
            dbm.flat.add_(dbm.gradient, alpha=self.rate)
        return error

    def write_gradient(self, clamped: Layers, free: Layers) -> None:
        """The gradient, from v, h_1, .., h_L of each phase, (cases, units)."""
        p = self.dbm.parameters
        for number, (of_data, of_model) in enumerate(zip(clamped, free, strict=True)):
            torch.sub(of_data.mean(0), of_model.mean(0), out=p.grad[f"b{number}"])
        for i in range(self.dbm.depth):
            dW = p.grad[f"W{i + 1}"]
            dW.addmm_(clamped[i].t(), clamped[i + 1], beta=0, alpha=1 / len(clamped[i]))
            dW.addmm_(free[i].t(), free[i + 1], alpha=-1 / len(free[i]))
        if self.means:
            for mean, of_data in zip(self.means, clamped, strict=True):
                mean.lerp_(of_data.mean(0), EMA_WEIGHT)
            self._centre()
        for number, prior in enumerate(self.priors, start=1):
            prior.add_gradient(p[f"W{number}"], p.grad[f"W{number}"])

    def _centre(self) -> None:
        """Turn the gradient into the centred one."""
        grad, means = self.dbm.parameters.grad, self.means
        rises = [grad[f"b{number}"].clone() for number in range(len(means))]
        for number in range(1, len(means)):
            below, above, dW = means[number - 1], means[number], grad[f"W{number}"]
            left = torch.stack([below, rises[number - 1]], 1)
            dW.addmm_(left, torch.stack([rises[number], above]), alpha=-1)
            grad[f"b{number - 1}"].addmv_(dW, above, alpha=-1)
            grad[f"b{number}"].addmv_(dW.t(), below, alpha=-1)

    def state_dict(self) -> dict[str, Any]:
        chains = {f"chain{number}": layer for number, layer in enumerate(self.chains)}
        means = {f"mean{number}": layer for number, layer in enumerate(self.means)}
        return {"velocity": self.velocity, **chains, **means}
