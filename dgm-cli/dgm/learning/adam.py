"""Adam (Kingma & Ba 2015), ascending, on one flat parameter vector."""

import torch
from torch import Tensor

from dgm.state import State

EPS = 1e-8


class Adam(State):
    """m and v: running means of g and g^2;  theta += rate * m' / (sqrt(v') + EPS), elementwise.

    m' = m / (1 - 0.9^t), v' = v / (1 - 0.999^t); `g` and `decay` as in `dgm.learning.adagrad`.
    """

    saved = ("mean", "squares", "steps")

    def __init__(self, theta: Tensor, rate: float, decay: float = 0.0) -> None:
        self.theta, self.rate, self.decay = theta, rate, decay
        self.mean, self.squares = torch.zeros_like(theta), torch.zeros_like(theta)
        self.steps = torch.zeros((), device=theta.device)

    def ascend(self, gradient: Tensor) -> None:
        self.steps += 1
        torch._fused_adam_(
            [self.theta],
            [gradient],
            [self.mean],
            [self.squares],
            [],
            [self.steps],
            lr=self.rate,
            beta1=0.9,
            beta2=0.999,
            weight_decay=self.decay,
            eps=EPS,
            amsgrad=False,
            maximize=True,
        )
