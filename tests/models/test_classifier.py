"""Nets of softmax outputs, against autograd and the RBMs that they may begin as."""

import pytest
import torch

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
