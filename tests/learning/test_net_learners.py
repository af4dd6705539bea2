"""What learns a sigmoid belief net, against gradients of the enumerated likelihood and bounds."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn.functional import softplus

from dgm.inference.enumeration import log_evidence
from dgm.learning import mean_field_em
from dgm.learning.gibbs_em import GibbsEM
from dgm.learning.mean_field_em import MeanFieldEM, Weights, posterior
from dgm.learning.nvil import NVIL
from dgm.learning.reweighted_wake_sleep import ReweightedWakeSleep
from dgm.models.sigmoid_belief_net import SigmoidBeliefNet
from dgm.protocols.epochs import Learner
from tests.small import all_states, every_state, gradient_of, log_joint, small_net, watched


def log_q(net: SigmoidBeliefNet, states: list[Tensor]) -> Tensor:
    total = torch.zeros(len(states[0]), dtype=torch.float64)
    for layer, below, above in zip(net.recognition, states, states[1:], strict=False):
        pre = layer["b"].double() + below.double() @ layer["W"].double()
        total = total + (above.double() * pre - softplus(pre)).sum(1)
    return total


def exact_gradient(net: SigmoidBeliefNet, x: Tensor) -> Tensor:
    """Of the mean log p(x)."""
    copy = watched(net)
    means = [log_joint(copy, every_state(copy, one)).logsumexp(0) for one in x]
    return gradient_of(copy, torch.stack(means).mean())


def check_mean(found: list[Tensor], exact: Tensor) -> None:
    """Whether the mean of draws is `exact` within Monte Carlo error, and does depend on them."""
    draws = torch.stack(found).double()
    stderr = draws.std(0) / len(draws) ** 0.5
    assert ((draws.mean(0) - exact).abs() < 4.5 * stderr + 1e-6).all()
    assert stderr.max() < 0.1 * exact.abs().max()


X = all_states(4)[[1, 6, 12]]


def test_reweighted_wake_sleep_with_many_particles_follows_the_likelihood() -> None:
    net = small_net(std=0.7)
    learner = ReweightedWakeSleep(net, 2000, 1e-3, torch.Generator().manual_seed(0))
    found, estimates = [], []
    for _ in range(30):
        estimates.append(learner.gradient(X))
        found.append(net.gradient[: net.generative_size].clone())
    exact = exact_gradient(net, X)[: net.generative_size]
    torch.testing.assert_close(torch.stack(found).mean(0), exact, atol=4e-3, rtol=0.02)
    truth = log_evidence(net, X).mean().float()
    torch.testing.assert_close(torch.stack(estimates).mean(), truth, atol=5e-3, rtol=0)


def sleep_gradient(net: SigmoidBeliefNet) -> Tensor:
    """Of E_p[log q(h|x)], enumerated over images and hidden states."""
    copy = watched(net)
    total = torch.zeros((), dtype=torch.float64)
    for one in all_states(4):
        states = every_state(copy, one)
        p = log_joint(net, states).exp()
        total = total + (p * log_q(copy, states)).sum()
    return gradient_of(copy, total)[net.generative_size :]


def wake_gradient(net: SigmoidBeliefNet, x: Tensor) -> Tensor:
    """Of the mean over x of E_{p(h|x)}[log q(h|x)]."""
    copy = watched(net)
    total = torch.zeros((), dtype=torch.float64)
    for one in x:
        states = every_state(copy, one)
        p = log_joint(net, states).softmax(0)
        total = total + (p * log_q(copy, states)).sum() / len(x)
    return gradient_of(copy, total)[net.generative_size :]


def test_wake_sleep() -> None:
    """Wake: E_q[d log p(x, h)]; sleep: E_p[d log q(h|x)]; both enumerated."""
    net = small_net(std=0.7)
    learner = ReweightedWakeSleep(net, 1, 1e-3, torch.Generator().manual_seed(0), False)
    copy = watched(net)
    wake = torch.zeros((), dtype=torch.float64)
    for one in X:
        states = every_state(copy, one)
        wake = wake + (log_q(net, states).exp() * log_joint(copy, states)).sum() / len(X)
    exact = gradient_of(copy, wake)
    exact[net.generative_size :] = sleep_gradient(net)
    many = X.repeat(100, 1)
    found = []
    for _ in range(200):
        learner.gradient(many)
        found.append(net.gradient.clone())
    check_mean(found, exact)


def test_the_recognition_net_follows_the_mean_of_wake_and_sleep() -> None:
    net = small_net(std=0.7)
    learner = ReweightedWakeSleep(net, 200, 1e-3, torch.Generator().manual_seed(0))
    many = X.repeat(200, 1)  # as many dreams as images
    found = []
    for _ in range(15):
        learner.gradient(many)
        found.append(net.gradient[net.generative_size :].clone())
    exact = 0.5 * (sleep_gradient(net) + wake_gradient(net, X))
    torch.testing.assert_close(torch.stack(found).mean(0), exact, atol=5e-3, rtol=0.02)


def test_nvil_follows_the_bound() -> None:
    """With baselines that are anything but learned, and once they have learned."""
    net = small_net(std=0.7, hidden=(3, 2))
    generator = torch.Generator().manual_seed(0)
    learner = NVIL(net, 5, 1e-3, generator)
    copy = watched(net)
    bound = torch.zeros((), dtype=torch.float64)
    for one in X:
        states = every_state(copy, one)
        q = log_q(copy, states)
        bound = bound + (q.exp() * (log_joint(copy, states) - q)).sum() / len(X)
    exact = gradient_of(copy, bound)
    many = X.repeat(200, 1)  # so that offsets hardly depend on a single draw
    found, bounds = [], []
    for _ in range(300):
        bounds.append(learner.gradient(many))
        found.append(net.gradient.clone())
        learner.optimisers[1].ascend(learner.gradients[1].gradient)
    assert learner.variance.max() <= 1.5
    scale = learner.variance.sqrt().clamp_min(1)  # it shortens the steps of a layer
    recognition = exact[net.generative_size :]
    sizes = [len(part.flat) for part in net.recognition]
    for part, by in zip(recognition.split(sizes), scale[:, 0], strict=True):
        part /= by
    mean = torch.stack(found).mean(0)
    torch.testing.assert_close(mean, exact, atol=0.01, rtol=0.05)
    assert torch.stack(bounds).mean().item() == pytest.approx(bound.item(), abs=0.01)


def test_baselines_learn_what_the_signals_are() -> None:
    net = small_net(std=2.0)
    learner = NVIL(net, 20, 1e-2, torch.Generator().manual_seed(0))
    learner.optimisers[0].rate = 0.0
    learner.gradient(X)
    before = learner.variance.clone()
    many = X.repeat(50, 1)
    for _ in range(300):
        learner.gradient(many)
        learner.optimisers[1].ascend(learner.gradients[1].gradient)
    found = net.recognise(many, 1, learner.generator)
    signals = learner._signals(found.p.log_p, found.q.log_p)
    of_images = signals[0].view(50, 3).var(0).mean()  # what no function of x can predict
    assert learner.variance[0].item() == pytest.approx(of_images.item(), rel=0.2)
    assert before.numel() == 2


@pytest.mark.parametrize("hidden", [(3,), (3, 2), (2, 2, 2)])
def test_the_delta_rule_at_the_posterior_follows_the_likelihood(hidden: tuple[int, ...]) -> None:
    """Chains that have reached the posterior of each image: Fisher's identity."""
    net = small_net(std=0.7, hidden=hidden)
    exact = exact_gradient(net, X)[: net.generative_size]
    many = X.repeat(500, 1)
    learner = GibbsEM(net, len(many), 1, 1e-3, torch.Generator().manual_seed(0))
    learner.optimiser.rate = learner.rate = 0.0
    indices = torch.arange(len(many))
    found = []
    for visit in range(60):
        learner.update(many, indices)
        if visit >= 20:
            found.append(net.gradient[: net.generative_size].clone())
    torch.testing.assert_close(torch.stack(found).mean(0), exact, atol=0.01, rtol=0.03)
    assert learner.chains.shape == (len(many), sum(hidden))


