"""RBMs small enough to enumerate: densities, Gibbs, contrastive divergence, and AIS."""

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from dgm.fast.draws import bernoulli
from dgm.inference.ais import AIS, schedule
from dgm.learning.contrastive_divergence import (
    ContrastiveDivergence,
    centre,
    gibbs,
    statistics,
)
from dgm.learning.weight_prior import WeightPrior
from dgm.models.rbm import RBM, GaussianRBM, LabelRBM, LinearRBM, SoftmaxRBM, log_odds


def all_states(n: int) -> Tensor:
    return torch.tensor(list(itertools.product([0.0, 1.0], repeat=n)))


def small_rbm(visible: int = 5, hidden: int = 4, std: float = 1.0, seed: int = 0) -> RBM:
    generator = torch.Generator().manual_seed(seed)
    rbm = RBM(visible, hidden)
    rbm.flat.normal_(0.0, std, generator=generator)
    return rbm


def gradient_of_a_step(learner: ContrastiveDivergence, x: Tensor) -> Tensor:
    """What a step without momentum adds to the parameters, over the rate."""
    before = learner.rbm.flat.clone()
    learner.update(x, torch.empty(0))
    return (learner.rbm.flat - before) / learner.rate


def joint(rbm: RBM) -> tuple[Tensor, Tensor, Tensor]:
    """All v, all h, and p(v, h) by the definition of the energy."""
    p = {name: rbm.parameters[name].double() for name in ("W", "a", "b")}
    v, h = (all_states(len(p[name])).double() for name in ("a", "b"))
    minus_energy = v @ p["W"] @ h.T + (v @ p["a"])[:, None] + (h @ p["b"])[None]
    return v, h, torch.softmax(minus_energy.flatten(), 0).view_as(minus_energy)


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


def bars_and_stripes(side: int) -> Tensor:
    """Every image whose rows are all alike or whose columns are."""
    rows = all_states(side)[:, :, None].expand(-1, side, side)
    both = torch.cat([rows, rows.mT]).reshape(-1, side * side)
    return torch.unique(both, dim=0)


# --- the model -------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(5, 4), (3, 6)])
def test_densities_are_those_of_the_energy(shape: tuple[int, int]) -> None:
    rbm = small_rbm(*shape)
    v, h, probability = joint(rbm)
    log_z = rbm.log_partition(block=3)
    log_p = -rbm.free_energy(v.float()).double() - log_z
    torch.testing.assert_close(log_p, probability.sum(1).log(), atol=1e-5, rtol=0)
    hidden = probability @ h / probability.sum(1, keepdim=True)
    torch.testing.assert_close(rbm.hidden_mean(v.float()).double(), hidden, atol=1e-6, rtol=0)
    visible = probability.T @ v / probability.sum(0)[:, None]
    torch.testing.assert_close(rbm.visible_mean(h.float()).double(), visible, atol=1e-6, rtol=0)


def test_log_partition_is_of_the_smaller_side_alone() -> None:
    assert RBM(1000, 3).log_partition() == pytest.approx(1003 * math.log(2))
    assert RBM(3, 1000).log_partition() == pytest.approx(1003 * math.log(2))
    with pytest.raises(ValueError, match="enumerating 26 units"):
        RBM(40, 26).log_partition()


def label_rbm() -> LabelRBM:
    rbm = LabelRBM(visible=4, labels=3, hidden=5)
    rbm.flat.normal_(generator=torch.Generator().manual_seed(2))
    return rbm


def test_a_label_is_one_of_a_group() -> None:
    """Oracle: the energy's definition over all v whose last three units hold one 1."""
    rbm = label_rbm()
    v, h, _ = joint(rbm)
    allowed = v[:, 4:].sum(1) == 1
    p = {name: rbm.parameters[name].double() for name in ("W", "a", "b")}
    v = v[allowed]
    minus_energy = v @ p["W"] @ h.T + (v @ p["a"])[:, None] + (h @ p["b"])[None]
    log_z = torch.logsumexp(minus_energy.flatten(), 0).item()
    assert rbm.log_partition(block=7) == pytest.approx(log_z, abs=1e-6)
    probability = torch.exp(minus_energy - log_z)
    log_p = -rbm.free_energy(v.float()).double() - log_z
    torch.testing.assert_close(log_p, probability.sum(1).log(), atol=1e-5, rtol=0)
    mean = probability.T @ v / probability.sum(0)[:, None]
    torch.testing.assert_close(rbm.visible_mean(h.float()).double(), mean, atol=1e-6, rtol=0)

    below = all_states(4)
    by_label = rbm.label_log_odds(below).softmax(1).double()
    of = probability.sum(1)
    for row, given in zip(below, by_label, strict=True):
        here = (v[:, :4] == row).all(1)
        order = v[here][:, 4:].argmax(1)
        expected = (of[here] / of[here].sum())[order.argsort()]
        torch.testing.assert_close(given, expected, atol=1e-6, rtol=0)


