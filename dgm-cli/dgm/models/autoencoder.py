"""Deep autoencoders (Hinton & Salakhutdinov 2006): an encoder to a linear code, a decoder back.

    code = encoder(x),   out = decoder(code),   hidden units logistic

Outputs are logistic for pixels, r = sigmoid(out), or for a document of N words softmax, r = N
softmax(out), x being counts; and what is learned is to lower the cross-entropy

    -sum_i (x_i log r_i + (1 - x_i) log(1 - r_i))   or   -sum_i (x_i / N) log softmax(out)_i ,

so that a long document has no more weight than a short one. With logistic outputs and no hidden
layers this is what the paper calls logistic PCA. Units: nats per image, or of a document per word.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import softplus

from dgm.models.mlp import MLP
from dgm.models.parameters import adjoin
from dgm.models.rbm import RBM


class Autoencoder:
    """Layers of `sizes`, pixels first and code last, and the same back; all in `flat`."""

    def __init__(
        self,
        sizes: Sequence[int],
        device: torch.device | str = "cpu",
        outputs: Literal["logistic", "softmax"] = "logistic",
    ) -> None:
        self.config = {"sizes": list(sizes), "outputs": outputs}
        self.softmax = outputs == "softmax"
        self.encoder = MLP(sizes, device, units="logistic")
        self.decoder = MLP(sizes[::-1], device, units="logistic")
        self.flat, self.gradient = adjoin(self.encoder.parameters, self.decoder.parameters)

    def initialise(self, generator: torch.Generator) -> None:
        """Every W ~ N(0, 1 / its inputs), every b = 0."""
        self.flat.zero_()
        for layer in (*self.encoder.layers, *self.decoder.layers):
            layer.W.normal_(0.0, len(layer.W) ** -0.5, generator=generator)

    def unroll(self, rbms: Sequence[RBM]) -> None:
        """Begin as a stack of RBMs, the lowest first: up by their weights, down by the same."""
        ups, downs = self.encoder.layers, self.decoder.layers[::-1]
        for up, down, rbm in zip(ups, downs, rbms, strict=True):
            up.W.copy_(rbm.parameters["W"])
            up.b.copy_(rbm.parameters["b"])
            down.W.copy_(rbm.parameters["W"].t())
            down.b.copy_(rbm.parameters["a"])

    def encode(self, x: Tensor) -> Tensor:
        """Codes (n, code)."""
        return _linear(self.encoder, x)[1]

    def decode(self, code: Tensor) -> Tensor:
        """Log odds of the pixels, or of words up to a constant, (n, visible)."""
        return _linear(self.decoder, code)[1]

    def reconstruct(self, x: Tensor) -> Tensor:
        """Pixels in [0, 1] or counts of words, (n, visible)."""
        return self.mean(x, self.decode(self.encode(x)))

    def mean(self, x: Tensor, logits: Tensor) -> Tensor:
        """r, given log odds; x tells how many words a document has."""
        if self.softmax:
            return logits.softmax(1) * _words(x)
        return logits.sigmoid()

    def cross_entropy(self, x: Tensor, logits: Tensor) -> Tensor:
        """Of each image or document, (n,)."""
        if self.softmax:
            return -(x / _words(x).clamp_min(1e-30) * logits.log_softmax(1)).sum(1)
        return (softplus(logits) - x * logits).sum(1)

    def backward(self, x: Tensor) -> Tensor:
        """Write the gradient of minus the mean cross-entropy; returns that mean, a scalar."""
        below, code = _linear(self.encoder, x)
        above, logits = _linear(self.decoder, code)
        loss = self.cross_entropy(x, logits).mean()
        d_logits = self._to_logits(x, logits).div_(len(x))
        d_code = self.decoder.to_input(self.decoder.backward(code, above, d_logits))
        self.encoder.backward(x, below, d_code)
        return loss

    def code_gradient(self, x: Tensor, code: Tensor) -> Tensor:
        """The derivative of minus each image's cross-entropy by its code, (n, code)."""
        above, logits = _linear(self.decoder, code)
        return self.decoder.to_input(self.decoder.to_first(above, self._to_logits(x, logits)))

    def _to_logits(self, x: Tensor, logits: Tensor) -> Tensor:
        """The derivative of minus each row's cross-entropy by its logits."""
        error = x - self.mean(x, logits)
        return error / _words(x).clamp_min(1e-30) if self.softmax else error

    def state_dict(self) -> dict[str, Tensor]:
        return {"parameters": self.flat}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.flat.copy_(state["parameters"])


def _words(x: Tensor) -> Tensor:
    return x.sum(1, keepdim=True)


def _linear(mlp: MLP, x: Tensor) -> tuple[list[Tensor], Tensor]:
    """Hidden states and output of a net that may have no hidden layer."""
    hidden = mlp.hidden(x)
    return hidden, mlp.output(hidden[-1] if hidden else x)
