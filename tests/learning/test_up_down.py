"""Up-down: its gradients against autograd, and that it learns."""

import copy

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli

from dgm.learning.contrastive_divergence import ContrastiveDivergence
from dgm.learning.up_down import UpDown
from dgm.models.dbn import DBN
from dgm.models.parameters import Parameters
from dgm.models.rbm import RBM, LabelRBM
from tests.small import cases, small_dbn


def log_p(layer: Parameters, given: Tensor, target: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Mean log probability of `target`, and the leaves that autograd differentiates it by."""
    leaf = {name: layer[name].clone().requires_grad_() for name in ("W", "b")}
    p = Bernoulli(logits=given @ leaf["W"] + leaf["b"], validate_args=False)
    return p.log_prob(target).sum(1).mean(), leaf


def assert_gradient(layer: Parameters, given: Tensor, target: Tensor) -> None:
    value, leaf = log_p(layer, given, target)
    value.backward()
    for name, parameter in leaf.items():
        torch.testing.assert_close(layer.grad[name], parameter.grad)


def test_an_update_is_wake_and_contrast_and_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Oracles: autograd on the states of both passes, and the top's statistics written out."""
    dbn, generator = small_dbn()
    x, labels = cases(9, generator)
    seen: dict[str, list[Tensor]] = {}
    up, down = dbn.up, dbn.down

    def note_up(v: Tensor, generator: torch.Generator) -> list[Tensor]:
        seen["wake"] = [v, *up(v, generator)]
        return seen["wake"][1:]

    def note_down(h: Tensor, generator: torch.Generator) -> list[Tensor]:
        states = down(h, generator)
        seen["sleep"] = [h, *states][::-1]
        return states

    top_states: list[Tensor] = []
    hidden_mean = dbn.top.hidden_mean

    def note_top(v: Tensor) -> Tensor:
        top_states.append(v.clone())
        return hidden_mean(v)

    monkeypatch.setattr(dbn, "up", note_up)
    monkeypatch.setattr(dbn, "down", note_down)
    monkeypatch.setattr(dbn.top, "hidden_mean", note_top)
    before = dbn.flat.clone()
    UpDown(dbn, labels, 3, 0.0, generator).update(x, torch.arange(len(x)))
    assert torch.equal(dbn.flat, before)  # a rate of 0, so that gradients are those of `before`

    wake, sleep = seen["wake"], seen["sleep"]
    for i, layer in enumerate(dbn.generative):
        assert_gradient(layer, given=wake[i + 1], target=wake[i])
    for i, layer in enumerate(dbn.recognition):
        assert_gradient(layer, given=sleep[i], target=sleep[i + 1])
    assert len(top_states) == 1 + 3
    assert torch.equal(top_states[0], torch.cat([wake[2], labels], 1))
    assert torch.equal(top_states[-1][:, :4], sleep[2])
    for states in (*wake[1:], *sleep[1:], *top_states):
        assert set(states.unique().tolist()) <= {0.0, 1.0}
    assert sleep[0].min() > 0 and sleep[0].max() < 1  # the dreamed image is left grey
    grad = dbn.top.parameters.grad
    difference = top_states[0].mean(0) - top_states[-1].mean(0)
    torch.testing.assert_close(grad["a"], difference)
    start, end = (v.t() @ hidden_mean(v) / len(v) for v in (top_states[0], top_states[-1]))
    torch.testing.assert_close(grad["W"], start - end)
    # Each case has one label on, before and after: the labels' part of W sums to that of b.
    torch.testing.assert_close(grad["W"][4:].sum(0), grad["b"])


def test_persistent_chains_go_on_where_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    dbn, generator = small_dbn()
    x, labels = cases(9, generator)
    begun = torch.cat([torch.ones(5, 4), torch.eye(3)[torch.arange(5) % 3]], 1)
    learner = UpDown(dbn, labels, 2, 0.1, generator, chains=begun)
    ends: list[Tensor] = [begun]
    seen: list[Tensor] = []
    hidden_mean = dbn.top.hidden_mean

    def note(v: Tensor) -> Tensor:
        seen.append(v.clone())
        return hidden_mean(v)

    monkeypatch.setattr(dbn.top, "hidden_mean", note)
    for _ in range(3):
        seen.clear()
        before = dbn.top.flat.clone()
        learner.update(x, torch.arange(len(x)))
        after = dbn.top.flat.clone()
        dbn.top.flat.copy_(before)
        wake, end = seen[0], seen[-1]
        assert len(seen) == 1 + 1 + 2
        assert torch.equal(seen[1], ends[-1])
        of_data, of_model = (v.t() @ hidden_mean(v) / len(v) for v in (wake, end))
        dbn.top.flat.copy_(after)
        moved = dbn.top.parameters["W"] - before[: of_data.numel()].view_as(of_data)
        torch.testing.assert_close(moved, 0.1 * (of_data - of_model))
        ends.append(end)


def test_the_rate_may_change() -> None:
    dbn, generator = small_dbn()
    x, labels = cases(9, generator)
    learner, theta = UpDown(dbn, labels, 1, 0.1, generator), dbn.flat.clone()
    for rate in (0.1, 0.02):
        learner.rate = rate
        learner.update(x, torch.arange(len(x)))
        theta = theta + rate * dbn.gradient
        torch.testing.assert_close(dbn.flat, theta)


def test_the_top_has_a_rate_of_its_own() -> None:
    one, four = (
        UpDown(dbn, cases(9, generator)[1], 2, 0.1, generator, top_factor=factor)
        for (dbn, generator), factor in ((small_dbn(), 1.0), (small_dbn(), 4.0))
    )
    x, _ = cases(9, torch.Generator().manual_seed(3))
    moved = []
    for learner in (one, four):
        before = learner.dbn.flat.clone()
        learner.update(x, torch.arange(len(x)))
        top = len(learner.dbn.top.flat)
        moved.append((learner.dbn.flat - before).split([len(before) - top, top]))
    torch.testing.assert_close(moved[0][0], moved[1][0])
    torch.testing.assert_close(4 * moved[0][1], moved[1][1])


def test_weights_decay_and_biases_do_not() -> None:
    moved = []
    for decay in (0.0, 0.01):
        dbn, generator = small_dbn()
        before = dbn.flat.clone()
        labels = cases(9, generator)[1]
        learner = UpDown(dbn, labels, 2, 0.1, generator, top_factor=4.0, decay=decay)
        learner.update(cases(9, torch.Generator().manual_seed(3))[0], torch.arange(9))
        moved.append(dbn.flat - before)
    dbn, _ = small_dbn()
    weights = torch.zeros_like(dbn.flat)
    start = 0
    for part in (*dbn.recognition, *dbn.generative, dbn.top.parameters):
        rate = 0.4 if part is dbn.top.parameters else 0.1
        n = part["W"].numel()  # which come first
        weights[start : start + n] = rate * part["W"].flatten()
        start += len(part.flat)
    torch.testing.assert_close(moved[0] - moved[1], 0.01 * weights)


@pytest.mark.parametrize("persistent", [False, True])
def test_learning_goes_on_from_its_state(persistent: bool) -> None:
    chains = torch.eye(7)[3:] if persistent else None
    dbn, generator = small_dbn()
    x, labels = cases(9, generator)
    learner = UpDown(dbn, labels, 2, 0.1, generator, chains=chains)
    learner.update(x, torch.arange(len(x)))
    other = DBN(6, [5, 4], 7, 3)
    other.load_state_dict({"parameters": dbn.flat.clone()})
    twin = torch.Generator()
    twin.set_state(generator.get_state())
    again = UpDown(other, labels, 2, 0.1, twin, chains=chains)
    again.load_state_dict(copy.deepcopy(learner.state_dict()))
    for one in (learner, again):
        one.update(x, torch.arange(len(x)))
    assert torch.equal(other.flat, dbn.flat)


def test_no_gibbs_step_is_refused() -> None:
    with pytest.raises(ValueError, match="up-down with 0 Gibbs steps"):
        UpDown(small_dbn()[0], torch.eye(3), 0, 0.1, torch.Generator())


def test_greedy_layers_and_up_down_learn_digits() -> None:
    """scikit-learn's digits: far better than chance after the stack, better after up-down."""
    from dgm import data
    from dgm.data.batches import Minibatches

    digits = data.load("digits")
    generator = torch.Generator().manual_seed(0)
    one_hot = torch.eye(10)[digits.labels["train"]]
    first, top = RBM(64, 150), LabelRBM(150, 10, 250)
    inputs, rbms = digits.train, [first, top]
    for rbm in rbms:
        rbm.initialise(0.05, generator)
        if rbm is top:
            inputs = torch.cat([first.hidden_mean(digits.train), one_hot], 1)
        batches = Minibatches(inputs, 20, generator)
        learner = ContrastiveDivergence(rbm, 1, 0.1, generator, momentum=0.5)
        for _ in range(70 * 15):
            learner.update(*batches.draw())
    dbn = DBN(64, [150], 250, 10)
    dbn.stack(rbms)

    def error() -> float:
        return (dbn.classify(digits.test) != digits.labels["test"]).float().mean().item()

    greedy = error()
    assert greedy < 0.3  # chance is 0.9
    fine = UpDown(dbn, one_hot, 3, 0.1, generator)
    batches = Minibatches(digits.train, 20, generator)
    for _ in range(70 * 25):
        fine.update(*batches.draw())
    assert error() < 0.6 * greedy
