"""Gibbs sampling of a net's posterior and the annealing along it, against enumeration."""

import pytest
import torch
from torch import Tensor

from dgm.inference.ais import AIS, schedule
from dgm.inference.autocorrelation import autocorrelation_time
from dgm.inference.enumeration import log_evidence
from dgm.inference.gibbs import PosteriorPath, evidence, gibbs_sweep
from dgm.models.sigmoid_belief_net import SigmoidBeliefNet
from tests.small import all_states, every_state, log_joint, small_net

NETS = [((3,), False), ((3, 2), False), ((2, 2, 2), False)]
NETS += [((3,), True), ((3, 2), True), ((2, 2, 2), True)]


def tempered(net: SigmoidBeliefNet, states: list[Tensor], beta: float) -> Tensor:
    """log p*_beta(h): p(x|h_1), and an undirected top's weights, to the power beta."""
    W = net.generative[-1]["W"].double()
    weights = ((states[-1].double() @ W) * states[-2].double()).sum(1)
    cold = log_joint(net, states)
    if net.undirected_top:
        cold = cold - (1 - beta) * weights
    if net.layers == 1 and net.undirected_top:
        return cold
    layer = net.generative[0]
    pre = layer["b"].double() + states[1].double() @ layer["W"].double()
    log_p = (states[0] * pre - torch.nn.functional.softplus(pre)).sum(1)
    return cold - (1 - beta) * log_p


@pytest.mark.parametrize(("hidden", "undirected"), NETS)
@pytest.mark.parametrize("beta", [1.0, 0.4])
def test_a_sweep_leaves_the_tempered_posterior_as_it_is(
    hidden: tuple[int, ...], undirected: bool, beta: float
) -> None:
    """Exact draws of it, swept once, are still draws of it."""
    net = small_net(hidden=hidden, std=1.5, undirected=undirected)
    x = all_states(4)[6]
    every = every_state(net, x)
    p = tempered(net, every, beta).softmax(0)
    generator = torch.Generator().manual_seed(1)
    chosen = torch.multinomial(p, 40_000, replacement=True, generator=generator)
    states = [state[chosen] for state in every]
    gibbs_sweep(net, states, generator, beta)
    n = sum(hidden)
    numbers = torch.cat(states[1:], 1).long() @ 2 ** torch.arange(n - 1, -1, -1)
    shares = torch.bincount(numbers, minlength=2**n) / len(numbers)
    assert ((shares - p).abs() < 5 * (p * (1 - p) / len(numbers)).sqrt() + 1e-4).all()
    assert not torch.equal(states[1], every[1][chosen])


@pytest.mark.parametrize(("hidden", "undirected"), NETS)
def test_annealing_finds_the_evidence_of_each_image(
    hidden: tuple[int, ...], undirected: bool
) -> None:
    net = small_net(hidden=hidden, std=1.5, undirected=undirected)
    x = all_states(4)[[0, 6, 13]]
    path = PosteriorPath(net, x)
    ais = AIS(path, schedule((100, 0.0, 1.0)), 400, torch.Generator().manual_seed(0))
    for step in range(ais.steps):
        ais.update(step)
    found = evidence(ais, path)
    exact = log_evidence(net, x) + (net.top().log_partition() if undirected else 0)
    assert ((found.log_likelihood - exact).abs() < 4 * found.stderr + 1e-4).all()
    assert found.stderr.max() < 0.1


def test_without_a_step_between_the_mean_weight_is_right_too() -> None:
    net = small_net(std=0.5, undirected=True)
    x = all_states(4)[[2, 5]]
    path = PosteriorPath(net, x)
    ais = AIS(path, schedule((1, 0.0, 1.0)), 40_000, torch.Generator().manual_seed(0))
    ais.update(0)
    exact = log_evidence(net, x) + net.top().log_partition()
    torch.testing.assert_close(evidence(ais, path).log_likelihood, exact, atol=0.03, rtol=0)


@pytest.mark.parametrize("stay", [0.5, 0.9, 0.98])
def test_the_autocorrelation_time_of_two_states(stay: float) -> None:
    """A symmetric chain that stays with probability s: rho(t) = (2s - 1)^t, tau = s / (1 - s)."""
    generator = torch.Generator().manual_seed(0)
    moves = torch.rand(4000, 20, 30, generator=generator) > stay
    start = torch.rand(1, 20, 30, generator=generator) > 0.5
    values = (moves.cumsum(0) + start) % 2
    assert autocorrelation_time(values) == pytest.approx(stay / (1 - stay), rel=0.1)


def test_a_chain_that_never_moves_has_no_end_of_its_autocorrelation() -> None:
    still = (torch.rand(1, 20, 3, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    assert autocorrelation_time(still.expand(100, -1, -1)) > 99
    assert autocorrelation_time(torch.ones(100, 5, 2)) == float("inf")
