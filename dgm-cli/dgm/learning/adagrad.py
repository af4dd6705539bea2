"""Adagrad (Duchi, Hazan & Singer 2011), ascending, on one flat parameter vector."""

import torch
from torch import Tensor


class Adagrad:
    """squares += g^2,  theta += rate * g / (sqrt(squares) + eps), elementwise.

    `g` is the uphill gradient less `decay * theta`: with decay 1/N and g a mean over data points,
    that is the gradient of (log likelihood + log N(theta; 0, I)) / N for N data points.
    One vector for all parameters makes a step one pass over memory, whatever the model.
    """

    def __init__(self, theta: Tensor, rate: float, decay: float = 0.0, eps: float = 1e-10) -> None:
        self.theta, self.rate, self.decay, self.eps = theta, rate, decay, eps
        self.squares = torch.zeros_like(theta)
        self._steps = torch.zeros((), device=theta.device)  # torch counts them for lr_decay

    def ascend(self, gradient: Tensor) -> None:
        torch._fused_adagrad_(
            [self.theta],
            [gradient],
            [self.squares],
            [self._steps],
            lr=self.rate,
            lr_decay=0.0,
            weight_decay=self.decay,
            eps=self.eps,
            maximize=True,
        )

    def state_dict(self) -> dict[str, Tensor]:
        return {"squares": self.squares}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.squares.copy_(state["squares"])
