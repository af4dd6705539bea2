"""Both sides of the lemmas of Hu et al., against finite differences and closed forms."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from dgm import data
from dgm.inference.enumeration import log_bernoulli
from dgm.inference.one_family import (
    Known,
    at_the_best,
    bound,
    evidence,
    generator_loss,
    lemma1,
    lemma2,
    posterior_gap,
)
from dgm.inference.quadrature import grid
from dgm.models.gan import MonotoneGenerator
from dgm.models.rbm import states

OVER, OVER_Z = grid([-20.0], [20.0], 4001), grid([-10.0], [10.0], 2001)
DATA = data.load("two_bumps").log_density(OVER.points)
STEP = 1e-5


@pytest.fixture
def generator() -> MonotoneGenerator:
    torch.manual_seed(3)
    made = MonotoneGenerator(4, mean=0.5, slope=0.8)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return made


def logit(x: Tensor) -> Tensor:
    """A discriminator that is not the best."""
    return torch.sin(x[:, 0]) - 0.3 * x[:, 0]


def derivative(of: Callable[[], Tensor], generator: nn.Module) -> Tensor:
    """By autograd, of all parameters."""
    gradients = torch.autograd.grad(of(), list(generator.parameters()))
    return torch.cat([gradient.flatten() for gradient in gradients])


def differences(of: Callable[[], Tensor], generator: nn.Module) -> Tensor:
    """By central differences."""
    found = []
    with torch.no_grad():
        for parameter in generator.parameters():
            flat = parameter.view(-1)
            for i in range(len(flat)):
                before, values = flat[i].item(), []
                for shift in (STEP, -STEP):
                    flat[i] = before + shift
                    values.append(of().item())
                flat[i] = before
                found.append((values[0] - values[1]) / (2 * STEP))
    return torch.tensor(found, dtype=torch.float64)


def test_the_density_has_the_derivative_of_finite_differences(
    generator: MonotoneGenerator,
) -> None:
    """Oracle: central differences, by the parameters and by x."""
    x = torch.tensor([[-1.3], [0.2], [1.7]], dtype=torch.float64)
    weights = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)

    def total() -> Tensor:
        return generator.log_density(x) @ weights

    by_hand = differences(total, generator)
    torch.testing.assert_close(derivative(total, generator), by_hand, rtol=1e-6, atol=1e-8)
    moved = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(generator.log_density(moved).sum(), moved)
    with torch.no_grad():
        steps = [generator.log_density(x + shift) for shift in (STEP, -STEP)]
    torch.testing.assert_close(slope[:, 0], (steps[0] - steps[1]) / (2 * STEP), rtol=1e-6, atol=0)


def test_a_density_is_the_same_number_with_and_without_a_derivative(
    generator: MonotoneGenerator,
) -> None:
    with torch.no_grad():
        plain = generator.log_density(OVER.points)
    assert torch.equal(generator.log_density(OVER.points).detach(), plain)


def test_lemma_1_by_finite_differences(generator: MonotoneGenerator) -> None:
    """Oracle: central differences of both sides, with p_0 and D held at the present parameters."""
    with torch.no_grad():
        log_g0 = generator.log_density(OVER.points)
    logits = logit(OVER.points)
    log_0 = torch.logaddexp(log_g0, DATA) - math.log(2)

    def left() -> Tensor:
        """-E[log q^r(y|x)], the data's part included, by the density instead of through z."""
        p_g, p_data = generator.log_density(OVER.points).exp(), DATA.exp()
        each = p_g * logsigmoid(logits) + p_data * logsigmoid(-logits)
        return -0.5 * OVER.integral(each)

    def right() -> Tensor:
        """The definitions, with every density written out."""
        p_g, p_data = generator.log_density(OVER.points).exp(), DATA.exp()
        m = (p_g + p_data) / 2
        total = torch.zeros((), dtype=torch.float64)
        for p, q in ((p_g, logits.sigmoid()), (p_data, (-logits).sigmoid())):
            reverse = q * log_0.exp()
            reverse = reverse / OVER.integral(reverse)
            seen = p > 1e-280
            ratio = torch.where(seen, (p / reverse).clamp(1e-300, 1e300), 1.0)
            total = total + 0.5 * OVER.integral(p * ratio.log())
            of_mean = torch.where(seen, (p / m).clamp(1e-300), 1.0)
            total = total - 0.5 * OVER.integral(p * of_mean.log())
        return total

    a, b = differences(left, generator), differences(right, generator)
    torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-8)
    through_z = derivative(lambda: generator_loss(logit, generator, OVER_Z), generator)
    by_density = derivative(
        lambda: lemma1(generator.log_density(OVER.points), DATA, logits, OVER), generator
    )
    torch.testing.assert_close(through_z, a, rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(by_density, b, rtol=1e-5, atol=1e-8)
    torch.testing.assert_close(by_density, through_z, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("other", [{"share": 0.5}, {"frozen": False}])
def test_other_factors_do_not_hold(generator: MonotoneGenerator, other: dict[str, float]) -> None:
    logits = logit(OVER.points)
    left = derivative(lambda: generator_loss(logit, generator, OVER_Z), generator)
    right = derivative(
        lambda: lemma1(
            generator.log_density(OVER.points),
            DATA,
            logits,
            OVER,
            share=other.get("share", 1.0),
            frozen=bool(other.get("frozen", True)),
        ),
        generator,
    )
    assert (left - right).norm() > 0.01 * left.norm()


def test_the_best_discriminators_form_of_two_normals() -> None:
    """Oracle: closed form. For p_g = N(m, 1), p_data = N(0, 1): KL = m^2 / 2."""
    x = OVER.points[:, 0]
    p = [-0.5 * ((x - m).square() + math.log(2 * math.pi)) for m in (0.7, 0.0)]
    m = torch.logaddexp(*p) - math.log(2)
    jsd = 0.5 * sum(OVER.integral(each.exp() * (each - m)) for each in p)
    assert at_the_best(p[0], p[1], OVER).item() == pytest.approx(0.245 / 2 - float(jsd), abs=1e-10)


# --- the VAE's side ------------------------------------------------------------------------------


class Small:
    """x of 3 and z of 2 binary units; everything is a table."""

    def __init__(self) -> None:
        torch.manual_seed(1)
        self.x, self.z = (states(torch.arange(2**n), n).double() for n in (3, 2))
        self.W = torch.randn(2, 3, dtype=torch.float64).requires_grad_()
        self.V = torch.randn(3, 2, dtype=torch.float64).requires_grad_()
        self.data = torch.rand(8, dtype=torch.float64).softmax(0)
        self.log_z = torch.rand(4, dtype=torch.float64).log_softmax(0)[:, None]
        other = torch.randn(4, 8, dtype=torch.float64).log_softmax(0)
        self.log_joint = log_bernoulli(self.z @ self.W, self.x) + self.log_z
        self.log_q = log_bernoulli(self.x @ self.V, self.z).t()
        generated = self.log_joint.detach().exp().sum(0)
        self.known = Known(generated, self.data.log() + self.log_z, other)


def test_the_bound_is_the_evidence_less_the_gap() -> None:
    """Oracle: E_q[log p(x, z) - log q(z|x)], state by state."""
    small = Small()
    total = 0.0
    for x in range(8):
        for z in range(4):
            q = small.log_q[z, x].exp().item()
            total += small.data[x].item() * q * (small.log_joint[z, x].item() - math.log(q))
    tables = small.log_joint, small.log_q, small.data
    assert bound(*tables).item() == pytest.approx(total)
    found = evidence(small.log_joint, small.data) - posterior_gap(*tables)
    assert found.item() == pytest.approx(total)


def test_lemma_2_has_the_bounds_derivative_and_the_gap_has_not() -> None:
    """Oracle: in theta E_q[(x - E[x|z]) z] over the data. With the posterior it holds at theta_0
    alone, and the gap to the VAE's own posterior lacks the derivative of log p(x)."""
    small = Small()
    with torch.no_grad():
        mean = (small.z @ small.W).sigmoid()  # (z, x's units)
        weight = small.log_q.exp() * small.data  # (z, x)
        by_hand = small.z.t() @ (weight @ small.x - weight.sum(1, keepdim=True) * mean)
    tables = small.log_joint, small.log_q, small.data

    def derivative(value: Tensor) -> tuple[Tensor, ...]:
        return torch.autograd.grad(value, [small.W, small.V], retain_graph=True)

    of_theta, of_eta = derivative(bound(*tables))
    torch.testing.assert_close(of_theta, by_hand)
    for normalised in (False, True):
        found = derivative(lemma2(*tables, small.known, normalised))
        torch.testing.assert_close(found, (of_theta, of_eta))
    elsewhere = small.known._replace(generated=torch.full((8,), 1 / 8, dtype=torch.float64))
    found = derivative(lemma2(*tables, elsewhere, normalised=False))
    torch.testing.assert_close(found, (of_theta, of_eta))
    found = derivative(lemma2(*tables, elsewhere, normalised=True))
    assert (found[0] - of_theta).norm() > 0.05 * of_theta.norm()
    torch.testing.assert_close(found[1], of_eta)
    alone = derivative(-posterior_gap(*tables))
    assert (alone[0] - of_theta).norm() > 0.05 * of_theta.norm()
    torch.testing.assert_close(alone[1], of_eta)
