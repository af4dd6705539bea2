"""Restricted Boltzmann machines (Smolensky 1986; Hinton 2002).

    p(v, h) = exp(-E(v, h)) / Z,   -E(v, h) = v W h + a v + b h
    p(h_j = 1|v) = sigmoid(b + v W)_j,   p(v_i = 1|h) = sigmoid(a + h W^T)_i
    p(v) = exp(-F(v)) / Z,   -F(v) = a v + sum_j log(1 + exp(b + v W)_j)

The visible units are binary (`RBM`), binary with a group of label units of which exactly one is on
(`LabelRBM`), or counts of words (`SoftmaxRBM`). In a `LinearRBM` the hidden units are real.
Shapes: v (n, visible), h (n, hidden). Units: nats.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import softplus

from dgm.errors import Diverged
from dgm.fast.draws import bernoulli
from dgm.models.parameters import FlatModel, Parameters

MAX_UNITS = 25  # of the layer that `log_partition` enumerates


class RBM(FlatModel):
    """Weights W (visible, hidden), visible biases a, hidden biases b, in one vector `flat`."""

    parameters: Parameters

    def __init__(self, visible: int, hidden: int, device: torch.device | str = "cpu") -> None:
        if visible < 1 or hidden < 1:
            raise ValueError(f"an RBM of {visible} visible and {hidden} hidden units")
        self.config = {"visible": visible, "hidden": hidden}
        shapes = {"W": (visible, hidden), "a": (visible,), "b": (hidden,)}
        self.parameters = Parameters(shapes, device)

    def initialise(
        self, std: float, generator: torch.Generator, data: Tensor | None = None
    ) -> None:
        """W ~ N(0, std^2), b = 0; a = 0, or with `data` the biases that fit p(v) without weights.

        The latter is Hinton's (2010, section 8) advice: the weights then need not learn the means.
        """
        p = self.parameters
        p.flat.zero_()
        p["W"].normal_(0.0, std, generator=generator)
        if data is not None:
            p["a"].copy_(self.biases_of(data))

    def biases_of(self, data: Tensor) -> Tensor:
        """The visible biases of the machine without weights that fits the data best."""
        return log_odds(data)

    def hidden_mean(self, v: Tensor) -> Tensor:
        p = self.parameters
        return torch.addmm(p["b"], v, p["W"]).sigmoid_()

    def visible_mean(self, h: Tensor) -> Tensor:
        p = self.parameters
        return torch.addmm(p["a"], h, p["W"].t()).sigmoid_()

    def sample_hidden(self, v: Tensor, generator: torch.Generator) -> Tensor:
        return self.draw_hidden(self.hidden_mean(v), generator)

    def sample_visible(self, h: Tensor, generator: torch.Generator) -> Tensor:
        return self.draw_visible(self.visible_mean(h), generator)

    def reconstruct(self, v: Tensor, h: Tensor) -> Tensor:
        """E[v'|h] for a v' of the same size as v, which matters for documents only."""
        return self.visible_mean(h)

    def statistic(self, v: Tensor) -> Tensor:
        """What multiplies h in the gradient of the weights: v, but for documents."""
        return v

    def draw_hidden(self, mean: Tensor, generator: torch.Generator) -> Tensor:
        """h ~ p(h|v), given its mean, which determines it."""
        return bernoulli(mean, generator)

    def draw_visible(self, mean: Tensor, generator: torch.Generator) -> Tensor:
        """v ~ p(v|h), likewise."""
        return bernoulli(mean, generator)

    def free_energy(self, v: Tensor) -> Tensor:
        """F(v) = -log sum_h exp(-E(v, h)), (n,)."""
        p = self.parameters
        return -(v @ p["a"]) - softplus(torch.addmm(p["b"], v, p["W"])).sum(1)

    def log_partition(self, block: int = 2**14) -> float:
        """log Z exactly, by enumerating the states of the smaller layer (25 units at most)."""
        p = self.parameters
        W, a, b = (p[name].double() for name in ("W", "a", "b"))
        if len(b) > len(a):
            W, a, b = W.t(), b, a
        return _over_hidden(lambda h: softplus(h @ W.t() + a).sum(1), b, block)


class RBMPath:
    """From independent pixels to the RBM (Salakhutdinov & Murray 2008, section 4.1), for AIS:

    log p*_beta(v) = (1 - beta) a_0 v + beta a v + sum_j log(1 + exp(beta (b + v W)_j))
    log Z_0 = sum_i log(1 + exp(a_0)_i) + hidden log 2

    `base` is a_0, by default the machine's own a; the data's log odds are a better start. The
    states of a chain are v and b + v W, which both the next weight and the next step need.
    """

    def __init__(self, rbm: RBM, base: Tensor | None = None) -> None:
        self.parameters = rbm.parameters
        self.base = rbm.parameters["a"] if base is None else base
        off = rbm.config["hidden"] * math.log(2)
        self.log_start = softplus(self.base.double()).sum().item() + off

    def start(self, chains: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        return self.from_samples(bernoulli(self.base.sigmoid().expand(chains, -1), generator))

    def from_samples(self, v: Tensor) -> tuple[Tensor, Tensor]:
        """The states of chains that are at v (chains, visible)."""
        return v, torch.addmm(self.parameters["b"], v, self.parameters["W"])

    def log_ratio(self, states: tuple[Tensor, ...], before: float, after: float) -> Tensor:
        v, pre = states
        visible = (after - before) * (v @ (self.parameters["a"] - self.base))
        hidden = softplus(after * pre).sum(1) - softplus(before * pre).sum(1)
        return visible.double() + hidden.double()

    def move(
        self, states: tuple[Tensor, ...], beta: float, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        p, (_, pre) = self.parameters, states
        h = bernoulli(pre.mul_(beta).sigmoid_(), generator)
        bias = (1 - beta) * self.base + beta * p["a"]
        mean = torch.addmm(bias, h, p["W"].t(), alpha=beta).sigmoid_()
        return self.from_samples(bernoulli(mean, generator))


class LabelRBM(RBM):
    """The last `labels` visible units are a softmax group: exactly one of them is on.

    Hinton, Osindero & Teh (2006), section 6: the top of their net sees the layer below and a label.
    `initialise` gives the labels log odds too, although a softmax needs logs: with classes of equal
    size the two differ by the same constant for every label, which cancels.
    """

    def __init__(
        self, visible: int, labels: int, hidden: int, device: torch.device | str = "cpu"
    ) -> None:
        if labels < 2:
            raise ValueError(f"a group of {labels} labels")
        super().__init__(visible + labels, hidden, device)
        self.config = {"visible": visible, "labels": labels, "hidden": hidden}
        self.labels = labels

    def visible_mean(self, h: Tensor) -> Tensor:
        p = self.parameters
        pre = torch.addmm(p["a"], h, p["W"].t())
        pre[:, : -self.labels].sigmoid_()
        pre[:, -self.labels :] = pre[:, -self.labels :].softmax(1)
        return pre

    def draw_visible(self, mean: Tensor, generator: torch.Generator) -> Tensor:
        v = bernoulli(mean, generator)
        try:
            chosen = torch.multinomial(mean[:, -self.labels :], 1, generator=generator)
        except RuntimeError as error:
            if torch.isfinite(mean).all():
                raise
            raise Diverged("the labels' probabilities are not finite") from error
        v[:, -self.labels :] = torch.zeros_like(v[:, -self.labels :]).scatter_(1, chosen, 1.0)
        return v

    def label_logits(self, below: Tensor) -> Tensor:
        """-F(below, label) of every label, (n, labels): log p(label|below) up to a constant."""
        p, n = self.parameters, self.labels
        pre = torch.addmm(p["b"], below, p["W"][:-n])
        per_label = [softplus(pre + of_label).sum(1) for of_label in p["W"][-n:]]
        return torch.stack(per_label, 1) + p["a"][-n:]

    def log_partition(self, block: int = 2**14) -> float:
        """log Z exactly, by enumerating the hidden units (25 at most)."""
        p, n = self.parameters, self.labels
        W, a, b = (p[name].double() for name in ("W", "a", "b"))

        def of_visible(pre: Tensor) -> Tensor:
            return softplus(pre[:, :-n]).sum(1) + torch.logsumexp(pre[:, -n:], 1)

        return _over_hidden(lambda h: of_visible(h @ W.t() + a), b, block)


class LinearRBM(RBM):
    """Binary visible units below real hidden ones of variance 1: a code layer.

    -E(v, h) = v W h + a v - |h - b|^2 / 2,   p(h|v) = N(b + v W, I)
    -F(v) = a v + b (v W) + |v W|^2 / 2 + hidden log(2 pi) / 2

    Hinton & Salakhutdinov (2006): the top of the stack from which an autoencoder starts.
    """

    def hidden_mean(self, v: Tensor) -> Tensor:
        p = self.parameters
        return torch.addmm(p["b"], v, p["W"])

    def draw_hidden(self, mean: Tensor, generator: torch.Generator) -> Tensor:
        return mean + torch.randn(mean.shape, generator=generator, device=mean.device)

    def free_energy(self, v: Tensor) -> Tensor:
        p = self.parameters
        return -(v @ p["a"]) - _of_linear(v @ p["W"], p["b"])

    def log_partition(self, block: int = 2**14) -> float:
        """log Z exactly, by enumerating the visible units (25 at most)."""
        p = self.parameters
        W, a, b = (p[name].double() for name in ("W", "a", "b"))
        return _over_hidden(lambda v: _of_linear(v @ W, b), a, block)


class SoftmaxRBM(RBM):
    """Visible units are the counts v of words in a document of N words (H&S 2006, documents).

    Each word is a softmax unit with the same weights: -E(v, h) = v W h + a v + b h,
    p(v|h) multinomial of N words with probabilities softmax(a + h W^T). The hidden biases are not
    multiplied by N as in Salakhutdinov & Hinton's (2009) replicated softmax: an encoder cannot do
    that. As in the paper, weights learn from v / N: long and short documents count the same.
    """

    def statistic(self, v: Tensor) -> Tensor:
        return v / v.sum(1, keepdim=True).clamp_min(1e-30)

    def biases_of(self, data: Tensor) -> Tensor:
        counts = data.sum(0) + 1
        return torch.log(counts / counts.sum())

    def visible_mean(self, h: Tensor) -> Tensor:
        """The probability of each word, (n, words)."""
        p = self.parameters
        return torch.addmm(p["a"], h, p["W"].t()).softmax(1)

    def reconstruct(self, v: Tensor, h: Tensor) -> Tensor:
        return self.visible_mean(h).mul_(v.sum(1, keepdim=True))

    def draw_visible(self, mean: Tensor, generator: torch.Generator) -> Tensor:
        """Counts of as many words as the mean sums to, rounded."""
        shares = mean.cumsum(1)
        words = shares[:, -1:].round()
        most = words.max().item() if len(words) else 0.0
        if not math.isfinite(most):
            raise Diverged("the words' probabilities are not finite")
        places = torch.arange(int(most), device=mean.device)
        uniform = torch.rand((len(mean), len(places)), generator=generator, device=mean.device)
        drawn = torch.searchsorted(shares, uniform * shares[:, -1:]).clamp_(max=mean.shape[1] - 1)
        return torch.zeros_like(mean).scatter_add_(1, drawn, (places < words).to(mean.dtype))

    def log_partition(self, block: int = 2**14, words: int = 1) -> float:
        """log Z of documents of that many words exactly, by enumerating the hidden units."""
        p = self.parameters
        W, a, b = (p[name].double() for name in ("W", "a", "b"))
        return _over_hidden(lambda h: words * torch.logsumexp(h @ W.t() + a, 1), b, block)


def _of_linear(pre: Tensor, b: Tensor) -> Tensor:
    """log of the integral over h of exp(pre h - |h - b|^2 / 2), (n,)."""
    return pre @ b + 0.5 * pre.square().sum(1) + 0.5 * len(b) * math.log(2 * math.pi)


def _over_hidden(of_visible: Callable[[Tensor], Tensor], b: Tensor, block: int) -> float:
    """log sum_h exp(b h + of_visible(h)) over all binary h."""
    n = len(b)
    if n > MAX_UNITS:
        raise ValueError(f"log Z by enumerating {n} units: more than {MAX_UNITS} is too many")
    parts = []
    for codes in torch.arange(2**n, device=b.device).split(block):
        h = states(codes, n)
        parts.append(torch.logsumexp(h @ b + of_visible(h), 0))
    return torch.logsumexp(torch.stack(parts), 0).item()


def states(codes: Tensor, n: int) -> Tensor:
    """The binary digits of whole numbers, lowest first: (len(codes), n), double precision."""
    return (codes[:, None] >> torch.arange(n, device=codes.device) & 1).double()


def one_hot(classes: Tensor, n: int) -> Tensor:
    """Class numbers (N,), each less than n, as labels (N, n) with one 1 each."""
    if int(classes.max()) >= n:
        raise ValueError(f"class {int(classes.max())} with {n} label units")
    return torch.nn.functional.one_hot(classes, n).float()


def log_odds(data: Tensor) -> Tensor:
    """log p / (1 - p) of each pixel's mean over rows, kept finite by one count on either side."""
    p = (data.sum(0) + 1) / (len(data) + 2)
    return torch.log(p) - torch.log1p(-p)
