"""What a loop keeps and saves in its checkpoints: copies of a parameter vector, and images."""

import torch
from torch import Tensor

from dgm.state import State


class Snapshots(State):
    """Copies of a parameter vector at chosen steps, and the seconds at which they were taken."""

    saved = ("vectors", "seconds")

    def __init__(self, vector: Tensor, steps: list[int]) -> None:
        self.vector, self.steps = vector, steps
        self.vectors = torch.zeros(len(steps), len(vector), dtype=vector.dtype)
        self.seconds = torch.zeros(len(steps), dtype=torch.float64)
        self._index = {step: i for i, step in enumerate(steps)}

    def keep(self, step: int, seconds: float) -> None:
        """Copy the vector if `step` is one of those chosen."""
        i = self._index.get(step)
        if i is not None:
            self.vectors[i] = self.vector
            self.seconds[i] = seconds


class Average(State):
    """The mean of the values that a parameter vector had at each `take`."""

    saved = ("vector", "taken")

    def __init__(self, vector: Tensor) -> None:
        self._watched, self.vector = vector, vector.clone()
        self.taken = torch.tensor(0)

    def take(self) -> None:
        self.taken += 1
        self.vector.lerp_(self._watched, 1 / self.taken.item())


class Best(State):
    """A copy of a parameter vector as it was when a score was highest."""

    saved = ("vector", "score", "step")

    def __init__(self, vector: Tensor) -> None:
        self._watched, self.vector = vector, vector.clone()
        # Not -inf: a checkpoint must be finite.
        self.score = torch.tensor(torch.finfo(torch.float64).min, dtype=torch.float64)
        self.step = torch.tensor(0)

    def offer(self, score: float, step: int) -> None:
        """Copy the vector if `score`, that of validation data, is the highest yet."""
        if score > self.score:
            self.vector.copy_(self._watched)
            self.score.fill_(score)
            self.step.fill_(step)


class Seen(State):
    """Images kept at chosen moments, (moments, n, visible)."""

    saved = ("images",)

    def __init__(self, moments: int, n: int, visible: int, device: torch.device) -> None:
        self.images = torch.zeros(moments, n, visible, device=device)
