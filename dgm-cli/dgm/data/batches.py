"""Minibatches whose place in the pass is saved and restored with a trial."""

import torch
from torch import Tensor

from dgm.errors import check_enough
from dgm.fast.draws import bernoulli


class Minibatches:
    """Shuffled passes over x (N, visible), `batch` rows at a time; a last short one is left out.

    With `dynamic`, every visit draws each pixel anew from Bernoulli(pixel). With `classes`, the
    rows' class numbers (N,), a pass takes classes 0, 1, 2 ... in turn: it repeats rows of rare
    classes and skips some of the frequent ones. The returned minibatch lies in a buffer that the
    next call overwrites.
    """

    def __init__(
        self,
        x: Tensor,
        batch: int,
        generator: torch.Generator,
        dynamic: bool = False,
        classes: Tensor | None = None,
    ) -> None:
        check_enough("batch", batch, len(x), "images")
        self.x, self.batch, self.generator, self.dynamic = x, batch, generator, dynamic
        self.order = torch.arange(len(x), device=x.device)
        self.position = len(x)
        self._members = [] if classes is None else _members(classes)
        self._buffer = x.new_empty(batch, x.shape[1])

    @property
    def per_epoch(self) -> int:
        return len(self.x) // self.batch

    def draw(self) -> tuple[Tensor, Tensor]:
        """The next minibatch (batch, visible) and its rows' numbers in x (batch,)."""
        if self.position + self.batch > self.order.shape[0]:
            self.order, self.position = self._shuffled(), 0
        indices = self.order[self.position : self.position + self.batch]
        self.position += self.batch
        torch.index_select(self.x, 0, indices, out=self._buffer)
        if self.dynamic:
            return bernoulli(self._buffer, self.generator), indices
        return self._buffer, indices

    def _shuffled(self) -> Tensor:
        if not self._members:
            return self._permutation(len(self.x))
        rows = -(-len(self.x) // len(self._members))  # of each class, rounded up
        columns = []
        for members in self._members:
            passes = [self._permutation(len(members)) for _ in range(-(-rows // len(members)))]
            columns.append(members[torch.cat(passes)[:rows]])
        return torch.stack(columns, 1).flatten()[: len(self.x)]

    def _permutation(self, n: int) -> Tensor:
        return torch.randperm(n, generator=self.generator, device=self.x.device)

    def state_dict(self) -> dict[str, Tensor]:
        return {"order": self.order, "position": torch.tensor(self.position)}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.order = state["order"].to(self.x.device)
        self.position = int(state["position"])


def _members(classes: Tensor) -> list[Tensor]:
    """The rows of each class that has any."""
    return [torch.nonzero(classes == c)[:, 0] for c in classes.unique()]
