"""Contrastive divergence, against the exact gradients of RBMs small enough to enumerate."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from dgm.fast.draws import bernoulli
from dgm.learning.contrastive_divergence import (
    ContrastiveDivergence,
    centre,
    statistics,
)
from dgm.learning.weight_prior import WeightPrior
from dgm.models.rbm import RBM, LinearRBM, SoftmaxRBM
from tests.small import all_states, bars_and_stripes, joint, small_rbm


def gradient_of_a_step(learner: ContrastiveDivergence, x: Tensor) -> Tensor:
    """What a step without momentum adds to the parameters, over the rate."""
    before = learner.rbm.flat.clone()
    learner.update(x, torch.empty(0))
    return (learner.rbm.flat - before) / learner.rate


def exact_gradient(rbm: RBM, x: Tensor) -> dict[str, Tensor]:
    """d mean log p(x) / dparameters, by the definition of the two phases."""
    v, h, probability = joint(rbm)
    given_x = rbm.hidden_mean(x).double()
    x = x.double()
    return {
        "W": x.T @ given_x / len(x) - v.T @ probability @ h,
        "a": x.mean(0) - probability.sum(1) @ v,
        "b": given_x.mean(0) - probability.sum(0) @ h,
    }


@pytest.mark.parametrize("chains", [0, 20_000])
def test_after_many_steps_the_gradient_is_the_exact_one(chains: int) -> None:
    """Both phases' statistics, from many rows; CD's chains have forgotten the data by then."""
    rbm = small_rbm(std=0.7)
    generator = torch.Generator().manual_seed(1)
    x = all_states(5)[torch.randint(32, (20_000,), generator=generator)]
    exact = exact_gradient(rbm, x)
    learner = ContrastiveDivergence(rbm, 40, 0.5, generator, chains=chains)
    gradient = gradient_of_a_step(learner, x)
    rbm.flat.copy_(gradient)
    for name, exactly in exact.items():
        ours = rbm.parameters[name].double()
        torch.testing.assert_close(ours, exactly, atol=0.015, rtol=0)


def test_a_single_step_is_biased_towards_the_data() -> None:
    """Oracle: the exact expectation of CD-1's statistics, x and one transition from it."""
    rbm = small_rbm(std=0.7)
    generator = torch.Generator().manual_seed(1)
    x = torch.tensor([[1.0, 1.0, 0.0, 0.0, 1.0]]).expand(40_000, 5).contiguous()
    h = all_states(4)
    mean = rbm.hidden_mean(x[:1])
    p_h = torch.where(h > 0, mean, 1 - mean).prod(1)
    v = all_states(5)
    p_v_h = rbm.visible_mean(h)[:, None]
    p_v = p_h @ torch.where(v[None] > 0, p_v_h, 1 - p_v_h).prod(2)
    expected = x[0][:, None] * mean - (p_v[:, None] * v).T @ rbm.hidden_mean(v)
    gradient = gradient_of_a_step(ContrastiveDivergence(rbm, 1, 1.0, generator), x)
    torch.testing.assert_close(gradient[:20].view(5, 4), expected, atol=0.015, rtol=0)


def test_a_step_of_grey_data_has_no_noise_of_pixels() -> None:
    """Oracle: the exact expectation over hidden states, each with its probabilities of pixels."""
    rbm = small_rbm(std=0.7)
    x = torch.tensor([[0.9, 0.5, 0.2, 0.0, 1.0]]).expand(40_000, 5).contiguous()
    h = all_states(4)
    mean = rbm.hidden_mean(x[:1])
    p_h = torch.where(h > 0, mean, 1 - mean).prod(1)
    v = rbm.visible_mean(h)
    expected = x[0][:, None] * mean - (p_h[:, None] * v).T @ rbm.hidden_mean(v)
    learner = ContrastiveDivergence(rbm, 1, 1.0, torch.Generator().manual_seed(1), grey=True)
    gradient = gradient_of_a_step(learner, x)
    torch.testing.assert_close(gradient[:20].view(5, 4), expected, atol=0.005, rtol=0)


def test_a_perfect_reconstruction_of_grey_data_teaches_nothing() -> None:
    """A code layer so sure of its codes that they come back as they were."""
    rbm = LinearRBM(3, 2)
    rbm.flat.zero_()
    x = torch.tensor([[0.9, 0.5, 0.2]]).expand(50, 3).contiguous()
    rbm.parameters["a"].copy_(torch.logit(x[0]))
    rbm.parameters["W"][:, 0] = 1e-6
    for k in (1, 3):
        learner = ContrastiveDivergence(rbm, k, 1.0, torch.Generator().manual_seed(1), grey=True)
        assert gradient_of_a_step(learner, x).abs().max() < 1e-5