@pytest.mark.parametrize("hidden", [(3,), (3, 2), (2, 2, 2)])
def test_the_mean_field_bound_is_one(hidden: tuple[int, ...]) -> None:
    """Below log p(x) for any mu and xi, below E_q[log p(x, h) - log q(h)], and near it where it
    has converged."""
    net = small_net(std=1.0, hidden=hidden)
    exact = log_evidence(net, X)
    generator = torch.Generator().manual_seed(0)
    mu = [torch.rand(3, n, generator=generator) for n in net.sizes[1:]]
    xi = [torch.rand(3, n, generator=generator) for n in net.sizes[:-1]]

    def bound(mu: list[Tensor], xi: list[Tensor]) -> Tensor:
        return mean_field_em.energy(Weights.of(net), X, mu, xi) + mean_field_em.entropy(mu)

    def factorial(mu: list[Tensor]) -> Tensor:
        values = []
        for i, one in enumerate(X):
            states = every_state(net, one)
            h, means = torch.cat(states[1:], 1).double(), torch.cat([of[i] for of in mu]).double()
            q = (h * means.log() + (1 - h) * (1 - means).log()).sum(1)
            values.append((q.exp() * (log_joint(net, states) - q)).sum())
        return torch.stack(values)

    assert (bound(mu, xi) < factorial(mu)).all()
    assert (factorial(mu) < exact).all()
    best_mu, best_xi = posterior(net, X, 200)
    assert (bound(best_mu, best_xi) > bound(mu, xi)).all()
    assert (bound(best_mu, best_xi) < factorial(best_mu) + 1e-5).all()
    assert (exact - bound(best_mu, best_xi) < 0.35).all()


