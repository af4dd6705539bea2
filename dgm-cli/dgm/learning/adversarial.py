"""Generator and discriminator at play: losses, the penalty on the gradient, and their updates.

With D(x) = sigmoid(logit), P the generator's density and E over data or over generated points:

    value              V = E_data[log D(x)] + E_P[log(1 - D(x))]        (Goodfellow et al. 2014)
    discriminator      minimises -V
    generator          minimax:       minimises E_P[log(1 - D(x))]
                       nonsaturating: minimises -E_P[log D(x)], "the log D trick"
                   importance_weighted: minimises -sum_i w_i log D(x_i), the weights w_i
                       proportional to D(x_i) / (1 - D(x_i)), their sum over a minibatch 1
                       (Hu et al. 2018)
                   kl_model_data: minimises KL(P || Q) = -E_P[log q/p]
                   kl_data_model: minimises KL(Q || P), as an f-divergence -E_P[q/p]
    penalty R1         gamma / 2 E_data[|grad_x logit(x)|^2]            (Mescheder et al. 2018)

The last two take the logit of a discriminator at its best, log q/p with Q the data, for the ratio
of an f-divergence (Nowozin et al. 2016; Poole et al. 2016). All of them are functions of logits,
log D = -softplus(-logit), so that none is a log of a rounded probability.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from dgm.state import State

BETAS = (0.5, 0.9)  # of Adam: less momentum than usual, for either player chases the other


class Objective(NamedTuple):
    """Losses of logits: the discriminator's of those of data and of generated points, and the
    generator's of those of generated points."""

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]


def minus_value(real: Tensor, fake: Tensor) -> Tensor:
    """-V, the mean cross-entropy of telling data from generated points."""
    return softplus(-real).mean() + softplus(fake).mean()


def minimax(fake: Tensor) -> Tensor:
    """E_P[log(1 - D)]."""
    return -softplus(fake).mean()


def log_d(fake: Tensor) -> Tensor:
    """-E_P[log D]."""
    return softplus(-fake).mean()


def importance_weighted(fake: Tensor) -> Tensor:
    """-sum_i w_i log D(x_i); the weights are constants."""
    return (fake.detach().softmax(0) * softplus(-fake)).sum()


def kl_model_data(fake: Tensor) -> Tensor:
    """-E_P[log q/p]."""
    return -fake.mean()


def kl_data_model(fake: Tensor) -> Tensor:
    """-log E_P[q/p]: its gradient is that of -E_P[q/p] divided by E_P[q/p], which is 1 under the
    best discriminator and would else overflow."""
    return math.log(len(fake)) - fake.logsumexp(0)


OBJECTIVES: dict[str, Objective] = {
    "minimax": Objective(minus_value, minimax),
    "nonsaturating": Objective(minus_value, log_d),
    "importance_weighted": Objective(minus_value, importance_weighted),
    "kl_model_data": Objective(minus_value, kl_model_data),
    "kl_data_model": Objective(minus_value, kl_data_model),
}


def gradient_penalty(logits: Tensor, x: Tensor) -> Tensor:
    """E[|grad_x logit(x)|^2] of logits (n,) that were computed from x (n, d)."""
    (gradient,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
    return gradient.square().sum() / len(x)


class Game(State):
    """Two players, each with its optimiser. Saves both nets and both optimisers."""

    saved = ("generator", "discriminator", "of_generator", "of_discriminator")

    def __init__(
        self,
        generator: Any,
        discriminator: nn.Module,
        objective: Objective,
        rate: float,
        penalty: float = 0.0,
        optimizer: Callable[[list[nn.Parameter], float], torch.optim.Optimizer] | None = None,
    ) -> None:
        self.generator, self.discriminator = generator, discriminator
        self.objective, self.rate, self.penalty = objective, rate, penalty
        optimizer = optimizer or adam
        self.of_generator = optimizer(list(generator.parameters()), rate)
        self.of_discriminator = optimizer(list(discriminator.parameters()), rate)

    def slow_down(self, left: float) -> None:
        """Learn at this share of the rate from now on."""
        for optimizer in (self.of_generator, self.of_discriminator):
            for group in optimizer.param_groups:
                group["lr"] = self.rate * left

    def learn_discriminator(self, real: Tensor, z: Tensor) -> None:
        """One step of the discriminator on data and on what the generator makes of z."""
        fake = self.generator(z).detach()
        with torch.enable_grad():
            real = real.requires_grad_(self.penalty > 0)
            logits = self.discriminator(real)
            loss = self.objective.discriminator(logits, self.discriminator(fake))
            if self.penalty:
                loss = loss + self.penalty / 2 * gradient_penalty(logits, real)
            descend(self.of_discriminator, loss)

    def learn_generator(self, z: Tensor) -> None:
        """One step of the generator against the discriminator as it is."""
        with torch.enable_grad():
            loss = self.objective.generator(self.discriminator(self.generator(z)))
            descend(self.of_generator, loss)

    def play(self, real: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """A step of the discriminator, then one of the generator, on the same noise.

        Points are generated once for both. Gives both losses before their steps, without the
        penalty, which this does not take.
        """
        with torch.enable_grad():
            fake = self.generator(z)
            logits = self.discriminator(real), self.discriminator(fake.detach())
            of_discriminator = self.objective.discriminator(*logits)
            descend(self.of_discriminator, of_discriminator)
            of_generator = self.objective.generator(self.discriminator(fake))
            descend(self.of_generator, of_generator)
        return of_discriminator.detach(), of_generator.detach()


def adam(
    parameters: list[nn.Parameter], rate: float, betas: tuple[float, float] = BETAS
) -> torch.optim.Optimizer:
    """Adam in one pass over the parameters."""
    return torch.optim.Adam(parameters, rate, betas, fused=True)


def descent(
    parameters: list[nn.Parameter], rate: float, momentum: float = 0.5
) -> torch.optim.Optimizer:
    """Stochastic gradient descent with momentum, in one pass over the parameters."""
    return torch.optim.SGD(parameters, rate, momentum, fused=True)


def descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    """A step down the gradient of the loss in this optimiser's parameters alone."""
    parameters = optimizer.param_groups[0]["params"]
    gradients = torch.autograd.grad(loss, parameters)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    optimizer.step()


def gradient_norm(loss: Tensor, net: nn.Module) -> float:
    """The Euclidean norm of the gradient of a loss in all parameters of a net."""
    gradients = torch.autograd.grad(loss, list(net.parameters()), retain_graph=True)
    return float(torch.cat([gradient.flatten() for gradient in gradients]).norm())
