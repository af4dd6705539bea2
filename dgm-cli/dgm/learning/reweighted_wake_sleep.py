"""Reweighted wake-sleep (Bornschein & Bengio 2015), and wake-sleep of binary nets as its special
case.

Wake: K particles h_k ~ q(h|x) with normalised weights w_k, proportional to p(x, h_k) / q(h_k|x),

    dtheta = sum_k w_k d log p(x, h_k),   dphi = sum_k w_k d log q(h_k|x) .

Sleep: dreams (h, x) ~ p, dphi = d log q(h|x). The recognition net follows the mean of both. With
one particle and the sleep phase alone it is wake-sleep (Hinton, Dayan, Frey & Neal 1995).
"""

import math
from typing import Any

import torch
from torch import Tensor

from dgm.learning.adam import Adam
from dgm.models.sigmoid_belief_net import SigmoidBeliefNet
from dgm.state import State


class ReweightedWakeSleep(State):
    """Ascends by Adam. There are as many dreams as images in the minibatch."""

    momentum = 0.0  # there is none; `epochs` reads and sets it

    def __init__(
        self,
        net: SigmoidBeliefNet,
        particles: int,
        rate: float,
        generator: torch.Generator,
        wake_recognition: bool = True,
    ) -> None:
        if particles < 1:
            raise ValueError(f"wake-sleep with {particles} particles: the wake phase needs one")
        self.net, self.particles, self.rate, self.generator = net, particles, rate, generator
        self.wake_recognition = wake_recognition
        self.optimiser = Adam(net.flat, rate)

    def update(self, x: Tensor, indices: Tensor) -> Tensor:
        """One step on a minibatch x (batch, visible); the estimated mean of log p(x)."""
        estimate = self.gradient(x)
        self.optimiser.rate = self.rate
        self.optimiser.ascend(self.net.gradient)
        return estimate

    def gradient(self, x: Tensor) -> Tensor:
        """Write the net's gradient, mean over x (n, visible)."""
        net, n = self.net, len(x)
        wake = net.recognise(x, self.particles, self.generator)
        log_w = wake.log_weights(n)
        w = log_w.softmax(1).flatten().div_(n)
        net.generative_gradient(wake.states, wake.p, w)
        dream = net.dream(n, self.generator)
        share = 0.5 if self.wake_recognition else 1.0
        each = w.new_full((n,), share / n)
        net.recognition_gradient(dream, net.q_terms(dream), [each] * net.layers)
        if self.wake_recognition:
            net.recognition_gradient(wake.states, wake.q, [share * w] * net.layers, keep=1.0)
        return log_w.logsumexp(1).mean() - math.log(self.particles)

    def state_dict(self) -> dict[str, Any]:
        return self.optimiser.state_dict()
