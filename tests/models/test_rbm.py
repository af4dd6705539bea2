"""RBMs small enough to enumerate: their densities and their Gibbs chains."""

import math

import pytest
import torch
from torch import Tensor

from dgm.learning.contrastive_divergence import (
    gibbs,
)
from dgm.models.rbm import RBM, LabelRBM, LinearRBM, SoftmaxRBM, log_odds
from tests.small import all_states, joint, small_rbm


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
    by_label = rbm.label_logits(below).softmax(1).double()
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
