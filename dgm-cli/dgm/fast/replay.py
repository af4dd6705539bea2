"""A learner's update as one CUDA graph.

An update on a minibatch of 100 images consists of some fifty kernels of a few microseconds each,
which a GPU finishes sooner than Python can launch them. A recorded graph launches all of them at
once.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

import torch
from torch import Tensor

Returned = TypeVar("Returned")
Update = Callable[[Tensor, Tensor], Returned]  # of a minibatch and the indices of its rows

WARM_UP = 3  # updates before the recording, in which libraries initialise themselves


def replayed(update: Update[Returned], generator: torch.Generator) -> Update[Returned]:
    """`update`, recorded and replayed if its generator is on a GPU; its numbers stay the same.

    The update must do the same to the same tensors every time: read no number back, draw from no
    other generator, and have a constant rate. The next call overwrites what it returns.
    """
    return _Graph(update, generator) if generator.device.type == "cuda" else update


class _Graph(Generic[Returned]):
    def __init__(self, update: Update[Returned], generator: torch.Generator) -> None:
        self.update, self.generator = update, generator
        self.calls = 0

    def __call__(self, x: Tensor, indices: Tensor) -> Returned:
        self.calls += 1
        if self.calls <= WARM_UP:
            return self.update(x, indices)
        if self.calls == WARM_UP + 1:
            self._record(x, indices)
        self.x.copy_(x)
        self.indices.copy_(indices)
        self.graph.replay()
        return self.returned

    def _record(self, x: Tensor, indices: Tensor) -> None:
        """Record the kernels and where they read and write; nothing is computed yet."""
        self.x, self.indices = x.clone(), indices.clone()
        self.graph = torch.cuda.CUDAGraph()
        self.graph.register_generator_state(self.generator)
        with torch.cuda.graph(self.graph):
            self.returned = self.update(self.x, self.indices)
