"""Minibatches that can be put down and taken up again."""

import torch
from torch import Tensor

from dgm.draws import bernoulli


class Minibatches:
    """Shuffled passes over x (N, visible), `batch` rows at a time, a last short one left out.

    With `dynamic` each pixel is drawn anew from Bernoulli(pixel) at every visit. The returned
    minibatch lies in a buffer that the next call overwrites.
    """

    def __init__(
        self, x: Tensor, batch: int, generator: torch.Generator, dynamic: bool = False
    ) -> None:
        if batch > len(x):
            raise ValueError(f"a minibatch of {batch} from {len(x)} images")
        self.x, self.batch, self.generator, self.dynamic = x, batch, generator, dynamic
        self.order = torch.arange(len(x), device=x.device)
        self.position = len(x)
        self._buffer = x.new_empty(batch, x.shape[1])

    def draw(self) -> tuple[Tensor, Tensor]:
        """The next minibatch (batch, visible) and its rows' numbers in x (batch,)."""
        if self.position + self.batch > len(self.x):
            self.order = torch.randperm(len(self.x), generator=self.generator, device=self.x.device)
            self.position = 0
        indices = self.order[self.position : self.position + self.batch]
        self.position += self.batch
        torch.index_select(self.x, 0, indices, out=self._buffer)
        if self.dynamic:
            return bernoulli(self._buffer, self.generator), indices
        return self._buffer, indices

    def state_dict(self) -> dict[str, Tensor]:
        return {"order": self.order, "position": torch.tensor(self.position)}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.order = state["order"].to(self.x.device)
        self.position = int(state["position"])