def test_a_long_document_has_no_more_say_than_a_short_one() -> None:
    """Documents of the same words: ten times as many teach the same, but for noise, and none none.

    Without weights p(word) is that of the biases, and a code says nothing of its document.
    """
    one = torch.tensor([[4.0, 0.0, 6.0]])
    for x in (one, 10 * one):
        rbm = SoftmaxRBM(3, 2)
        rbm.flat.zero_()
        learner = ContrastiveDivergence(rbm, 1, 1.0, torch.Generator().manual_seed(0))
        gradient = gradient_of_a_step(learner, x.expand(20_000, 3).contiguous())
        expected = (torch.tensor([0.4, 0.0, 0.6]) - 1 / 3)[:, None] * 0.5
        torch.testing.assert_close(
            gradient[:6].view(3, 2), expected.expand(3, 2), atol=0.003, rtol=0
        )
    assert (gradient_of_a_step(learner, torch.zeros(5, 3))[:6] == 0).all()


def test_momentum_and_decay() -> None:
    """Oracle: the two recursions, with the gradients of a learner that has neither."""
    generator = torch.Generator().manual_seed(0)
    x = (torch.rand(50, 6, generator=generator) < 0.4).float()
    rbm = small_rbm(6, 4)
    learner = ContrastiveDivergence(rbm, 1, 0.1, generator, momentum=0.9, prior=WeightPrior(0.01))
    velocity, theta = torch.zeros_like(rbm.flat), rbm.flat.clone()
    for _ in range(3):
        twin = RBM(6, 4)
        twin.flat.copy_(rbm.flat)
        plain = ContrastiveDivergence(twin, 1, 1.0, generator)
        state = generator.get_state()
        gradient = gradient_of_a_step(plain, x)
        gradient[:24] -= 0.01 * rbm.flat[:24]  # W comes first, and alone decays
        generator.set_state(state)
        learner.update(x, torch.empty(0))
        velocity = 0.9 * velocity + 0.1 * gradient
        theta = theta + velocity
        torch.testing.assert_close(rbm.flat, theta)


