"""Nets of softmax outputs, against autograd and the RBMs that they may begin as."""

import pytest
import torch

from dgm.fast.loops import Units
from dgm.models.classifier import Classifier
from dgm.models.rbm import RBM, one_hot


@pytest.mark.parametrize("units", ["logistic", "tanh"])
def test_the_classifiers_gradient_is_autograds(units: str) -> None:
    generator = torch.Generator().manual_seed(0)
    net = Classifier([6, 5, 4, 3], units)  # type: ignore[arg-type]
    net.initialise(generator)
    x = torch.rand(7, 6, generator=generator)
    labels = torch.tensor([0, 1, 2, 2, 1, 0, 0])
    loss = net.backward(x, labels)

    squash = {"logistic": torch.sigmoid, "tanh": torch.tanh}[units]
    parts = [(layer.W.clone(), layer.b.clone()) for layer in net.mlp.layers]
    for part in parts:
        for tensor in part:
            tensor.requires_grad_()
    h = x
    for W, b in parts[:-1]:
        h = squash(h @ W + b)
    W, b = parts[-1]
    expected = torch.nn.functional.cross_entropy(h @ W + b, labels)
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    for layer, (W, b) in zip(net.mlp.layers, parts, strict=True):
        assert W.grad is not None and b.grad is not None
        torch.testing.assert_close(layer.dW, -W.grad, atol=1e-6, rtol=1e-4)
        torch.testing.assert_close(layer.db, -b.grad, atol=1e-6, rtol=1e-4)


def test_a_stack_fills_the_hidden_layers_alone() -> None:
    generator = torch.Generator().manual_seed(0)
    net = Classifier([6, 5, 4, 3])
    net.initialise(generator)
    outputs = net.mlp.layers[-1].W.clone()
    rbms = [RBM(6, 5), RBM(5, 4)]
    for rbm in rbms:
        rbm.flat.normal_(generator=generator)
    net.stack(rbms)
    x = torch.rand(3, 6, generator=generator)
    h = rbms[1].hidden_mean(rbms[0].hidden_mean(x))
    torch.testing.assert_close(net.mlp.hidden(x)[-1], h)
    assert torch.equal(net.mlp.layers[-1].W, outputs)


def test_more_classes_than_labels_are_refused() -> None:
    assert one_hot(torch.tensor([1, 0]), 3).tolist() == [[0, 1, 0], [1, 0, 0]]
    with pytest.raises(ValueError, match="class 3 with 3 label units"):
        one_hot(torch.tensor([1, 3]), 3)


@pytest.mark.parametrize("units", ["logistic", "tanh"])
def test_the_gradient_with_units_that_are_off_is_autograds(units: Units) -> None:
    generator = torch.Generator().manual_seed(0)
    net = Classifier([4, 6, 5, 3], units)
    net.flat.normal_(generator=generator)
    x, labels = torch.rand(7, 4, generator=generator), torch.tensor([0, 1, 2, 2, 1, 0, 1])
    masks = [2 * (torch.rand(7, n, generator=generator) < 0.5).float() for n in (4, 6, 5)]
    loss = net.backward_thinned(x, labels, masks)
    with torch.enable_grad():
        leaves = [
            (layer.W.clone().requires_grad_(), layer.b.clone().requires_grad_())
            for layer in net.mlp.layers
        ]
        states = x * masks[0]
        for (W, b), mask in zip(leaves, masks[1:], strict=False):
            pre = states @ W + b
            states = (pre.sigmoid() if units == "logistic" else pre.tanh()) * mask
        out = torch.log_softmax(states @ leaves[-1][0] + leaves[-1][1], 1)
        mean = out.gather(1, labels[:, None]).mean()
        mean.backward()
    assert loss.item() == pytest.approx(-mean.item())
    for layer, (W, b) in zip(net.mlp.layers, leaves, strict=True):
        torch.testing.assert_close(layer.dW, W.grad)
        torch.testing.assert_close(layer.db, b.grad)
    whole = [torch.ones(7, n) for n in (4, 6, 5)]
    net.backward_thinned(x, labels, whole)
    thinned = net.gradient.clone()
    net.backward(x, labels)
    torch.testing.assert_close(thinned, net.gradient)
