"""A multilayer perceptron with a hand-written derivative.

    h_0 = x,   h_l = s(h_{l-1} W_l + b_l) for l = 1 .. L - 1,   out = h_{L-1} W_L + b_L

with s tanh or the logistic function 1 / (1 + exp(-x)).

Rows of every tensor are cases. A gradient is that of whatever function the derivative at the output
belongs to.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from dgm.fast.loops import Units, activation_backward, column_sums
from dgm.models.parameters import Parameters


class Layer(NamedTuple):
    """Views of one layer's parameters and of their gradients."""

    W: Tensor  # (inputs, units)
    Wt: Tensor  # (units, inputs)
    b: Tensor  # (units,)
    dW: Tensor  # as W is stored: (units, inputs) where `transposed`
    db: Tensor
    transposed: bool


class MLP:
    """Layers of the given sizes, input and output included, in one `Parameters`.

    With `wide_input` the first matrix is stored as (units, inputs), which makes its products faster
    when there are many inputs.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        device: torch.device | str = "cpu",
        wide_input: bool = False,
        units: Units = "tanh",
    ) -> None:
        self.units = units
        self._activation = torch.tanh_ if units == "tanh" else torch.sigmoid_
        self._pairs = list(zip(sizes, sizes[1:], strict=False))
        self._transposed = [wide_input] + [False] * (len(self._pairs) - 1)
        shapes: dict[str, tuple[int, ...]] = {}
        for i, (below, above) in enumerate(self._pairs):
            shapes[f"W{i + 1}"] = (above, below) if self._transposed[i] else (below, above)
            shapes[f"b{i + 1}"] = (above,)
        self.parameters = Parameters(shapes, device)
        self._layers: list[Layer] = []
        self._flat: Tensor | None = None

    @property
    def layers(self) -> list[Layer]:
        """From the input up. Rebuilt after `concatenate` has placed the parameters elsewhere."""
        p = self.parameters
        if self._flat is not p.flat:
            self._layers = []
            for i, transposed in enumerate(self._transposed, start=1):
                stored = p[f"W{i}"]
                W, Wt = (stored.t(), stored) if transposed else (stored, stored.t())
                dW, db = p.grad[f"W{i}"], p.grad[f"b{i}"]
                self._layers.append(Layer(W, Wt, p[f"b{i}"], dW, db, transposed))
            self._flat = p.flat
        return self._layers

    def initialise(self, generator: torch.Generator) -> None:
        """Every W ~ N(0, 1 / its inputs), every b = 0."""
        self.parameters.flat.zero_()
        for layer in self.layers:
            layer.W.normal_(0.0, len(layer.W) ** -0.5, generator=generator)

    def hidden(self, x: Tensor) -> list[Tensor]:
        """Every hidden layer's states, the lowest first, for x (n, inputs)."""
        states: list[Tensor] = []
        for layer in self.layers[:-1]:
            x = self._activation(torch.mm(x, layer.W).add_(layer.b))
            states.append(x)
        return states

    def output(self, top: Tensor, out: Tensor | None = None) -> Tensor:
        """The linear output, (n, outputs), from the highest hidden layer's states."""
        last = self.layers[-1]
        return torch.mm(top, last.W, out=out).add_(last.b)  # addmm would copy b to every row first

    def d_first_hidden(self, hidden: list[Tensor], d_output: Tensor) -> Tensor:
        """The derivative at the first hidden layer's input, (n, units), from that at the output."""
        d = d_output
        for layer, below in zip(self.layers[:0:-1], reversed(hidden), strict=True):
            d = activation_backward(self.units, below, torch.mm(d, layer.Wt))
        return d

    def backward(
        self, x: Tensor, hidden: list[Tensor], d_output: Tensor, scale: float = 1.0
    ) -> Tensor:
        """Write `scale` times the sum over cases of the derivative by each parameter.

        Returns the derivative at the first hidden layer's input, (n, units), without `scale`.
        """
        layers, d = self.layers, d_output
        column_sums(d_output, layers[-1].db, scale)
        for i in range(len(layers) - 1, -1, -1):
            layer, d_above = layers[i], d
            below = hidden[i - 1] if i else x
            if i:
                db = layers[i - 1].db
                d = activation_backward(self.units, below, torch.mm(d_above, layer.Wt), db, scale)
            left, right = (d_above, below) if layer.transposed else (below, d_above)
            torch.addmm(layer.dW, left.t(), right, beta=0, alpha=scale, out=layer.dW)
        return d

    def d_input(self, d_first: Tensor) -> Tensor:
        """The derivative at x, from that at the first hidden layer's input."""
        return torch.mm(d_first, self.layers[0].Wt)