def test_the_gradient_of_a_prior_of_weights() -> None:
    """Oracle: autograd of the density that the docstring gives, over all pairs of neighbours."""
    generator = torch.Generator().manual_seed(0)
    W = torch.randn(6, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    places = [(row, column) for row in range(2) for column in range(3)]
    rough = sum(
        (W[i] - W[j]).square().sum()
        for i, (row, column) in enumerate(places)
        for j, other in enumerate(places)
        if other in ((row + 1, column), (row, column + 1))
    )
    log_p = -0.3 * W.square().sum() / 2 - 0.2 * W.abs().sum() - 0.7 * rough / 2
    (expected,) = torch.autograd.grad(log_p, W)
    gradient = torch.ones(6, 3, dtype=torch.float64)
    WeightPrior(0.3, 0.2, 0.7, (2, 3)).add_gradient(W.detach(), gradient)
    torch.testing.assert_close(gradient, 1 + expected)


def negative(rbm: RBM) -> RBM:
    """The machine that calls a visible unit on where the other one calls it off."""
    p, other = rbm.parameters, RBM(rbm.config["visible"], rbm.config["hidden"])
    other.parameters["W"].copy_(-p["W"])
    other.parameters["a"].copy_(-p["a"])
    other.parameters["b"].copy_(p["b"] + p["W"].sum(0))
    return other


def test_centred_learning_is_the_same_of_negatives() -> None:
    """Cho, Raiko & Ilin (2013); and without centring it is not. Grey, so that no pixel is drawn."""
    x = torch.rand(50, 6, generator=torch.Generator().manual_seed(1))
    for centred in (True, False):
        positive = small_rbm(6, 4, std=0.7)
        rbms = [positive, negative(positive)]
        for rbm, images in zip(rbms, (x, 1 - x), strict=True):
            generator = torch.Generator().manual_seed(2)
            learner = ContrastiveDivergence(rbm, 2, 0.5, generator, grey=True, centred=centred)
            for _ in range(3):
                learner.update(images, torch.empty(0))
        difference = (negative(rbms[0]).flat - rbms[1].flat).abs().max()
        assert difference < 1e-5 if centred else difference > 0.1


def test_a_centred_gradient_is_of_differences_from_the_means() -> None:
    generator = torch.Generator().manual_seed(0)
    v, v_model = (bernoulli(torch.full((8, 3), 0.5), generator) for _ in range(2))
    h, h_model = (torch.rand(8, 2, generator=generator) for _ in range(2))
    p, of_v, of_h = RBM(3, 2).parameters, torch.rand(3), torch.rand(2)
    statistics(p, v, h, v_model, h_model)
    a, b = p.grad["a"].clone(), p.grad["b"].clone()
    centre(p, of_v, of_h)
    W = ((v - of_v).T @ (h - of_h) - (v_model - of_v).T @ (h_model - of_h)) / 8
    torch.testing.assert_close(p.grad["W"], W)
    torch.testing.assert_close(p.grad["a"], a - W @ of_h)
    torch.testing.assert_close(p.grad["b"], b - of_v @ W)


def test_a_step_is_the_same_with_and_without_a_gradient_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A prior too weak to matter makes the learner write the gradient first."""
    x = bars_and_stripes(3)
    steps, ascended = [], []
    ascend = ContrastiveDivergence._ascend

    def counted(self: ContrastiveDivergence, *parts: Any) -> None:
        ascended.append(self.prior.decay)
        ascend(self, *parts)

    monkeypatch.setattr(ContrastiveDivergence, "_ascend", counted)
    for decay in (0.0, 1e-12):
        rbm = small_rbm(9, 5, std=0.5)
        generator = torch.Generator().manual_seed(0)
        learner = ContrastiveDivergence(rbm, 2, 0.3, generator, prior=WeightPrior(decay))
        for _ in range(3):
            learner.update(x, torch.empty(0))
        steps.append(rbm.flat)
    assert ascended == [1e-12] * 3
    torch.testing.assert_close(*steps)


@pytest.mark.parametrize("chains", [0, 12])
def test_learning_goes_on_from_its_state(chains: int) -> None:
    def start() -> tuple[RBM, ContrastiveDivergence, torch.Generator]:
        generator = torch.Generator().manual_seed(0)
        rbm = small_rbm(9, 5, std=0.1)
        learner = ContrastiveDivergence(
            rbm, 2, 0.1, generator, momentum=0.5, chains=chains, centred=True
        )
        return rbm, learner, generator

    x = bars_and_stripes(3)
    rbm, learner, generator = start()
    for _ in range(3):
        learner.update(x, torch.empty(0))
    again, its_learner, its_generator = start()
    again.load_state_dict({"parameters": rbm.flat.clone()})
    its_learner.load_state_dict({n: t.clone() for n, t in learner.state_dict().items()})
    its_generator.set_state(generator.get_state())
    for _ in range(3):
        learner.update(x, torch.empty(0))
        its_learner.update(x, torch.empty(0))
    assert torch.equal(again.flat, rbm.flat)


@pytest.mark.parametrize("chains", [0, 100])
def test_bars_and_stripes_are_learned(chains: int) -> None:
    """Exact log-likelihood, near that of the data's own distribution, log 1/14."""
    generator = torch.Generator().manual_seed(0)
    x = bars_and_stripes(3)
    assert len(x) == 14
    rbm = RBM(9, 16)
    rbm.initialise(0.1, generator)
    batch = x.repeat(8, 1)
    learner = ContrastiveDivergence(rbm, 5, 0.1, generator, momentum=0.5, chains=chains)
    for step in range(4000):
        learner.rate = 0.1 * (1 - step / 4000)
        learner.update(batch, torch.empty(0))
    log_likelihood = (-rbm.free_energy(x)).mean().item() - rbm.log_partition()
    assert -math.log(14) - 0.35 < log_likelihood < -math.log(14)


def test_the_returned_error_is_that_of_a_reconstruction() -> None:
    rbm = RBM(4, 3)  # all weights zero: every reconstruction is one half
    x = torch.tensor([[1.0, 0.0, 1.0, 0.0]])
    learner = ContrastiveDivergence(rbm, 1, 0.1, torch.Generator())
    assert learner.update(x, torch.empty(0)).item() == pytest.approx(4 * 0.25)


def test_cd_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="CD-0"):
        ContrastiveDivergence(RBM(2, 2), 0, 0.1, torch.Generator())
