"""A multilayer perceptron with tanh units that knows its own derivative.

    h_0 = x,   h_l = tanh(h_{l-1} W_l + b_l) for l = 1 .. L - 1,   out = h_{L-1} W_L + b_L

Rows of every tensor are cases. Gradients point the way the given derivative does.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from dgm.models.parameters import Parameters


class MLP:
    """Layers of the given sizes, input and output included, in one `Parameters`.

    With `wide_input` the first matrix is stored as (units, inputs): the layout in which its
    products run fastest where the inputs are many.
    """

    def __init__(
        self, sizes: Sequence[int], device: torch.device | str = "cpu", wide_input: bool = False
    ) -> None:
        shapes: dict[str, tuple[int, ...]] = {}
        for layer, (below, above) in enumerate(zip(sizes, sizes[1:], strict=False), start=1):
            turned = wide_input and layer == 1
            shapes[f"W{layer}"] = (above, below) if turned else (below, above)
            shapes[f"b{layer}"] = (above,)
        self.parameters = Parameters(shapes, device)
        self.layers = len(sizes) - 1
        self._wide_input = wide_input

    def weight(self, layer: int) -> Tensor:
        """W of a layer, counted from 1, as (inputs, units)."""
        W = self.parameters[f"W{layer}"]
        return W.t() if self._wide_input and layer == 1 else W

    def hidden(self, x: Tensor) -> list[Tensor]:
        """Every hidden layer's states, the lowest first, for x (n, inputs)."""
        states: list[Tensor] = []
        for layer in range(1, self.layers):
            below = states[-1] if states else x
            pre = torch.addmm(self.parameters[f"b{layer}"], below, self.weight(layer))
            states.append(_tanh(pre))
        return states

    def output(self, top: Tensor, out: Tensor | None = None) -> Tensor:
        """The linear output, (n, outputs), from the highest hidden layer's states."""
        return torch.addmm(
            self.parameters[f"b{self.layers}"], top, self.weight(self.layers), out=out
        )

    def to_first(self, hidden: list[Tensor], d_output: Tensor) -> Tensor:
        """The derivative at the first tanh's input, (n, units), from that at the output."""
        d = d_output
        for layer in range(self.layers, 1, -1):
            d = _through_tanh(hidden[layer - 2], d @ self.weight(layer).t())
        return d

    def backward(
        self, x: Tensor, hidden: list[Tensor], d_output: Tensor, scale: float = 1.0
    ) -> Tensor:
        """Write `scale` times the sum over cases of the derivative by each parameter.

        Returns the derivative at the first tanh's input, (n, units), without `scale`.
        """
        grad, d = self.parameters.grad, d_output
        for layer in range(self.layers, 0, -1):
            below = hidden[layer - 2] if layer > 1 else x
            above = d
            if layer > 1:
                d = _through_tanh(below, above @ self.weight(layer).t())
            if scale != 1.0:
                below = below * scale
            if self._wide_input and layer == 1:
                torch.mm(above.t(), below, out=grad[f"W{layer}"])
            else:
                torch.mm(below.t(), above, out=grad[f"W{layer}"])
            torch.sum(above, 0, out=grad[f"b{layer}"])
            if scale != 1.0:
                grad[f"b{layer}"].mul_(scale)
        return d

    def to_input(self, d_first: Tensor) -> Tensor:
        """The derivative at x, from that at the first tanh's input."""
        return d_first @ self.weight(1).t()


def _tanh(pre: Tensor) -> Tensor:
    """tanh, in place, as 2 sigmoid(2 x) - 1, which is faster than torch's own on a CPU."""
    return pre.mul_(2.0).sigmoid_().mul_(2.0).sub_(1.0)


def _through_tanh(hidden: Tensor, d_hidden: Tensor) -> Tensor:
    """d/dinput = d/dhidden * (1 - hidden^2), in place."""
    return d_hidden.addcmul_(d_hidden * hidden, hidden, value=-1)
