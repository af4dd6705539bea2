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

    With `precision` bfloat16 the products of both phases and of the gradient round to 8 bits, the
    parameters that they change do not: several times faster where a processor can multiply such
    numbers, and the rounding is far below the noise of a minibatch. Both phases see the same
    rounded weights.
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
        precision: torch.dtype = torch.float32,
    ) -> None:
        if len(x) < 1 or gibbs_steps < 1:
            raise ValueError(f"{len(x)} persistent chains of {gibbs_steps} Gibbs steps an update")
        self.dbm, self.rate, self.generator = dbm, rate, generator
        self.rounded = dbm
        if precision != torch.float32:
            self.rounded = DBM(**dbm.config, device=dbm.flat.device)
            flat = dbm.flat.to(precision)
            self.rounded.parameters.place_in(flat, torch.zeros_like(flat))
        self.gibbs_steps, self.updates = gibbs_steps, updates
        self.momentum = momentum
        self.priors = [prior, *[WeightPrior(prior.decay, prior.lasso)] * (dbm.depth - 1)]
        layers = x, *dbm.up(x)
        hidden = (bernoulli(mean, generator) for mean in layers[1:])
        self.chains: Layers = tuple(layer.to(precision) for layer in (x.clone(), *hidden))
        self.velocity = torch.zeros_like(dbm.flat)
        self.means = [layer.mean(0) if centred else layer.new_zeros(1) for layer in layers]
        self.centred = centred

    def update(self, x: Tensor, indices: Tensor) -> Tensor:
        """One step on a minibatch x (batch, visible).

        Returns the squared error of E[v|m_1], summed over pixels, mean over x, before the step.
        """
        dbm, rounded = self.dbm, self.rounded
        if rounded is not dbm:
            rounded.flat.copy_(dbm.flat)
        seen = x.to(rounded.flat.dtype)
        clamped = seen, *posterior(rounded, seen, self.updates)[0]
        self.chains, free = rounded.gibbs(self.chains, self.gibbs_steps, self.generator)
        error = squared_distance(x, rounded.mean(0, clamped).float())
        self.write_gradient(clamped, free)
        if self.momentum:
            self.velocity.mul_(self.momentum).add_(dbm.gradient, alpha=self.rate)
            dbm.flat.add_(self.velocity)
        else:
            dbm.flat.add_(dbm.gradient, alpha=self.rate)
        return error

    def write_gradient(self, clamped: Layers, free: Layers) -> None:
        """The gradient, from v, h_1, .., h_L of each phase, (cases, units)."""
        p, means = self.dbm.parameters, self.means
        if self.centred:
            for mean, of_data in zip(means, clamped, strict=True):
                mean.lerp_(of_data.float().mean(0), EMA_WEIGHT)
        phases = [
            torch.cat([of_data - mean, of_model - mean])
            for mean, of_data, of_model in zip(means, clamped, free, strict=True)
        ]
        n, m = len(clamped[0]), len(free[0])
        signs = torch.tensor([1 / n] * n + [-1 / m] * m, device=self.dbm.flat.device)
        for number, layer in enumerate(phases):
            torch.mv(layer.t(), signs, out=p.grad[f"b{number}"])
        kind = self.rounded.flat.dtype
        for number in range(1, len(phases)):
            below = phases[number - 1].mul_(signs[:, None]).to(kind)
            dW = p.grad[f"W{number}"].copy_(torch.mm(below.t(), phases[number].to(kind)))
            if self.centred:
                p.grad[f"b{number - 1}"].addmv_(dW, means[number], alpha=-1)
                p.grad[f"b{number}"].addmv_(dW.t(), means[number - 1], alpha=-1)
        for number, prior in enumerate(self.priors, start=1):
            prior.add_gradient(p[f"W{number}"], p.grad[f"W{number}"])

    def state_dict(self) -> dict[str, Any]:
        chains = {f"chain{number}": layer for number, layer in enumerate(self.chains)}
        means = {f"mean{number}": layer for number, layer in enumerate(self.means)}
        return {"velocity": self.velocity, **chains, **means}
