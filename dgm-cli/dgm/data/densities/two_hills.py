"""Two tilted Gaussians in two dimensions, as in Bishop (2006), Figure 10.3."""

from dgm.data.mixture import Mixture, mixture

TITLE = "Two hills in the plane"
REVISION = 1
TILTED = [[0.5, -0.3], [-0.3, 0.7]]


def load() -> Mixture:
    return mixture("two_hills", [0.6, 0.4], [[-1.5, -1.2], [1.5, 1.2]], [TILTED, TILTED])
