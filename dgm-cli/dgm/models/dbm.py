"""Deep Boltzmann machines (Salakhutdinov & Hinton 2009).

    p(v, h_1, .., h_L) = exp(-E) / Z,   with h_0 = v and only neighbouring layers connected:
    -E = sum_l h_(l-1) W_l h_l + sum_l b_l h_l
    p(h_l = 1|the others) = sigmoid(b_l + h_(l-1) W_l + h_(l+1) W_(l+1)^T)

The posterior of h is approximated by a factorised q with means m_l (mean field), which gives a
bound on the likelihood:

    log p(v) >= E_q[-E] + H(q) - log Z,   m_l = sigmoid(b_l + m_(l-1) W_l + m_(l+1) W_(l+1)^T) .

Given the odd layers, the even ones are independent, and the other way round: a deep Boltzmann
machine is an RBM between odd and even layers (`as_rbm`), in which some weights are 0.
Shapes: v (n, visible), h_l (n, units). Units: nats.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from dgm.fast.draws import bernoulli
from dgm.models.classifier import Classifier
from dgm.models.parameters import FlatModel, Parameters, Vectors, concatenate
from dgm.models.rbm import RBM

Layers = tuple[Tensor, ...]  # of v, h_1, .., h_L, or of h_1, .., h_L alone


class DBM(FlatModel):
    """Weights W1 .. WL (below, above) and biases b0 .. bL of layers of `sizes`, the visible first.

    `W` and `b` list them: W[l] leads from layer l to l + 1.
    """

    parameters: Parameters

    def __init__(self, sizes: Sequence[int], device: torch.device | str = "cpu") -> None:
        if len(sizes) < 3 or min(sizes) < 1:
            raise ValueError(f"a DBM of layers {list(sizes)}: two hidden ones or more are needed")
        self.config = {"sizes": list(sizes)}
        self.depth = len(sizes) - 1
        shapes: dict[str, tuple[int, ...]] = {}
        for number, (below, above) in enumerate(zip(sizes, sizes[1:], strict=False), start=1):
            shapes[f"W{number}"] = below, above
        shapes |= {f"b{number}": (size,) for number, size in enumerate(sizes)}
        self.parameters = Parameters(shapes, device)

    @property
    def W(self) -> list[Tensor]:
        return [self.parameters[f"W{number}"] for number in range(1, self.depth + 1)]

    @property
    def b(self) -> list[Tensor]:
        return [self.parameters[f"b{number}"] for number in range(self.depth + 1)]

    def stack(self, rbms: Sequence["CopiedRBM"]) -> None:
        """Compose greedily trained machines, the lowest first.

        Each layer's biases are those that it learned as hidden units; the lowest's as visible ones.
        """
        W, b = self.W, self.b
        b[0].copy_(rbms[0].parameters["a"])
        for weights, bias, rbm in zip(W, b[1:], rbms, strict=True):
            weights.copy_(rbm.parameters["W"])
            bias.copy_(rbm.parameters["b"])

    def up(self, v: Tensor) -> Layers:
        """m_1 .. m_L by one pass up. What comes from below counts twice, for nothing comes from
        above yet; not at the top."""
        means: list[Tensor] = []
        for number, (W, b) in enumerate(zip(self.W, self.b[1:], strict=True), start=1):
            times = 2.0 if number < self.depth else 1.0
            means.append(torch.addmm(b, means[-1] if means else v, W, alpha=times).sigmoid_())
        return tuple(means)

    def from_below(self, v: Tensor) -> Tensor:
        """What the first hidden layer receives from v, (n, units): the same in every update."""
        return torch.mm(v, self.W[0])

    def refined(self, from_below: Tensor, means: Layers) -> Layers:
        """m_1 .. m_L after an update of the odd layers and then of the even ones.

        Each is a step of coordinate ascent: the bound never falls.
        """
        new = list(means)
        for first in (1, 2):
            for number in range(first, self.depth + 1, 2):
                below = new[number - 2] if number > 1 else None
                above = new[number] if number < self.depth else None
                pre = self._input(number, below, above)
                if number == 1:
                    pre.add_(from_below)
                new[number - 1] = pre.sigmoid_()
        return tuple(new)

    def expected(self, v: Tensor, means: Layers) -> Tensor:
        """E_q[-E] + H(q), (n,): the bound on log p(v), up to log Z."""
        b, below = self.b, v
        total = v @ b[0]
        for W, bias, m in zip(self.W, b[1:], means, strict=True):
            total += (torch.addmm(bias, below, W) * m).sum(1)
            total += (torch.special.entr(m) + torch.special.entr(1 - m)).sum(1)
            below = m
        return total

    def mean(self, number: int, layers: Layers) -> Tensor:
        """The probabilities of layer `number`, given its neighbours among v, h_1, .., h_L."""
        below = layers[number - 1] if number > 0 else None
        above = layers[number + 1] if number < self.depth else None
        return self._input(number, below, above).sigmoid_()

    def _input(self, number: int, below: Tensor | None, above: Tensor | None) -> Tensor:
        """What layer `number` receives from its neighbours and its bias, (n, units)."""
        products = []
        if below is not None:
            products.append((below, self.W[number - 1]))
        if above is not None:
            products.append((above, self.W[number].t()))
        (states, weights), *others = products
        pre = torch.mm(states, weights)
        for states, weights in others:
            pre.addmm_(states, weights)
        return pre.add_(self.b[number])  # addmm would copy the bias to every row first

    def gibbs(
        self, layers: Layers, steps: int, generator: torch.Generator
    ) -> tuple[Layers, Layers]:
        """v, h_1, .., h_L after block Gibbs steps, the odd layers first and then the even ones.

        Of the even layers the last step's probabilities, from which they were drawn, are returned
        too; in the place of the odd ones, the states themselves. Each row is a chain.
        """
        states, means = list(layers), list(layers)
        for _ in range(steps):
            for first in (1, 0):
                for number in range(first, self.depth + 1, 2):
                    mean = self.mean(number, tuple(states))
                    states[number] = bernoulli(mean.float(), generator).to(mean.dtype)
                    means[number] = states[number] if first else mean
        return tuple(states), tuple(means)

    def as_rbm(self) -> RBM:
        """The same density as an RBM: v are the odd layers, end to end, and h the even ones.

        Given the odd layers it sums out the even ones, v among them. Of two hidden layers the odd
        one is h_1 alone.
        """
        b = self.b
        odd, even = ([b[i] for i in range(first, len(b), 2)] for first in (1, 0))
        rbm = RBM(sum(map(len, odd)), sum(map(len, even)), self.flat.device)
        for name, parts in (("a", odd), ("b", even)):
            rbm.parameters[name].copy_(torch.cat(parts))
        of_odd = rbm.parameters["W"].split([len(part) for part in odd], 0)
        for i, W in enumerate(self.W):  # between layers i and i + 1
            block = of_odd[i // 2].split([len(part) for part in even], 1)
            block[(i + 1) // 2].copy_(W if i % 2 else W.t())
        return rbm

    def log_partition(self) -> float:
        """log Z exactly, by enumerating odd or even layers (25 units at most)."""
        return self.as_rbm().log_partition()

    def log_unnormalised(self, v: Tensor) -> Tensor:
        """log sum_h exp(-E), (n,), exactly: log p(v) + log Z. As `log_partition`, for each row."""
        rbm, visible = self.as_rbm(), len(self.b[0])
        rest = RBM(rbm.config["visible"], rbm.config["hidden"] - visible, self.flat.device)
        for name in ("W", "b"):
            rest.parameters[name].copy_(rbm.parameters[name][..., visible:])
        values = []
        for row in v:
            rest.parameters["a"].copy_(rbm.parameters["a"])
            rest.parameters["a"][: len(self.b[1])] += row @ self.W[0]
            values.append((row @ self.b[0]).item() + rest.log_partition())
        return torch.tensor(values, dtype=torch.float64, device=v.device)


class CopiedRBM(RBM):
    """An RBM of two layers that will be neighbours in a DBM, learned before the others are there.

    As many copies of v and of h, with the same weights, stand for the inputs to come from the
    layers beyond:

        p(h_j = 1|v) = sigmoid(b + copies_v v W)_j,   p(v_i = 1|h) = sigmoid(a + copies_h h W^T)_i

    Salakhutdinov & Hinton (2009), section 3.1: at the bottom v is doubled, at the top h, in between
    both (the paper learns twice the weights there and halves them). It is for contrastive
    divergence: there is no free energy of one copy.
    """

    def __init__(
        self,
        visible: int,
        hidden: int,
        copies_v: int,
        copies_h: int,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__(visible, hidden, device)
        self.config |= {"copies_v": copies_v, "copies_h": copies_h}
        self.copies_v, self.copies_h = copies_v, copies_h

    def hidden_mean(self, v: Tensor) -> Tensor:
        p = self.parameters
        return torch.addmm(p["b"], v, p["W"], alpha=self.copies_v).sigmoid_()

    def visible_mean(self, h: Tensor) -> Tensor:
        p = self.parameters
        return torch.addmm(p["a"], h, p["W"].t(), alpha=self.copies_h).sigmoid_()

    def free_energy(self, v: Tensor) -> Tensor:
        raise ValueError("a machine of copies has no free energy of one copy")

    def log_partition(self, block: int = 2**14) -> float:
        raise ValueError("a machine of copies has no partition function of one copy")


def greedy_stack(sizes: Sequence[int], device: torch.device | str) -> list[CopiedRBM]:
    """Machines between neighbouring layers of these sizes, the visible one's first."""
    last = len(sizes) - 2
    return [
        CopiedRBM(below, above, 1 if i == last else 2, 1 if i == 0 else 2, device)
        for i, (below, above) in enumerate(zip(sizes, sizes[1:], strict=False))
    ]


