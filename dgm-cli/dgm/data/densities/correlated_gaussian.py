"""A correlated Gaussian in two dimensions, as in Bishop (2006), Figure 10.2."""

from dgm.data.mixture import Mixture, mixture

TITLE = "Correlated Gaussian"
REVISION = 1


def load() -> Mixture:
    return mixture("correlated_gaussian", [1.0], [[0.5, 0.5]], [[[1.0, 0.9], [0.9, 1.2]]])
