"""Two Gaussians on the line, unequal in weight and width."""

from dgm.data.mixture import Mixture, mixture

TITLE = "Two bumps on the line"
REVISION = 1


def load() -> Mixture:
    return mixture("two_bumps", [0.4, 0.6], [[-1.5], [1.0]], [[[0.4**2]], [[0.6**2]]])