def test_labels_are_drawn_one_at_a_time() -> None:
    rbm = label_rbm()
    generator = torch.Generator().manual_seed(0)
    h = torch.tensor([[1.0, 0.0, 1.0, 1.0, 0.0]]).expand(40_000, 5)
    v = rbm.sample_visible(h, generator)
    assert set(v.unique().tolist()) == {0.0, 1.0}
    assert (v[:, 4:].sum(1) == 1).all()
    torch.testing.assert_close(v.mean(0), rbm.visible_mean(h)[0], atol=0.012, rtol=0)


def plane() -> tuple[Tensor, float]:
    """Points of a grid over two real units, and the area that each stands for."""
    axis = torch.linspace(-12, 12, 601)
    return torch.cartesian_prod(axis, axis), (axis[1] - axis[0]).item() ** 2


def test_gaussian_visible_units() -> None:
    """Oracle: quadrature over two visible units, at every hidden state."""
    rbm = GaussianRBM(2, 3)
    generator = torch.Generator().manual_seed(3)
    rbm.flat.normal_(0.0, 0.7, generator=generator)
    v, area = plane()
    weight = torch.exp(-rbm.free_energy(v).double())
    assert rbm.log_partition(3) == pytest.approx(math.log(weight.sum().item() * area), abs=1e-4)
    p, h = rbm.parameters, all_states(3)
    energy = -(v @ p["W"] @ h.T) + 0.5 * (v - p["a"]).square().sum(1)[:, None] - h @ p["b"]
    joint_weight = torch.exp(-energy.double())
    torch.testing.assert_close(joint_weight.sum(1), weight, rtol=1e-4, atol=1e-8)
    mean = joint_weight.T @ v.double() / joint_weight.sum(0)[:, None]
    torch.testing.assert_close(rbm.visible_mean(h).double(), mean, atol=1e-4, rtol=0)
    hidden = joint_weight @ h.double() / weight[:, None]
    torch.testing.assert_close(rbm.hidden_mean(v).double(), hidden, atol=1e-4, rtol=0)
    drawn = rbm.sample_visible(h[5].expand(40_000, 3), generator)
    torch.testing.assert_close(drawn.mean(0), rbm.visible_mean(h[5:6])[0], atol=0.03, rtol=0)
    torch.testing.assert_close(drawn.T.cov(), torch.eye(2), atol=0.03, rtol=0)
    rbm.initialise(0.0, generator, drawn)
    torch.testing.assert_close(rbm.parameters["a"], drawn.mean(0))


def test_counts_of_words() -> None:
    """Oracle: all sequences of three words of four, and all hidden states."""
    rbm = SoftmaxRBM(4, 3)
    generator = torch.Generator().manual_seed(5)
    rbm.flat.normal_(0.0, 0.8, generator=generator)
    p, h = rbm.parameters, all_states(3)
    sequences = torch.cartesian_prod(*[torch.arange(4)] * 3)
    v = torch.nn.functional.one_hot(sequences, 4).sum(1).float()
    joint_weight = torch.exp((v @ p["W"] @ h.T + (v @ p["a"])[:, None] + h @ p["b"]).double())
    weight = torch.exp(-rbm.free_energy(v).double())
    torch.testing.assert_close(weight, joint_weight.sum(1), rtol=1e-5, atol=0)
    log_z = joint_weight.sum().log().item()
    assert rbm.log_partition(words=3) == pytest.approx(log_z, abs=1e-5)
    hidden = joint_weight @ h.double() / joint_weight.sum(1, keepdim=True)
    torch.testing.assert_close(rbm.hidden_mean(v).double(), hidden, atol=1e-5, rtol=0)
    counts = joint_weight.T @ v.double() / joint_weight.sum(0)[:, None]
    three = torch.tensor([[3.0, 0.0, 0.0, 0.0]]).expand(len(h), 4)
    torch.testing.assert_close(rbm.reconstruct(three, h).double(), counts, atol=1e-5, rtol=0)


