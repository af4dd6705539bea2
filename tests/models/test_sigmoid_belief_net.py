"""Sigmoid belief nets, against their definition in double precision and against autograd."""

import pytest
import torch
from torch.nn.functional import softplus

from dgm.inference.enumeration import log_evidence
from dgm.models.sigmoid_belief_net import SigmoidBeliefNet
from tests.small import all_states, every_state, gradient_of, log_joint, small_net, watched


@pytest.mark.parametrize("hidden", [(3,), (3, 2), (3, 2, 4)])
def test_the_joint_and_the_evidence(hidden: tuple[int, ...]) -> None:
    net = small_net(hidden=hidden)
    x = all_states(4)
    exact = torch.stack([log_joint(net, every_state(net, one)).logsumexp(0) for one in x])
    assert exact.logsumexp(0).item() == pytest.approx(0, abs=1e-5)  # it is a distribution
    torch.testing.assert_close(log_evidence(net, x), exact)
    states = every_state(net, x[5])
    p = net.p_terms(states)
    torch.testing.assert_close(torch.stack(p.log_p).sum(0), log_joint(net, states).float())


@pytest.mark.parametrize("hidden", [(3,), (3, 2), (3, 2, 4)])
def test_an_undirected_top_is_an_rbm(hidden: tuple[int, ...]) -> None:
    net = small_net(hidden=hidden, undirected=True)
    x = all_states(4)
    exact = torch.stack([log_joint(net, every_state(net, one)).logsumexp(0) for one in x])
    torch.testing.assert_close(log_evidence(net, x), exact - exact.logsumexp(0))
    assert (exact.logsumexp(0)).item() == pytest.approx(net.top().log_partition(), abs=1e-5)


def test_gradients_of_log_p_and_log_q() -> None:
    """Oracle: autograd of the definitions, with three particles an image."""
    net = small_net()
    generator = torch.Generator().manual_seed(1)
    x = all_states(4)[[3, 9]]
    found = net.recognise(x, 3, generator)
    weights = torch.rand(6, generator=generator)
    of_layers = [torch.rand(6, generator=generator) for _ in range(2)]
    net.generative_gradient(found.states, found.p, weights)
    net.recognition_gradient(found.states, found.q, of_layers)
    ours = net.gradient.clone()
    net.recognition_gradient(found.states, found.q, of_layers, keep=0.5)
    part = slice(net.generative_size, None)
    torch.testing.assert_close(net.gradient[part], 1.5 * ours[part])

    states = [x.repeat_interleave(3, 0), *found.states[1:]]
    copy = watched(net)
    total = (weights * log_joint(copy, states)).sum()
    for layer, below, above, of in zip(
        copy.recognition, states, states[1:], of_layers, strict=False
    ):
        pre = layer["b"] + below @ layer["W"]
        total = total + (of * (above * pre - softplus(pre)).sum(1)).sum()
    torch.testing.assert_close(ours, gradient_of(copy, total))


def test_log_weights_have_the_evidence_as_their_mean() -> None:
    net = small_net(std=0.7)
    x = all_states(4)[[0, 6]]
    found = net.recognise(x, 40_000, torch.Generator().manual_seed(0))
    assert [len(state) for state in found.states] == [2, 80_000, 80_000]
    w = found.log_weights(2).double().exp()
    stderr = w.std(1) / 200
    assert ((w.mean(1) - log_evidence(net, x).exp()).abs() < 4 * stderr).all()


def test_dreams_follow_the_net() -> None:
    net = small_net(hidden=(3, 2, 2))
    x, *_ = net.dream(40_000, torch.Generator().manual_seed(0))
    digits = 2 ** torch.arange(3, -1, -1)
    shares = torch.bincount((x.long() * digits).sum(1), minlength=16) / len(x)
    exact = log_evidence(net, all_states(4)).exp()
    assert ((shares - exact).abs() < 4 * (exact * (1 - exact) / len(x)).sqrt()).all()


def test_a_net_needs_layers_and_units() -> None:
    for visible, hidden in ((4, []), (4, [3, 0]), (0, [3])):
        with pytest.raises(ValueError, match="a sigmoid belief net of"):
            SigmoidBeliefNet(visible, hidden)
