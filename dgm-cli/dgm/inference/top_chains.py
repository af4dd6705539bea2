"""What a deep belief net generates: Gibbs chains of its top, and a pass down from each.

Hinton, Osindero & Teh (2006), section 7. The net: `dgm.models.dbn`.
"""

import torch
from torch import Tensor

from dgm.fast.draws import bernoulli
from dgm.models.dbn import DBN
from dgm.models.rbm import one_hot
from dgm.state import State


class TopChains(State):
    """Gibbs chains of a net's top, each begun by a pass up from a random image.

    With `labels` (n, labels) these are clamped; without, the chains are free to change theirs.
    """

    saved = ("v",)

    def __init__(
        self, net: DBN, n: int, generator: torch.Generator, labels: Tensor | None = None
    ) -> None:
        self.net, self.generator, self.labels = net, generator, labels
        half = torch.full((n, net.visible), 0.5, device=net.flat.device)
        below = net.up(bernoulli(half, generator), generator)[-1]
        random = torch.randint(net.top.labels, (n,), generator=generator, device=below.device)
        first = one_hot(random, net.top.labels) if labels is None else labels
        self.v = torch.cat([below, first], 1)

    def step(self) -> None:
        top = self.net.top
        v = top.sample_visible(top.sample_hidden(self.v, self.generator), self.generator)
        if self.labels is not None:
            v[:, -top.labels :] = self.labels
        self.v.copy_(v)

    def images(self) -> Tensor:
        """E[x|h_1] after a sampled pass down, (n, visible)."""
        return self.net.down(self.v[:, : -self.net.top.labels], self.generator)[-1]