def test_words_are_drawn_with_their_probabilities() -> None:
    generator = torch.Generator().manual_seed(5)
    mean = torch.tensor([[1.0, 0.0, 2.0, 4.0], [0.0, 0.0, 0.0, 0.0], [0.3, 0.3, 0.0, 0.0]])
    drawn = SoftmaxRBM(4, 3).draw_visible(mean.repeat(20_000, 1), generator).view(-1, 3, 4)
    assert (drawn.sum(2) == torch.tensor([7.0, 0.0, 1.0])).all()
    assert (drawn[:, 0, 1] == 0).all() and (drawn[:, 2, 2:] == 0).all()
    torch.testing.assert_close(drawn[:, 0].mean(0), mean[0], atol=0.04, rtol=0)
    share = mean[0] / 7
    torch.testing.assert_close(drawn[:, 0].var(0), 7 * share * (1 - share), atol=0.06, rtol=0)


def test_linear_hidden_units() -> None:
    """Oracle: quadrature over two hidden units, at every visible state."""
    rbm = LinearRBM(3, 2)
    generator = torch.Generator().manual_seed(4)
    rbm.flat.normal_(0.0, 0.7, generator=generator)
    h, area = plane()
    p, v = rbm.parameters, all_states(3)
    energy = -(v @ p["W"] @ h.T) - (v @ p["a"])[:, None] + 0.5 * (h - p["b"]).square().sum(1)
    joint_weight = torch.exp(-energy.double()) * area
    weight = joint_weight.sum(1)
    torch.testing.assert_close(torch.exp(-rbm.free_energy(v).double()), weight, rtol=1e-4, atol=0)
    assert rbm.log_partition(3) == pytest.approx(math.log(weight.sum().item()), abs=1e-4)
    mean = joint_weight @ h.double() / weight[:, None]
    torch.testing.assert_close(rbm.hidden_mean(v).double(), mean, atol=1e-4, rtol=0)
    near = ((h[:, 0] - 0.4).abs() < 1e-6) & ((h[:, 1] + 1.2).abs() < 1e-6)
    given = joint_weight[:, near][:, 0]
    expected = given @ v.double() / given.sum()
    torch.testing.assert_close(rbm.visible_mean(h[near])[0].double(), expected, atol=1e-4, rtol=0)
    drawn = rbm.sample_hidden(v[5].expand(40_000, 3), generator)
    torch.testing.assert_close(drawn.mean(0), rbm.hidden_mean(v[5:6])[0], atol=0.03, rtol=0)
    torch.testing.assert_close(drawn.T.cov(), torch.eye(2), atol=0.03, rtol=0)


def test_gibbs_leaves_the_model_as_it_is() -> None:
    """The exact distribution of v times the transition of one Gibbs step is itself; and the
    sampler's frequencies are those of that transition."""
    rbm = small_rbm(3, 2)
    v, h, probability = joint(rbm)
    p_v = probability.sum(1)

    def bernoulli(mean: Tensor, states: Tensor) -> Tensor:
        factors = torch.where(states[None] > 0, mean[:, None], 1 - mean[:, None])
        return factors.double().prod(2)

    up, down = (
        bernoulli(rbm.hidden_mean(v.float()), h),
        bernoulli(rbm.visible_mean(h.float()), v),
    )
    transition = up @ down
    torch.testing.assert_close(p_v @ transition, p_v, atol=1e-6, rtol=0)

    generator = torch.Generator().manual_seed(1)
    start = v[5].float().expand(100_000, 3)
    end = gibbs(rbm, start, 2, generator)
    codes = (end @ torch.tensor([4.0, 2.0, 1.0])).long()
    frequencies = torch.bincount(codes, minlength=8).double() / len(codes)
    expected = (transition @ transition)[5]
    torch.testing.assert_close(frequencies, expected, atol=0.006, rtol=0)


def test_an_rbm_needs_units_on_either_side() -> None:
    for visible, hidden in ((0, 3), (3, 0)):
        with pytest.raises(ValueError, match=f"{visible} visible and {hidden} hidden"):
            RBM(visible, hidden)


