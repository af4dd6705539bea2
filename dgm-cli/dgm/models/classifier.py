"""A feed-forward net with softmax outputs: log p(label|x) = out_label - log sum_c exp(out_c)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from dgm.fast.loops import Units, activation_backward
from dgm.models.mlp import MLP
from dgm.models.parameters import FlatModel
from dgm.models.rbm import RBM


class Classifier(FlatModel):
    """Layers of `sizes`, the number of pixels first and of classes last."""

    def __init__(
        self, sizes: Sequence[int], units: Units = "logistic", device: torch.device | str = "cpu"
    ) -> None:
        self.config = {"sizes": list(sizes), "units": units}
        self.mlp = MLP(sizes, device, units=units)
        self.parameters = self.mlp.parameters

    @property
    def output_parameters(self) -> int:
        """The number of the output layer's parameters, which come last in `flat`."""
        last = self.mlp.layers[-1]
        return last.W.numel() + last.b.numel()

    def initialise(self, generator: torch.Generator) -> None:
        """As `MLP.initialise`."""
        self.mlp.initialise(generator)

    def stack(self, rbms: Sequence[RBM]) -> None:
        """Copy the hidden layers' weights from greedily trained RBMs, the lowest first."""
        for layer, rbm in zip(self.mlp.layers, rbms, strict=False):
            layer.W.copy_(rbm.parameters["W"])
            layer.b.copy_(rbm.parameters["b"])

    def log_probabilities(self, x: Tensor) -> Tensor:
        """log p(label|x) of every label, (n, classes)."""
        return torch.log_softmax(self.mlp.output(self.mlp.hidden(x)[-1]), 1)

    def classify(self, x: Tensor, block: int = 1000) -> Tensor:
        """The most likely label, (n,)."""
        return torch.cat([self.log_probabilities(part).argmax(1) for part in x.split(block)])

    def backward(self, x: Tensor, labels: Tensor) -> Tensor:
        """Write the gradient of the mean log p(label|x) and return minus that mean, a scalar."""
        hidden = self.mlp.hidden(x)
        log_p = torch.log_softmax(self.mlp.output(hidden[-1]), 1)
        d_output = -log_p.exp()
        d_output[torch.arange(len(x), device=x.device), labels] += 1
        self.mlp.backward(x, hidden, d_output / len(x))
        return -log_p.gather(1, labels[:, None]).mean()

    def backward_thinned(self, x: Tensor, labels: Tensor, masks: Sequence[Tensor]) -> Tensor:
        """As `backward`, for states times `masks`, (n, units) each: the input's first, then those
        of the hidden layers (dropout)."""
        layers, units = self.mlp.layers, self.mlp.units
        inputs, states = [x * masks[0]], []
        for layer, mask in zip(layers, masks[1:], strict=False):
            pre = torch.mm(inputs[-1], layer.W).add_(layer.b)
            states.append(pre.tanh_() if units == "tanh" else pre.sigmoid_())
            inputs.append(states[-1] * mask)
        log_p = torch.log_softmax(self.mlp.output(inputs[-1]), 1)
        d = -log_p.exp()
        d[torch.arange(len(x), device=x.device), labels] += 1
        d /= len(x)
        for i in reversed(range(len(layers))):
            torch.mm(inputs[i].t(), d, out=layers[i].dW)
            torch.sum(d, 0, out=layers[i].db)
            if i:
                d_state = torch.mm(d, layers[i].Wt).mul_(masks[i])
                d = activation_backward(units, states[i - 1], d_state)
        return -log_p.gather(1, labels[:, None]).mean()
