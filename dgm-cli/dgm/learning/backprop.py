"""Stochastic gradient ascent of log p(label|x) with momentum and decay."""

from typing import NamedTuple

import torch
from torch import Tensor

from dgm.fast.draws import bernoulli
from dgm.learning.weight_prior import NO_PRIOR, WeightPrior
from dgm.models.classifier import Classifier
from dgm.state import State


class Dropout(NamedTuple):
    """Shares of inputs and of hidden units that are off, drawn anew for each image (Hinton et al.
    2012). The others count more, so that each unit's input keeps its mean."""

    inputs: float
    hidden: float
    generator: torch.Generator

    def masks(self, net: Classifier, n: int) -> list[Tensor]:
        """What to multiply the states of n images by: the input's and each hidden layer's."""
        sizes = net.config["sizes"][:-1]
        kept = [1 - self.inputs] + [1 - self.hidden] * (len(sizes) - 1)
        device = net.flat.device
        return [
            bernoulli(torch.full((n, size), share, device=device), self.generator).div_(share)
            for size, share in zip(sizes, kept, strict=True)
        ]


class Backprop(State):
    """theta += velocity,  velocity = momentum velocity + rate (gradient - decay theta).

    In the first `outputs_alone` updates only the output layer learns: the derivatives that random
    outputs send down would undo what the layers below have learned.
    """

    saved = ("velocity", "done")

    def __init__(
        self,
        net: Classifier,
        labels: Tensor,
        rate: float,
        momentum: float,
        decay: float,
        outputs_alone: int = 0,
        prior: WeightPrior = NO_PRIOR,
        dropout: Dropout | None = None,
    ) -> None:
        """`labels` (N,) are those of all images, from which `update` gets minibatches.

        The gradient includes that of a `prior` on the first layer's weights; with `dropout` it is
        that of a net some of whose units are off.
        """
        self.dropout = dropout
        self.net, self.labels = net, labels
        self.rate, self.momentum, self.decay = rate, momentum, decay
        self.outputs_alone, self.done, self.prior = outputs_alone, 0, prior
        self.velocity = torch.zeros_like(net.flat)

    def update(self, x: Tensor, indices: Tensor) -> Tensor:
        """One step; returns the mean of -log p(label|x) before it."""
        labels = self.labels[indices]
        if self.dropout:
            loss = self.net.backward_thinned(x, labels, self.dropout.masks(self.net, len(x)))
        else:
            loss = self.net.backward(x, labels)
        first_layer = self.net.mlp.layers[0]
        self.prior.add_gradient(first_layer.W, first_layer.dW)
        theta, gradient, velocity = self.net.flat, self.net.parameters.gradient, self.velocity
        if self.done < self.outputs_alone:
            first = len(theta) - self.net.output_parameters
            theta, gradient, velocity = theta[first:], gradient[first:], velocity[first:]
        velocity.mul_(self.momentum).add_(gradient, alpha=self.rate)
        if self.decay:
            velocity.add_(theta, alpha=-self.rate * self.decay)
        theta.add_(velocity)
        self.done += 1
        return loss
