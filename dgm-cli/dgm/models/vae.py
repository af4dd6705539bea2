"""The variational autoencoder of Kingma & Welling (2014), Appendix C, in two halves.

    p(z) = N(0, I),   q(z|x) = N(mean, diag(std^2)),
    p(x|z) = prod_i Bernoulli(x_i | sigmoid(logits_i))   or   prod_i N(x_i | mean_i, std_i^2)

Each half is an MLP with tanh layers and a hand-written derivative, so that every algorithm over
them (AEVB, wake-sleep, Monte Carlo EM, HMC) reads as the equations it implements. Trained by
wake-sleep, the same two halves are the Helmholtz machine of the comparison: only the learning
differs. Monte Carlo EM fits the decoder alone.
Gradients point uphill. Shapes: x (batch, visible), z (batch, latent). Units: nats, per image.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import softplus

from dgm.fast.draws import bernoulli
from dgm.models.mlp import MLP
from dgm.models.parameters import FlatModel, Parameters, concatenate

LOG_2PI = math.log(2 * math.pi)
STD_FLOOR = 1 / 255  # of a Gaussian pixel: one grey level


class Posterior(NamedTuple):
    """q(z|x) = N(mean, diag(exp(log_variance))), and the hidden states that led to it."""

    output: Tensor  # (batch, 2 latent): means, then log variances
    hidden: list[Tensor]  # each (batch, units)

    @property
    def mean(self) -> Tensor:
        """(batch, latent)."""
        return self.output[:, : self.output.shape[1] // 2]

    @property
    def log_variance(self) -> Tensor:
        """(batch, latent)."""
        return self.output[:, self.output.shape[1] // 2 :]

    def sample(self, noise: Tensor) -> Tensor:
        """z = mean + std * noise, for noise ~ N(0, I) of shape (..., batch, latent)."""
        return self.mean + torch.exp(0.5 * self.log_variance) * noise


class GaussianEncoder:
    """q(z|x): (mean, log variance) are the two halves of an MLP's output."""

    def __init__(
        self,
        visible: int,
        hidden: Sequence[int],
        latent_dim: int,
        device: torch.device | str = "cpu",
    ) -> None:
        self.latent_dim = latent_dim
        self.mlp = MLP([visible, *hidden, 2 * latent_dim], device, wide_input=True)

    @property
    def parameters(self) -> Parameters:
        return self.mlp.parameters

    def __call__(self, x: Tensor) -> Posterior:
        hidden = self.mlp.hidden(x)
        return Posterior(self.mlp.output(hidden[-1]), hidden)

    def backward(self, x: Tensor, q: Posterior, d_output: Tensor) -> None:
        """Write d/dparameters, mean over the batch, from the derivative at q's output."""
        self.mlp.backward(x, q.hidden, d_output, scale=1 / x.shape[0])


