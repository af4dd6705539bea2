"""Adagrad (Duchi, Hazan & Singer 2011), ascending, on one flat parameter vector."""

import torch
from torch import Tensor

from dgm.state import State

EPS = 1e-10


class Adagrad(State):
    """squares += g^2,  theta += rate * g / (sqrt(squares) + EPS), elementwise.

    g is the uphill gradient minus `decay * theta`. With decay 1/N and a mean over N data points, g
    is the gradient of (log likelihood + log N(theta; 0, I)) / N.
    With all parameters in one vector, a step is one pass over memory for any model.
    """

    saved = ("squares",)

    def __init__(self, theta: Tensor, rate: float, decay: float = 0.0) -> None:
        self.theta, self.rate, self.decay = theta, rate, decay
        self.squares = torch.zeros_like(theta)
        self._steps = torch.zeros((), device=theta.device)  # for torch's lr_decay, which is 0

    def ascend(self, gradient: Tensor) -> None:
        torch._fused_adagrad_(
            [self.theta],
            [gradient],
            [self.squares],
            [self._steps],
            lr=self.rate,
            lr_decay=0.0,
            weight_decay=self.decay,
            eps=EPS,
            maximize=True,
        )
