"""The up-down algorithm, a contrastive form of wake-sleep (Hinton, Osindero & Teh 2006, sec. 5).

Up (wake): sampled recognition states teach the generative weights by the delta rule. At the top k
Gibbs steps lead away from the wake sample, and its RBM learns by contrastive divergence. Down
(sleep): a pass from the chain's end to the image teaches the recognition weights likewise.

Two things differ from the paper. At the top, hidden units enter the statistics as probabilities,
which have the same expectation and less noise and so allow a larger rate. And chains may persist
(Tieleman 2008): they continue where the last update left them, so that the net learns to recognise
what it would generate.
"""

from itertools import pairwise

import torch
from torch import Tensor

from dgm.fast.draws import bernoulli
from dgm.learning.contrastive_divergence import statistics
from dgm.models.dbn import DBN, conditional
from dgm.models.parameters import Parameters
from dgm.state import State


class UpDown(State):
    """theta += rate (gradient - decay W).

    The top's rate is `top_factor` times that of the directed layers. `k` and `rate` may be set
    between updates. Gradients are means over the minibatch; weights decay, biases do not.
    Chains that persist begin at `chains` (n, units below the top + labels).
    """

    saved = ("chains",)
    momentum = 0.0  # there is none; `epochs` reads and sets it

    def __init__(
        self,
        dbn: DBN,
        labels: Tensor,
        k: int,
        rate: float,
        generator: torch.Generator,
        top_factor: float = 1.0,
        decay: float = 0.0,
        chains: Tensor | None = None,
    ) -> None:
        """`labels` (N, labels) are those of all images, from which `update` gets minibatches."""
        if k < 1:
            raise ValueError(f"up-down with {k} Gibbs steps: at least one leads away from the data")
        self.dbn, self.labels, self.generator = dbn, labels, generator
        self.k, self.rate = k, rate
        self.top_factor, self.decay = top_factor, decay
        self.chains = None if chains is None else chains.clone()

    def update(self, x: Tensor, indices: Tensor) -> Tensor:
        """One step on a minibatch x (batch, visible), the rows `indices` of all images.

        Returns how far the chains moved: the squared distance between their ends and starts in the
        layer below the top, mean over chains.
        """
        dbn, top, generator = self.dbn, self.dbn.top, self.generator
        wake = [x, *dbn.up(x, generator)]
        for layer, (below, above) in zip(dbn.generative, pairwise(wake), strict=True):
            delta_rule(layer, given=above, target=below)

        v = torch.cat([wake[-1], self.labels[indices]], 1)
        h_v = top.hidden_mean(v)
        start, h = v, h_v
        if self.chains is not None:
            start, h = self.chains, top.hidden_mean(self.chains)
        for _ in range(self.k):
            dream = top.sample_visible(bernoulli(h, generator), generator)
            h = top.hidden_mean(dream)
        statistics(top.parameters, v, h_v, dream, h)

        penultimate = dream[:, : -top.labels]
        sleep = [penultimate, *dbn.down(penultimate, generator)][::-1]  # from the image up
        for layer, (below, above) in zip(dbn.recognition, pairwise(sleep), strict=True):
            delta_rule(layer, given=below, target=above)
        for part in (*dbn.recognition, *dbn.generative, top.parameters):
            if self.decay:
                part.grad["W"].add_(part["W"], alpha=-self.decay)
            factor = self.top_factor if part is top.parameters else 1.0
            part.flat.add_(part.gradient, alpha=factor * self.rate)
        distance = (penultimate - start[:, : -top.labels]).square().sum() / len(dream)
        if self.chains is not None:
            self.chains.copy_(dream)
        return distance


def delta_rule(layer: Parameters, given: Tensor, target: Tensor) -> None:
    """Write d log p(target|given) / d(W, b), mean over cases."""
    error = (target - conditional(layer, given)).div_(len(given))
    torch.mm(given.t(), error, out=layer.grad["W"])
    torch.sum(error, 0, out=layer.grad["b"])
