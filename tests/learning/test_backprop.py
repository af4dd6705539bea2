"""Backpropagation with momentum: its recursions, a prior on the first layer, outputs alone."""

import torch

from dgm.learning.backprop import Backprop, Dropout
from dgm.learning.weight_prior import NO_PRIOR, WeightPrior
from dgm.models.classifier import Classifier


def test_backprop_is_the_two_recursions() -> None:
    generator = torch.Generator().manual_seed(0)
    net = Classifier([4, 5, 3])
    net.initialise(generator)
    x, labels = torch.rand(6, 4, generator=generator), torch.tensor([2, 0, 1, 1, 2, 0])
    learner = Backprop(net, labels, rate=0.3, momentum=0.8, decay=0.01)
    theta, velocity = net.flat.clone(), torch.zeros_like(net.flat)
    for rows in (torch.tensor([0, 1, 2]), torch.tensor([3, 4, 5])):
        learner.update(x[rows], rows)
        velocity = 0.8 * velocity + 0.3 * (net.parameters.gradient - 0.01 * theta)
        theta = theta + velocity
        torch.testing.assert_close(net.flat, theta)


def test_a_prior_pulls_at_the_first_layer_alone() -> None:
    """Oracle: the gradient without it, and that of the prior, which has a test of its own."""
    generator = torch.Generator().manual_seed(0)
    x, labels = torch.rand(6, 6, generator=generator), torch.tensor([2, 0, 1, 1, 2, 0])
    prior, steps = WeightPrior(smoothness=0.1, shape=(2, 3)), []
    net = Classifier([6, 5, 3])
    net.initialise(generator)
    start = net.flat.clone()
    pull = torch.zeros(6, 5)
    prior.add_gradient(net.mlp.layers[0].W, pull)
    for of in (NO_PRIOR, prior):
        net.flat.copy_(start)
        Backprop(net, labels, rate=1.0, momentum=0.0, decay=0.0, prior=of).update(
            x, torch.arange(6)
        )
        steps.append(net.flat - start)
    difference = steps[1] - steps[0]
    torch.testing.assert_close(difference[:30].view(6, 5), pull, atol=1e-6, rtol=1e-4)
    assert pull.abs().min() > 1e-4 and (difference[30:] == 0).all()


def test_outputs_learn_alone_at_first_and_so_on_after_a_halt() -> None:
    generator = torch.Generator().manual_seed(0)
    nets = [Classifier([4, 5, 3]) for _ in range(2)]
    nets[0].initialise(generator)
    nets[1].flat.copy_(nets[0].flat)
    x, labels = torch.rand(6, 4, generator=generator), torch.tensor([2, 0, 1, 1, 2, 0])
    options = {"rate": 0.3, "momentum": 0.8, "decay": 0.01, "outputs_alone": 2}
    learner, other = (Backprop(net, labels, **options) for net in nets)  # type: ignore[arg-type]
    rows = torch.arange(6)
    hidden = nets[0].mlp.layers[0].W.clone()
    outputs = nets[0].mlp.layers[1]
    theta = torch.cat([outputs.W.flatten(), outputs.b])
    velocity = torch.zeros_like(theta)
    for _ in range(2):
        learner.update(x, rows)
        gradient = torch.cat([outputs.dW.flatten(), outputs.db])
        velocity = 0.8 * velocity + 0.3 * (gradient - 0.01 * theta)
        theta = theta + velocity
        torch.testing.assert_close(torch.cat([outputs.W.flatten(), outputs.b]), theta)
        assert torch.equal(nets[0].mlp.layers[0].W, hidden)
    nets[1].flat.copy_(nets[0].flat)
    other.load_state_dict(learner.state_dict())
    for each in (learner, other):
        each.update(x, rows)
    assert not torch.equal(nets[0].mlp.layers[0].W, hidden)
    assert torch.equal(nets[0].flat, nets[1].flat)


def test_dropout_keeps_the_mean_of_what_units_receive() -> None:
    generator = torch.Generator().manual_seed(0)
    net = Classifier([4, 6, 5, 3])
    masks = Dropout(0.2, 0.5, generator).masks(net, 20_000)
    assert [mask.shape[1] for mask in masks] == [4, 6, 5]
    for mask, on in zip(masks, (1.25, 2.0, 2.0), strict=True):
        assert set(mask.unique().tolist()) == {0.0, on}
        torch.testing.assert_close(mask.mean(0), torch.ones(mask.shape[1]), atol=0.03, rtol=0)


def test_an_update_with_dropout_is_of_the_thinned_net() -> None:
    generator = torch.Generator().manual_seed(0)
    net = Classifier([4, 6, 3])
    net.initialise(generator)
    x, labels = torch.rand(6, 4, generator=generator), torch.tensor([2, 0, 1, 1, 2, 0])
    start, twin = net.flat.clone(), torch.Generator().manual_seed(7)
    dropout = Dropout(0.2, 0.5, torch.Generator().manual_seed(7))
    Backprop(net, labels, 0.3, 0.0, 0.0, dropout=dropout).update(x, torch.arange(6))
    step = net.flat - start
    net.flat.copy_(start)
    net.backward_thinned(x, labels, Dropout(0.2, 0.5, twin).masks(net, 6))
    torch.testing.assert_close(step, 0.3 * net.gradient)
