"""Deep autoencoders (Hinton & Salakhutdinov 2006): an encoder to a linear code, a decoder back.

    code = encoder(x),   out = decoder(code),   hidden units logistic

For pixels the outputs are logistic, r = sigmoid(out). For a document of N words, with counts x,
they are a softmax, r = N softmax(out). Learning lowers the cross-entropy

    -sum_i (x_i log r_i + (1 - x_i) log(1 - r_i))   or   -sum_i (x_i / N) log softmax(out)_i ,

in which long and short documents have the same weight. With logistic outputs and no hidden layers
this is what the paper calls logistic PCA. Units: nats, per image or per word of a document.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import softplus

from dgm.models.mlp import MLP
from dgm.models.parameters import FlatModel, concatenate
from dgm.models.rbm import RBM


class Autoencoder(FlatModel):
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
        self.parameters = concatenate(self.encoder.parameters, self.decoder.parameters)

    def initialise(self, generator: torch.Generator) -> None:
        """As `MLP.initialise`, the encoder and then the decoder."""
        self.encoder.initialise(generator)
        self.decoder.initialise(generator)

    def unroll(self, rbms: Sequence[RBM]) -> None:
        """Copy the weights of a stack of RBMs, the lowest first, into encoder and decoder."""
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
        """Log odds of the pixels, or log probabilities of words up to a constant, (n, visible)."""
        return _linear(self.decoder, code)[1]

    def reconstruct(self, x: Tensor) -> Tensor:
        """Pixels in [0, 1] or counts of words, (n, visible)."""
        return self.mean(x, self.decode(self.encode(x)))

    def mean(self, x: Tensor, logits: Tensor) -> Tensor:
        """r, given the decoder's output; x gives the number of words of a document."""
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
        up, code = _linear(self.encoder, x)
        down, logits = _linear(self.decoder, code)
        loss = self.cross_entropy(x, logits).mean()
        d_logits = self._d_logits(x, logits).div_(len(x))
        d_code = self.decoder.d_input(self.decoder.backward(code, down, d_logits))
        self.encoder.backward(x, up, d_code)
        return loss

    def code_gradient(self, x: Tensor, code: Tensor) -> Tensor:
        """The derivative of minus each image's cross-entropy by its code, (n, code)."""
        down, logits = _linear(self.decoder, code)
        d_first = self.decoder.d_first_hidden(down, self._d_logits(x, logits))
        return self.decoder.d_input(d_first)

    def _d_logits(self, x: Tensor, logits: Tensor) -> Tensor:
        """The derivative of minus each row's cross-entropy by its logits."""
        error = x - self.mean(x, logits)
        return error / _words(x).clamp_min(1e-30) if self.softmax else error


def _words(x: Tensor) -> Tensor:
    return x.sum(1, keepdim=True)


def _linear(mlp: MLP, x: Tensor) -> tuple[list[Tensor], Tensor]:
    """Hidden states and output of a net that may have no hidden layer."""
    hidden = mlp.hidden(x)
    return hidden, mlp.output(hidden[-1] if hidden else x)
