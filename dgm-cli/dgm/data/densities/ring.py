"""Eight Gaussians on a circle of radius 1, standard deviation 0.01: the ring of PacGAN."""

from dgm.data.mixture import Mixture
from dgm.data.mixture import ring as on_a_circle

TITLE = "Ring of eight Gaussians"
REVISION = 1


def load() -> Mixture:
    return on_a_circle("ring", modes=8, radius=1.0, std=0.01)