class Decoder(ABC):
    """p(x|z) given by an MLP's output, and p(x, z) with the prior N(0, I) on z."""

    outputs_per_pixel = 1

    def __init__(
        self,
        visible: int,
        hidden: Sequence[int],
        latent_dim: int,
        device: torch.device | str = "cpu",
    ) -> None:
        self.latent_dim = latent_dim
        self.mlp = MLP([latent_dim, *hidden, self.outputs_per_pixel * visible], device)
        self._buffer = torch.empty(0, device=device)

    @property
    def parameters(self) -> Parameters:
        return self.mlp.parameters

    @abstractmethod
    def mean(self, z: Tensor) -> Tensor:
        """E[x|z], (batch, visible)."""

    @abstractmethod
    def sample(self, z: Tensor, generator: torch.Generator) -> Tensor:
        """Draw x ~ p(x|z)."""

    @abstractmethod
    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x|z) for z (samples, batch, latent) and x (batch, visible): (samples, batch)."""

    @abstractmethod
    def log_likelihood_pairs(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x_n|z_k) of every pair, for x (n, visible) and z (k, latent): (k, n)."""

    @abstractmethod
    def _d_output(self, x: Tensor, output: Tensor) -> Tensor:
        """d log p(x|z) / doutput, written over `output`."""

    def log_joint(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x, z), shapes as in `log_likelihood`."""
        prior = -0.5 * (z.square().sum(2) + self.latent_dim * LOG_2PI)
        return self.log_likelihood(x, z) + prior

    def d_log_joint(self, x: Tensor, z: Tensor) -> Tensor:
        """d log p(x, z) / dz for x (batch, visible) and z (batch, latent): (batch, latent)."""
        hidden = self.mlp.hidden(z)
        d_first = self.mlp.d_first_hidden(hidden, self._d_output(x, self._output(hidden[-1])))
        return torch.addmm(z, d_first, self.mlp.layers[0].Wt, beta=-1)

    def backward(self, x: Tensor, z: Tensor) -> Tensor:
        """Write the mean over the batch of d log p(x|z) / dparameters.

        Returns d log p(x|z) / d(first tanh's input), (batch, units), for `d_latent`.
        """
        hidden = self.mlp.hidden(z)
        d_output = self._d_output(x, self._output(hidden[-1]))
        return self.mlp.backward(z, hidden, d_output, scale=1 / x.shape[0])

    def d_latent(self, d_first: Tensor) -> Tensor:
        """d log p(x|z) / dz, (batch, latent), from what `backward` returned."""
        return self.mlp.d_input(d_first)

    def _output(self, top: Tensor) -> Tensor:
        """The MLP's output, in a buffer that the next call overwrites."""
        shape = top.shape[0], self.mlp.layers[-1].b.shape[0]
        if self._buffer.shape != shape:
            self._buffer = top.new_empty(shape)
        return self.mlp.output(top, out=self._buffer)


class BernoulliDecoder(Decoder):
    """The output is each pixel's logit.

    With x in {0, 1} the likelihood is normalised. With x in [0, 1] the same formula,
    sum_i x_i log y_i + (1 - x_i) log(1 - y_i), is not a density over x: label it unnormalised.
    """

    def mean(self, z: Tensor) -> Tensor:
        """E[x|z]: the probability of each pixel, (batch, visible)."""
        return self.mlp.output(self.mlp.hidden(z)[-1]).sigmoid_()

    def sample(self, z: Tensor, generator: torch.Generator) -> Tensor:
        return bernoulli(self.mean(z), generator)

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        last = self.mlp.layers[-1]
        samples, batch, _ = z.shape
        hidden = self.mlp.hidden(z.flatten(0, 1))[-1]
        # x . logits = (V x) . hidden + x . c: no pass over samples * batch * visible numbers.
        data_term = (hidden.view(samples, batch, -1) * (x @ last.Wt)).sum(2) + x @ last.b
        # In blocks that fit into the cache, so that the logits of all samples never exist at once.
        parts = hidden.split(512)
        normaliser = torch.cat([softplus(self.mlp.output(part)).sum(1) for part in parts])
        return data_term - normaliser.view(samples, batch)

    def log_likelihood_pairs(self, x: Tensor, z: Tensor) -> Tensor:
        logits = self.mlp.output(self.mlp.hidden(z)[-1])
        return logits @ x.t() - softplus(logits).sum(1, keepdim=True)

    def _d_output(self, x: Tensor, output: Tensor) -> Tensor:
        """x - E[x|z]."""
        return torch.sub(x, output.sigmoid_(), out=output)


class GaussianDecoder(Decoder):
    """The output is (a, r) of each pixel: mean sigmoid(a), variance STD_FLOOR^2 + exp(r).

    The floor keeps the density finite where a pixel never varies. Pixels are treated as real
    numbers: the log density can be positive, and differs from that of grey levels by a constant.
    """

    outputs_per_pixel = 2

    def mean(self, z: Tensor) -> Tensor:
        return self._moments(z)[0]

    def sample(self, z: Tensor, generator: torch.Generator) -> Tensor:
        mean, variance = self._moments(z)
        noise = torch.randn(mean.shape, generator=generator, device=z.device)
        return mean + variance.sqrt() * noise

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        return torch.stack([_log_normal(x, *self._moments(one)) for one in z])

    def log_likelihood_pairs(self, x: Tensor, z: Tensor) -> Tensor:
        moments = zip(*self._moments(z), strict=True)
        return torch.stack([_log_normal(x, mean, variance) for mean, variance in moments])

    def _moments(self, z: Tensor) -> tuple[Tensor, Tensor]:
        a, r = self.mlp.output(self.mlp.hidden(z)[-1]).chunk(2, dim=1)
        return a.sigmoid(), r.exp() + STD_FLOOR**2

    def _d_output(self, x: Tensor, output: Tensor) -> Tensor:
        """With e = (x - mean)^2 / variance:

        d/da = (x - mean) / variance * mean (1 - mean),   d/dr = (e - 1) / 2 * exp(r) / variance
        """
        a, r = output.chunk(2, dim=1)
        mean, scale = a.sigmoid(), r.exp()
        variance = scale + STD_FLOOR**2
        error = x - mean
        scaled = error / variance
        torch.mul(error * scaled - 1, scale.div_(variance).mul_(0.5), out=r)
        torch.mul(scaled, mean.addcmul_(mean, mean, value=-1), out=a)
        return output


def _log_normal(x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """log N(x; mean, diag(variance)), summed over the last dimension."""
    return -0.5 * ((x - mean).square() / variance + variance.log() + LOG_2PI).sum(-1)


DECODERS: dict[str, type[Decoder]] = {"bernoulli": BernoulliDecoder, "gaussian": GaussianDecoder}


class VAE(FlatModel):
    """Both halves, their parameters end to end in one vector `flat` (and `gradient`).

    `hidden` is the number of units in each half's hidden layer, or a list of them: the encoder's
    layers come in this order from x, the decoder's in the reverse order from z.
    """

    def __init__(
        self,
        visible: int,
        hidden: int | Sequence[int],
        latent_dim: int,
        device: torch.device | str = "cpu",
        decoder: str = "bernoulli",
    ) -> None:
        self.config = {
            "visible": visible,
            "hidden": hidden,
            "latent_dim": latent_dim,
            "decoder": decoder,
        }
        units = [hidden] if isinstance(hidden, int) else list(hidden)
        self.encoder = GaussianEncoder(visible, units, latent_dim, device)
        self.decoder = DECODERS[decoder](visible, units[::-1], latent_dim, device)
        self.parameters = concatenate(self.encoder.parameters, self.decoder.parameters)

    def initialise(self, std: float | None, generator: torch.Generator) -> None:
        """Draw every parameter from N(0, std^2).

        Without `std`, matrices are drawn from N(0, 1 / inputs) and biases are 0, so that the input
        of tanh has a variance of about 1 or less however wide the layer below is.
        """
        self.flat.normal_(0.0, std or 1.0, generator=generator)
        for mlp in (self.encoder.mlp, self.decoder.mlp) if std is None else ():
            for layer in mlp.layers:
                layer.W.div_(layer.W.shape[0] ** 0.5)
                layer.b.zero_()