def test_visible_biases_start_at_the_datas_log_odds() -> None:
    x = torch.tensor([[1.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    expected = [math.log(3), -math.log(3), 0.0]  # (2 + 1) of (2 + 2), (0 + 1) of (2 + 2)
    assert log_odds(x).tolist() == pytest.approx(expected, abs=1e-6)
    rbm = RBM(3, 50)
    rbm.initialise(0.01, torch.Generator().manual_seed(0), x)
    assert rbm.parameters["a"].tolist() == pytest.approx(expected, abs=1e-6)
    assert rbm.parameters["W"].std().item() == pytest.approx(0.01, rel=0.2)
    assert not rbm.parameters["b"].any()


# --- contrastive divergence ------------------------------------------------------------------


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


# --- annealed importance sampling ------------------------------------------------------------


def anneal(rbm: RBM, chains: int, betas: int, seed: int, base: Tensor | None = None) -> AIS:
    generator = torch.Generator().manual_seed(seed)
    ais = AIS(rbm, schedule((betas, 0.0, 1.0)), chains, generator, base)
    for step in range(ais.steps):
        ais.update(step)
    return ais


def test_the_schedule_of_the_authors() -> None:
    betas = schedule((500, 0, 0.5), (4000, 0.5, 0.9), (10_000, 0.9, 1.0))
    assert len(betas) == 14_501
    assert betas[[0, 500, 4500, -1]].tolist() == [0.0, 0.5, 0.9, 1.0]
    assert (betas.diff() > 0).all()
    assert betas[1].item() == pytest.approx(0.001)
    assert betas[-2].item() == pytest.approx(1 - 1e-5)
    falling = [(9, 0, 0.9), (9, 0.5, 1)]
    for wrong in ([(9, 0.5, 1)], falling, [(9, 0, 2)], [(0, 0, 0.5), (9, 0, 1)], [(-5, 0, 1)]):
        with pytest.raises(ValueError, match="betas must rise from 0 to 1"):
            schedule(*wrong)


@pytest.mark.parametrize("of_data", [False, True])
def test_annealing_finds_log_z(of_data: bool) -> None:
    """Oracle: enumeration. Without any step in between, the mean weight is right too."""
    rbm = small_rbm(12, 10, std=0.8)
    base = torch.linspace(-1, 1, 12) if of_data else None
    exact = rbm.log_partition()
    found = anneal(rbm, 200, 1000, 0, base).result()
    assert abs(found.log_partition - exact) < 0.2
    assert found.low < found.log_partition < found.high
    assert 20 < found.effective_chains <= 200

    easy = small_rbm(6, 5, std=0.3)
    at_once = anneal(easy, 50_000, 1, 0).result()
    assert at_once.log_partition == pytest.approx(easy.log_partition(), abs=0.02)


def test_without_weights_annealing_is_exact() -> None:
    rbm = small_rbm(6, 5)
    rbm.parameters["W"].zero_()
    rbm.parameters["b"].zero_()
    found = anneal(rbm, 7, 3, 0).result()
    assert found.log_partition == pytest.approx(rbm.log_partition(), abs=1e-5)
    assert found.effective_chains == pytest.approx(7)


def test_the_interval_covers_log_z_as_often_as_it_says() -> None:
    """40 repeats of a 95 % interval: 33 or fewer would be one chance in two hundred."""
    rbm = small_rbm(10, 8, std=0.7)
    exact = rbm.log_partition()
    results = [anneal(rbm, 100, 200, seed).result() for seed in range(40)]
    assert sum(found.low <= exact <= found.high for found in results) >= 34
    widths = torch.tensor([found.high - found.low for found in results])
    errors = torch.tensor([found.log_partition - exact for found in results])
    assert widths.mean() < 8 * errors.std()  # and is not wide for nothing


def test_annealing_goes_on_from_its_state() -> None:
    rbm = small_rbm(6, 5)
    whole = anneal(rbm, 10, 20, 3)
    generator = torch.Generator().manual_seed(3)
    betas = schedule((20, 0.0, 1.0))
    first = AIS(rbm, betas, 10, generator)
    for step in range(8):
        first.update(step)
    second = AIS(rbm, betas, 10, torch.Generator())
    second.load_state_dict({name: t.clone() for name, t in first.state_dict().items()})
    second.generator.set_state(generator.get_state())
    for step in range(8, 20):
        second.update(step)
    assert second.result() == whole.result()
