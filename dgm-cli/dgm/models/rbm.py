"""The restricted Boltzmann machine (Smolensky 1986; Hinton 2002) with binary units.

    p(v, h) = exp(-E(v, h)) / Z,   -E(v, h) = v W h + a v + b h
    p(h_j = 1|v) = sigmoid(b + v W)_j,   p(v_i = 1|h) = sigmoid(a + h W^T)_i
    p(v) = exp(-F(v)) / Z,   -F(v) = a v + sum_j log(1 + exp(b + v W)_j)

Shapes: v (n, visible), h (n, hidden). Units: nats.
"""

import torch
from torch import Tensor
from torch.nn.functional import softplus

from dgm.draws import bernoulli
from dgm.models.parameters import Parameters

MOST = 25  # units of the smaller layer that `log_partition` enumerates


class RBM:
    """Weights W (visible, hidden), visible biases a, hidden biases b, in one vector `flat`."""

    def __init__(self, visible: int, hidden: int, device: torch.device | str = "cpu") -> None:
        if visible < 1 or hidden < 1:
            raise ValueError(f"an RBM of {visible} visible and {hidden} hidden units")
        self.config = {"visible": visible, "hidden": hidden}
        shapes = {"W": (visible, hidden), "a": (visible,), "b": (hidden,)}
        self.parameters = Parameters(shapes, device)

    @property
    def flat(self) -> Tensor:
        return self.parameters.flat

    def initialise(
        self, std: float, generator: torch.Generator, data: Tensor | None = None
    ) -> None:
        """W ~ N(0, std^2), b = 0; a = 0, or the log odds of each pixel's mean over `data`.

        The latter is Hinton's (2010, section 8) advice: no weight is spent on what pixels do alone.
        """
        p = self.parameters
        p.flat.zero_()
        p["W"].normal_(0.0, std, generator=generator)
        if data is not None:
            p["a"].copy_(log_odds(data))

    def hidden_mean(self, v: Tensor) -> Tensor:
        p = self.parameters
        return torch.addmm(p["b"], v, p["W"]).sigmoid_()

    def visible_mean(self, h: Tensor) -> Tensor:
        p = self.parameters
        return torch.addmm(p["a"], h, p["W"].t()).sigmoid_()

    def sample_hidden(self, v: Tensor, generator: torch.Generator) -> Tensor:
        return bernoulli(self.hidden_mean(v), generator)

    def sample_visible(self, h: Tensor, generator: torch.Generator) -> Tensor:
        return bernoulli(self.visible_mean(h), generator)

    def free_energy(self, v: Tensor) -> Tensor:
        """F(v) = -log sum_h exp(-E(v, h)), (n,)."""
        p = self.parameters
        return -(v @ p["a"]) - softplus(torch.addmm(p["b"], v, p["W"])).sum(1)

    def log_partition(self, block: int = 2**14) -> float:
        """log Z exactly, by enumerating the states of the smaller layer (25 units at most)."""
        p = self.parameters
        W, a, b = (p[name].double() for name in ("W", "a", "b"))
        if W.shape[0] > W.shape[1]:
            W, a, b = W.t(), b, a
        n = len(a)
        if n > MOST:
            raise ValueError(
                f"log Z of {n} units on the smaller side: more than {MOST} is too many"
            )
        parts = []
        for codes in torch.arange(2**n, device=W.device).split(block):
            v = states(codes, n)
            parts.append(torch.logsumexp(v @ a + softplus(v @ W + b).sum(1), 0))
        return torch.logsumexp(torch.stack(parts), 0).item()

    def state_dict(self) -> dict[str, Tensor]:
        return {"parameters": self.flat}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.flat.copy_(state["parameters"])


def states(codes: Tensor, n: int) -> Tensor:
    """The binary digits of whole numbers, lowest first: (len(codes), n), double precision."""
    return (codes[:, None] >> torch.arange(n, device=codes.device) & 1).double()


def log_odds(data: Tensor) -> Tensor:
    """log p / (1 - p) of each pixel's mean over rows, kept finite by one count on either side."""
    p = (data.sum(0) + 1) / (len(data) + 2)
    return torch.log(p) - torch.log1p(-p)
