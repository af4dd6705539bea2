"""Stochastic gradient ascent of log p(label|x) with momentum and weight decay."""

import torch
from torch import Tensor

from dgm.models.classifier import Classifier


class Backprop:
    """theta += velocity,  velocity = momentum velocity + rate (gradient - decay theta)."""

    def __init__(
        self, net: Classifier, labels: Tensor, rate: float, momentum: float, decay: float
    ) -> None:
        """`labels` (N,) are those of the images that `update` gets minibatches of."""
        self.net, self.labels = net, labels
        self.rate, self.momentum, self.decay = rate, momentum, decay
        self.velocity = torch.zeros_like(net.flat)

    def update(self, x: Tensor, indices: Tensor) -> Tensor:
        """One step; returns the mean of -log p(label|x) before it."""
        loss = self.net.backward(x, self.labels[indices])
        self.velocity.mul_(self.momentum).add_(self.net.parameters.gradient, alpha=self.rate)
        if self.decay:
            self.velocity.add_(self.net.flat, alpha=-self.rate * self.decay)
        self.net.flat.add_(self.velocity)
        return loss

    def state_dict(self) -> dict[str, Tensor]:
        return {"velocity": self.velocity}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.velocity.copy_(state["velocity"])
