"""Adagrad (Duchi, Hazan & Singer 2011), ascending, on one flat parameter vector."""

import torch
from torch import Tensor


class Adagrad:
    """theta += rate * g / (sqrt(sum of g^2) + eps), elementwise; `g` points uphill.

    One vector for all parameters makes a step four passes over memory, whatever the model.
    """

    def __init__(self, theta: Tensor, rate: float, eps: float = 1e-10) -> None:
        self.theta, self.rate, self.eps = theta, rate, eps
        self.squares = torch.zeros_like(theta)
        self._step = torch.empty_like(theta)

    def ascend(self, gradient: Tensor) -> None:
        self.squares.addcmul_(gradient, gradient)
        torch.sqrt(self.squares, out=self._step).add_(self.eps)
        self.theta.addcdiv_(gradient, self._step, value=self.rate)

    def state_dict(self) -> dict[str, Tensor]:
        return {"squares": self.squares}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.squares.copy_(state["squares"])
