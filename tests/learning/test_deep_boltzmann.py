"""Joint learning, against gradients by enumeration."""

from copy import deepcopy

import pytest
import torch

from dgm.inference.deep_boltzmann import expected, posterior
from dgm.learning.deep_boltzmann import DeepBoltzmann
from dgm.learning.weight_prior import WeightPrior
from tests.models.test_dbm import every_state, minus_energy
from tests.small import all_states, small_dbm

SIZES = [[4, 3, 5], [3, 4, 2, 3]]


def learner_of(dbm, **more):  # type: ignore[no-untyped-def]
    x = all_states(dbm.config["sizes"][0])
    return DeepBoltzmann(dbm, x, 0.1, torch.Generator().manual_seed(0), updates=200, **more)


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_the_gradient_is_that_of_the_bound(sizes: list[int]) -> None:
    """Oracle: differences of the exact bound at converged mean field, with exact statistics.

    At its fixed point q's own change counts in second order only.
    """
    dbm = small_dbm(sizes, std=0.7)
    x = all_states(sizes[0])[1:6]
    layers = every_state(dbm)
    p = torch.softmax(minus_energy(dbm, layers), 0)
    learner = learner_of(dbm)
    clamped = x, *posterior(dbm, x, 500, 1e-7)[0]
    of_weights = sum(W.numel() for W in dbm.W)
    # Exact statistics: pair means from all states, each times the root of its probability.
    root = (p * len(p)).sqrt()[:, None]
    learner.write_gradient(clamped, tuple((root * layer).float() for layer in layers))
    found = dbm.gradient.clone()
    means = tuple((p @ layer)[None].float() for layer in layers)
    learner.write_gradient(clamped, means)
    found[of_weights:] = dbm.gradient[of_weights:]

    def bound() -> float:
        total = expected(dbm, x, 500, 1e-7)[0].double().mean().item()
        return total - torch.logsumexp(minus_energy(dbm, layers), 0).item()

    step = 1e-2
    for i in range(len(found)):
        kept = dbm.flat[i].item()
        dbm.flat[i] = kept + step
        above = bound()
        dbm.flat[i] = kept - step
        below = bound()
        dbm.flat[i] = kept
        assert found[i].item() == pytest.approx((above - below) / (2 * step), abs=1e-3)


def test_the_free_phase_has_the_models_statistics() -> None:
    """Oracle: enumeration. Many chains, and a rate of nearly nothing."""
    dbm = small_dbm([4, 3, 5], std=0.5)
    x = all_states(4).repeat(2500, 1)
    learner = DeepBoltzmann(dbm, x, 1e-9, torch.Generator().manual_seed(0), gibbs_steps=20)
    learner.update(x[:16], torch.arange(16))
    layers = every_state(dbm)
    p = torch.softmax(minus_energy(dbm, layers), 0)
    clamped = x[:16], *posterior(dbm, x[:16], 10)[0]
    exact = (
        clamped[1].t() @ clamped[2] / 16 - (p[:, None] * layers[1]).t().float() @ layers[2].float()
    )
    torch.testing.assert_close(dbm.parameters.grad["W2"], exact, atol=0.012, rtol=0)
    exact = clamped[0].mean(0) - (p.float() @ layers[0].float())
    torch.testing.assert_close(dbm.parameters.grad["b0"], exact, atol=0.012, rtol=0)


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_centred_learning_does_not_depend_on_what_stands_for_ink(sizes: list[int]) -> None:
    """Turning every unit over (h -> 1 - h) turns the machine into another; both learn the same.

    W' = W,  b'_l = -b_l - (what the unit receives from neighbours that are all on).
    """
    dbm, turned = small_dbm(sizes), small_dbm(sizes)
    W = dbm.W
    ones = [torch.ones(n) for n in sizes]
    for i, b in enumerate(turned.b):
        b.copy_(-dbm.b[i])
        if i > 0:
            b.sub_(ones[i - 1] @ W[i - 1])
        if i < dbm.depth:
            b.sub_(W[i] @ ones[i + 1])
    x = all_states(sizes[0])[1:6]
    learner, other = (learner_of(each, centred=True) for each in (dbm, turned))
    other.means = [1 - mean for mean in learner.means]
    clamped = x, *posterior(dbm, x, 300)[0]
    free = tuple(layer[:7].float() for layer in every_state(dbm))
    learner.write_gradient(clamped, free)
    other.write_gradient(tuple(1 - layer for layer in clamped), tuple(1 - layer for layer in free))
    dbm.flat.add_(dbm.gradient, alpha=0.5)
    turned.flat.add_(turned.gradient, alpha=0.5)
    for one, two in zip(dbm.W, turned.W, strict=True):
        torch.testing.assert_close(one, two)
    again = small_dbm(sizes)
    again.flat.copy_(dbm.flat)
    for i, b in enumerate(again.b):
        b.mul_(-1)
        if i > 0:
            b.sub_(ones[i - 1] @ dbm.W[i - 1])
        if i < dbm.depth:
            b.sub_(dbm.W[i] @ ones[i + 1])
    torch.testing.assert_close(again.flat, turned.flat, atol=1e-5, rtol=1e-5)


