"""The deep belief net with labels of Hinton, Osindero & Teh (2006).

Directed layers below an undirected top, which sees the highest of them and a label:

    p(v, h_1, .., h_L, label, t) = p(v|h_1) p(h_1|h_2) .. p(h_{L-1}|h_L) p(h_L, label, t)

with sigmoid units in each p(below|above) and a `LabelRBM` as the last factor. Separate recognition
weights lead up: q(h_1|v) q(h_2|h_1) ... Shapes: v (n, visible), labels (n, labels) with one 1.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from dgm.fast.draws import bernoulli
from dgm.models.parameters import FlatModel, Parameters, concatenate
from dgm.models.rbm import RBM, LabelRBM


class DBN(FlatModel):
    """`recognition[l]` from layer l to l + 1, `generative[l]` back, `top`; all in `flat`."""

    def __init__(
        self,
        visible: int,
        hidden: Sequence[int],
        top: int,
        labels: int,
        device: torch.device | str = "cpu",
    ) -> None:
        self.config = {"visible": visible, "hidden": list(hidden), "top": top, "labels": labels}
        self.visible, sizes = visible, [visible, *hidden]
        pairs = list(zip(sizes, sizes[1:], strict=False))
        self.recognition = [
            Parameters({"W": (below, above), "b": (above,)}, device) for below, above in pairs
        ]
        self.generative = [
            Parameters({"W": (above, below), "b": (below,)}, device) for below, above in pairs
        ]
        self.top = LabelRBM(sizes[-1], labels, top, device)
        self.parameters = concatenate(*self.recognition, *self.generative, self.top.parameters)

    def stack(self, rbms: Sequence[RBM]) -> None:
        """Copy greedily trained RBMs, from the data up; their tied weights are untied from now on.

        The last RBM becomes the top.
        """
        for up, down, rbm in zip(self.recognition, self.generative, rbms[:-1], strict=True):
            up["W"].copy_(rbm.parameters["W"])
            up["b"].copy_(rbm.parameters["b"])
            down["W"].copy_(rbm.parameters["W"].t())
            down["b"].copy_(rbm.parameters["a"])
        self.top.flat.copy_(rbms[-1].flat)

    def up(self, v: Tensor, generator: torch.Generator | None = None) -> list[Tensor]:
        """h_1 .. h_L by recognition: samples, or without a generator probabilities."""
        states: list[Tensor] = []
        for layer in self.recognition:
            mean = conditional(layer, states[-1] if states else v)
            states.append(bernoulli(mean, generator) if generator else mean)
        return states

    def down(self, h: Tensor, generator: torch.Generator) -> list[Tensor]:
        """h_{L-1} .. h_1 sampled and then the probabilities of v, given h_L = h."""
        states = [h]
        for layer in reversed(self.generative[1:]):
            states.append(bernoulli(conditional(layer, states[-1]), generator))
        return [*states[1:], conditional(self.generative[0], states[-1])]

    def label_logits(self, v: Tensor) -> Tensor:
        """Minus the top's free energy of each label after a deterministic pass up, (n, labels)."""
        return self.top.label_logits(self.up(v)[-1])

    def classify(self, v: Tensor, block: int = 1000) -> Tensor:
        """The label with the lowest free energy, (n,)."""
        return torch.cat([self.label_logits(part).argmax(1) for part in v.split(block)])


def conditional(layer: Parameters, given: Tensor) -> Tensor:
    """The probability that each unit of a layer is on, given the states of the next layer."""
    return torch.addmm(layer["b"], given, layer["W"]).sigmoid_()
