"""How many steps of a stationary chain are worth one independent draw (Sokal 1997, section 3)."""

import torch
from torch import Tensor

BLOCK = 50  # quantities at a time
WINDOW = 5.0  # times the autocorrelation time: how many lags are summed


def autocorrelation_time(values: Tensor) -> float:
    """The integrated autocorrelation time in steps of values (steps, chains, quantities):

        tau = 1 + 2 sum_t rho(t),   t up to the first lag that is at least `WINDOW` tau.

    rho pools the autocovariances of all chains and quantities about each quantity's mean over all
    chains, which are many and start in equilibrium: a chain that does not move has its full
    variance, and not none. Effective draws are steps / tau. With a chain shorter than some dozen
    tau it is too low. Infinite where nothing ever differs between chains or steps.
    """
    steps = len(values)
    spectrum = torch.zeros(steps + 1, dtype=torch.float64)
    for part in values.split(BLOCK, 2):
        x = part.double()
        x = x - x.mean((0, 1))
        spectrum += torch.fft.rfft(x, 2 * steps, dim=0).abs().square().sum((1, 2))
    covariance = torch.fft.irfft(spectrum)[:steps]
    covariance /= torch.arange(steps, 0, -1, dtype=torch.float64)
    if covariance[0] <= 0:
        return float("inf")
    tau = 2 * (covariance / covariance[0]).cumsum(0) - 1
    enough = torch.arange(steps) >= WINDOW * tau
    last = int(enough.nonzero()[0]) if enough.any() else steps - 1
    return tau[last].item()