def test_learning_raises_the_likelihood() -> None:
    """Oracle: the exact log p(v) of 14 images of bars and stripes."""
    from tests.small import bars_and_stripes

    x = bars_and_stripes(3)
    dbm = small_dbm([9, 6, 4], std=0.1)
    generator = torch.Generator().manual_seed(0)
    learner = DeepBoltzmann(dbm, x.repeat(5, 1), 0.1, generator, 2, 10, centred=True)

    def likelihood() -> float:
        return dbm.log_unnormalised(x).mean().item() - dbm.log_partition()

    before = likelihood()
    for _ in range(1500):
        learner.update(x, torch.arange(len(x)))
    assert likelihood() > before + 2 and likelihood() > -4.2


def test_priors_momentum_and_state() -> None:
    dbm = small_dbm([4, 3, 2])
    x = all_states(4)
    prior = WeightPrior(decay=0.5, smoothness=0.25, shape=(2, 2))
    plain, with_prior = learner_of(dbm), learner_of(dbm, prior=prior, momentum=0.5)
    clamped, free = (x, *dbm.up(x)), tuple(layer[:3].float() for layer in every_state(dbm))
    plain.write_gradient(clamped, free)
    first, second = (dbm.parameters.grad[name].clone() for name in ("W1", "W2"))
    with_prior.write_gradient(clamped, free)
    expected_first = first.clone()
    prior.add_gradient(dbm.W[0], expected_first)
    torch.testing.assert_close(dbm.parameters.grad["W1"], expected_first)
    torch.testing.assert_close(dbm.parameters.grad["W2"], second - 0.5 * dbm.W[1])

    other = small_dbm([4, 3, 2])
    same = DeepBoltzmann(other, x, 0.1, torch.Generator(), updates=200, prior=prior, momentum=0.5)
    with_prior.update(x, torch.arange(16))
    other.flat.copy_(dbm.flat)
    same.load_state_dict(deepcopy(with_prior.state_dict()))
    same.generator.set_state(with_prior.generator.get_state())
    for learner in (with_prior, same):
        learner.update(x, torch.arange(16))
    assert torch.equal(dbm.flat, other.flat)


@pytest.mark.parametrize("centred", [False, True])
def test_rounded_products_change_little(centred: bool) -> None:
    """Of the gradient of one minibatch, from the same chains; parameters are not rounded."""
    gradients = []
    x = all_states(4)
    for precision in (torch.float32, torch.bfloat16):
        dbm = small_dbm([4, 30, 20], std=0.5)
        learner = learner_of(dbm, centred=centred, precision=precision)
        layers = x, *dbm.up(x)
        free = tuple(1 - layer for layer in layers)
        kind = learner.rounded.flat.dtype
        learner.write_gradient(
            tuple(layer.to(kind) for layer in layers), tuple(layer.to(kind) for layer in free)
        )
        gradients.append(dbm.gradient.clone())
        error = learner.update(x, torch.arange(16))
        assert dbm.flat.dtype == error.dtype == torch.float32
        assert (dbm.flat != dbm.flat.bfloat16()).any()
    exact, rounded = gradients
    assert (exact - rounded).norm() < 0.02 * exact.norm()


def test_no_chains() -> None:
    dbm = small_dbm([4, 3, 2])
    with pytest.raises(ValueError, match="0 persistent chains of 5 Gibbs steps"):
        DeepBoltzmann(dbm, torch.zeros(0, 4), 0.1, torch.Generator())
