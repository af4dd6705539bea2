"""A learner's update as one CUDA graph.

An update on a minibatch of 100 images is some fifty kernels of a few microseconds each, which a
GPU is done with sooner than Python can ask for them; a recorded graph asks for all of them at once.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

import torch
from torch import Tensor

Returned = TypeVar("Returned")
Update = Callable[[Tensor, Tensor], Returned]  # of a minibatch and its rows' numbers

ASKED = 3  # updates that go their usual way first, in which libraries make themselves ready


def replayed(update: Update[Returned], generator: torch.Generator) -> Update[Returned]:
    """`update`, recorded and replayed if its generator is a GPU's; its numbers stay the same.

    For an update that always does the same to the same tensors: one that reads no number back,
    draws from no other generator, and sees no rate change. What it returns is overwritten by the
    next call.
    """
    return _Graph(update, generator) if generator.device.type == "cuda" else update


class _Graph(Generic[Returned]):
    def __init__(self, update: Update[Returned], generator: torch.Generator) -> None:
        self.update, self.generator = update, generator
        self.calls = 0

    def __call__(self, x: Tensor, indices: Tensor) -> Returned:
        self.calls += 1
        if self.calls <= ASKED:
            return self.update(x, indices)
        if self.calls == ASKED + 1:
            self._record(x, indices)
        self.x.copy_(x)
        self.indices.copy_(indices)
        self.graph.replay()
        return self.returned

    def _record(self, x: Tensor, indices: Tensor) -> None:
        """Nothing is computed here but where it will be."""
        self.x, self.indices = x.clone(), indices.clone()
        self.graph = torch.cuda.CUDAGraph()
        self.graph.register_generator_state(self.generator)
        with torch.cuda.graph(self.graph):
            self.returned = self.update(self.x, self.indices)