class DBMClassifier(FlatModel):
    """A DBM and a net of its layers that begins with its weights and ends in a softmax.

    The net sees v and the mean-field means of the second hidden layer, end to end, and its first
    hidden layer begins as the DBM's: sigmoid(b_1 + v W_1 + m_2 W_2^T) (Salakhutdinov & Hinton 2009,
    section 3.3). The means are of `updates` updates of mean field.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        classes: int,
        updates: int,
        device: torch.device | str = "cpu",
    ) -> None:
        self.config = {"sizes": list(sizes), "classes": classes, "updates": updates}
        self.dbm, self.updates = DBM(sizes, device), updates
        inputs = sizes[0] + sizes[2]
        self.net = Classifier([inputs, *sizes[1:], classes], "logistic", device)
        self.parameters: Vectors = concatenate(self.dbm.parameters, self.net.mlp.parameters)

    def begin_as(self, dbm: DBM, generator: torch.Generator) -> None:
        """The DBM's weights, for the net too; those of its outputs are random.

        Layers between the second and the top get nothing from above: their weights count twice.
        """
        self.dbm.flat.copy_(dbm.flat)
        self.net.initialise(generator)
        W, b, layers = dbm.W, dbm.b, self.net.mlp.layers
        layers[0].W.copy_(torch.cat([W[0], W[1].t()]))
        layers[0].b.copy_(b[1])
        for i in range(1, dbm.depth):
            layers[i].W.copy_(W[i] if i == dbm.depth - 1 else 2 * W[i])
            layers[i].b.copy_(b[i + 1])
