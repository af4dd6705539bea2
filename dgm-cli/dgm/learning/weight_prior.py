"""A prior on weights: small, sparse, or smooth over the image."""

from dataclasses import dataclass

from torch import Tensor

from dgm.fast.loops import add_prior_gradient


@dataclass(frozen=True)
class WeightPrior:
    """log p(W) = - decay |W|_2^2 / 2 - lasso |W|_1 - smoothness sum |W_i - W_j|^2 / 2 + const.

    The rows of W are the pixels of an image of this `shape`. The last sum is over pairs i, j of
    neighbours in a column or a row: a unit's weights to neighbouring pixels are probably similar.
    """

    decay: float = 0.0
    lasso: float = 0.0
    smoothness: float = 0.0
    shape: tuple[int, int] = (0, 0)

    @property
    def is_flat(self) -> bool:
        """Whether its gradient is 0 everywhere."""
        return not (self.decay or self.lasso or self.smoothness)

    def add_gradient(self, W: Tensor, gradient: Tensor) -> None:
        """Add d log p(W) / dW to `gradient`; both (visible, hidden)."""
        if self.is_flat:
            return  # spares a pass over all weights
        if W.is_cpu:
            strengths = self.decay, self.lasso, self.smoothness
            add_prior_gradient(W, gradient, *strengths, self.shape[1])
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