def test_the_gradient_of_the_mean_field_bound() -> None:
    """Oracle: differences of the bound."""
    net = small_net(std=0.7)
    learner = MeanFieldEM(net, 50, 1e-3)
    mu, xi = posterior(net, X, 50)
    learner.gradient(X, mu, xi)
    ours = net.gradient[: net.generative_size].clone()
    step, flat = 1e-2, net.flat
    differences = []
    for i in range(net.generative_size):
        values = []
        for sign in (1, -1):
            flat[i] += sign * step
            values.append(mean_field_em.energy(Weights.of(net), X, mu, xi).mean().double())
            flat[i] -= sign * step
        differences.append((values[0] - values[1]) / (2 * step))
    torch.testing.assert_close(ours.double(), torch.stack(differences), atol=1e-3, rtol=1e-2)


@pytest.mark.parametrize("learner", ["gibbs", "mean_field", "wake_sleep", "rws", "nvil"])
def test_each_learns(learner: str) -> None:
    """Four images out of sixteen, equally likely: log p is at most -log 4."""
    x = all_states(4)[[0, 3, 12, 15]].repeat(10, 1)
    generator = torch.Generator().manual_seed(0)
    net = SigmoidBeliefNet(4, [4])
    net.initialise(0.1, generator, x)
    learners: dict[str, Callable[[], Learner]] = {
        "gibbs": lambda: GibbsEM(net, len(x), 3, 0.03, generator),
        "mean_field": lambda: MeanFieldEM(net, 5, 0.03),
        "wake_sleep": lambda: ReweightedWakeSleep(net, 1, 0.03, generator, False),
        "rws": lambda: ReweightedWakeSleep(net, 5, 0.03, generator),
        "nvil": lambda: NVIL(net, 5, 0.03, generator),
    }
    made, indices = learners[learner](), torch.arange(len(x))
    before = log_evidence(net, x).mean()
    for _ in range(400):
        made.update(x, indices)
    after = log_evidence(net, x).mean()
    assert before < -2.6
    assert after > -1.8


def test_bad_input() -> None:
    net, generator = small_net(), torch.Generator()
    with pytest.raises(ValueError, match="0 particles"):
        ReweightedWakeSleep(net, 0, 1e-3, generator)
    with pytest.raises(ValueError, match="0 Gibbs sweeps"):
        GibbsEM(net, 3, 0, 1e-3, generator)
