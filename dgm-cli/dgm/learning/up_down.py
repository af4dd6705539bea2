"""The up-down algorithm, a contrastive form of wake-sleep (Hinton, Osindero & Teh 2006, sec. 5).

Up (wake): sampled recognition states teach the generative weights by the delta rule. At the top k
Gibbs steps lead away from the wake sample, and its RBM learns by contrastive divergence. Down
(sleep): a pass from the chain's end to the image teaches the recognition weights likewise.

Beside the paper: at the top, hidden units enter the statistics as probabilities. The expectation is
the same and there is less noise, so that a larger rate can be borne. And chains may persist
(Tieleman 2008): they go on from where the last update left them, so that what the net dreams, and
learns to recognise, is what it would generate.
"""

import torch
from torch import Tensor

from dgm.fast.draws import bernoulli
from dgm.learning.contrastive_divergence import statistics
from dgm.models.dbn import DBN, conditional
from dgm.models.parameters import Parameters


class UpDown:
    """theta += rate (gradient - decay W).

    The top's rate is `top_factor` times that of the directed layers. `k` and `rate` may be set
    between updates. Gradients are means over the minibatch; weights decay, biases do not.
    Chains that persist begin at `chains` (n, units below the top + labels).
    """

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
        """`labels` (N, labels) are those of the images that `update` gets minibatches of."""
        if k < 1:
            raise ValueError(f"up-down with {k} Gibbs steps: at least one leads away from the data")
        self.dbn, self.labels, self.generator = dbn, labels, generator
        self.k, self.rate = k, rate
        self.top_factor, self.decay = top_factor, decay
        self.chains = None if chains is None else chains.clone()

    def update(self, x: Tensor, indices: Tensor) -> Tensor:
        """One step on a minibatch x (batch, visible), of these rows' numbers.

        Returns how far the chains went: the squared distance of their ends from where they began,
        in the layer below the top, mean over chains.
        """
        dbn, generator = self.dbn, self.generator
        wake = [x, *dbn.up(x, generator)]
        for layer, (below, above) in zip(
            dbn.generative, zip(wake, wake[1:], strict=False), strict=True
        ):
            delta_rule(layer, given=above, target=below)

        top = dbn.top
        v = torch.cat([wake[-1], self.labels[indices]], 1)
        start = top.hidden_mean(v)
        began, h = v, start
        if self.chains is not None:
            began, h = self.chains, top.hidden_mean(self.chains)
        for _ in range(self.k):
            dreamed = top.sample_visible(bernoulli(h, generator), generator)
            h = top.hidden_mean(dreamed)
        statistics(top.parameters, v, start, dreamed, h)

        pen = dreamed[:, : -top.labels]
        sleep = [pen, *dbn.down(pen, generator)][::-1]  # from the image up
        for layer, (below, above) in zip(
            dbn.recognition, zip(sleep, sleep[1:], strict=False), strict=True
        ):
            delta_rule(layer, given=below, target=above)
        for part in (*dbn.recognition, *dbn.generative, top.parameters):
            if self.decay:
                part.grad["W"].add_(part["W"], alpha=-self.decay)
            factor = self.top_factor if part is top.parameters else 1.0
            part.flat.add_(part.gradient, alpha=factor * self.rate)
        distance = (pen - began[:, : -top.labels]).square().sum() / len(pen)
        if self.chains is not None:
            self.chains.copy_(dreamed)
        return distance

    def state_dict(self) -> dict[str, Tensor]:
        return {} if self.chains is None else {"chains": self.chains}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        if self.chains is not None:
            self.chains.copy_(state["chains"])


def delta_rule(layer: Parameters, given: Tensor, target: Tensor) -> None:
    """Write the mean over cases of d log p(target|given) / d(W, b)."""
    error = (target - conditional(layer, given)).div_(len(given))
    torch.mm(given.t(), error, out=layer.grad["W"])
    torch.sum(error, 0, out=layer.grad["b"])
