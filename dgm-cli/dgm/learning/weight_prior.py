"""What weights are taken to be like before any data are seen."""

from dataclasses import dataclass

from torch import Tensor

from dgm.fast.loops import pull


@dataclass(frozen=True)
class WeightPrior:
    """log p(W) = - decay |W|_2^2 / 2 - lasso |W|_1 - smoothness sum |W_i - W_j|^2 / 2 + const.

    The last sum is over pairs i, j of pixels that are neighbours in a column or a row of an image
    of this `shape`, whose pixels are the rows of W: a unit's weights may well be like those beside
    them.
    """

    decay: float = 0.0
    lasso: float = 0.0
    smoothness: float = 0.0
    shape: tuple[int, int] = (0, 0)

    @property
    def pulls(self) -> bool:
        """Whether its gradient is anything but 0."""
        return bool(self.decay or self.lasso or self.smoothness)

    def add_gradient(self, W: Tensor, gradient: Tensor) -> None:
        """Add d log p(W) / dW to `gradient`; both (visible, hidden)."""
        if not self.pulls:
            return  # or else a pass over all weights for nothing
        if W.is_cpu:
            pull(W, gradient, self.decay, self.lasso, self.smoothness, self.shape[1])
            return
        gradient.add_(W, alpha=-self.decay).add_(W.sign(), alpha=-self.lasso)
        if self.smoothness:
            image, slope = W.view(*self.shape, -1), gradient.view(*self.shape, -1)
            for side in range(2):
                last = image.shape[side] - 1
                step = image.narrow(side, 1, last) - image.narrow(side, 0, last)
                slope.narrow(side, 0, last).add_(step, alpha=self.smoothness)
                slope.narrow(side, 1, last).add_(step, alpha=-self.smoothness)


NO_PRIOR = WeightPrior()
