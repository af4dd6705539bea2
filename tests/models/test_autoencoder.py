"""Autoencoders: their gradients against autograd, and the stack that they start from."""

import pytest
import torch

from dgm.models.autoencoder import Autoencoder
from dgm.models.rbm import RBM, LinearRBM


def small_net(*sizes: int) -> tuple[Autoencoder, torch.Generator]:
    generator = torch.Generator().manual_seed(0)
    net = Autoencoder(sizes)
    net.initialise(generator)
    return net, generator


@pytest.mark.parametrize("sizes", [(6, 5, 4, 2), (6, 2)])
def test_gradients_are_autograds(sizes: tuple[int, ...]) -> None:
    net, generator = small_net(*sizes)
    x = torch.rand(7, 6, generator=generator)
    loss = net.backward(x)
    layers = [*net.encoder.layers, *net.decoder.layers]
    leaves = [(of.W.clone().requires_grad_(), of.b.clone().requires_grad_()) for of in layers]
    h, middle = x, len(sizes) - 2
    for i, (W, b) in enumerate(leaves):
        h = h @ W + b
        if i == middle:
            code = h
            code.retain_grad()
        elif i < len(leaves) - 1:
            h = torch.sigmoid(h)
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(h, x, reduction="none").sum(1)
    entropy.mean().backward()
    assert loss.item() == pytest.approx(entropy.mean().item(), rel=1e-5)
    torch.testing.assert_close(net.cross_entropy(x, h), entropy)
    for layer, (W, b) in zip(layers, leaves, strict=True):
        assert W.grad is not None and b.grad is not None
        torch.testing.assert_close(layer.dW, -W.grad, atol=1e-6, rtol=1e-4)
        torch.testing.assert_close(layer.db, -b.grad, atol=1e-6, rtol=1e-4)
    assert code.grad is not None
    by_code = net.code_gradient(x, code.detach()) / len(x)
    torch.testing.assert_close(by_code, -code.grad, atol=1e-6, rtol=1e-4)


def test_softmax_outputs() -> None:
    """Oracle: autograd on the multinomial's log-probability per word; one document has none."""
    generator = torch.Generator().manual_seed(0)
    net = Autoencoder([5, 4, 2], outputs="softmax")
    net.initialise(generator)
    x = torch.randint(0, 4, (6, 5), generator=generator).float()
    x[3] = 0
    loss = net.backward(x)
    last = net.decoder.layers[-1]
    below = net.decoder.hidden(net.encode(x))[-1]
    W, b = last.W.clone().requires_grad_(), last.b.clone().requires_grad_()
    logits = below @ W + b
    words = torch.distributions.Categorical(logits=logits)
    log_p = torch.stack([words.log_prob(torch.full((6,), i)) for i in range(5)], 1)
    expected = -((x * log_p).sum(1) / x.sum(1).clamp_min(1)).mean()
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert W.grad is not None and b.grad is not None
    torch.testing.assert_close(last.dW, -W.grad, atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(last.db, -b.grad, atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(net.reconstruct(x).sum(1), x.sum(1))


def test_an_unrolled_stack_goes_up_and_down_as_its_rbms_do() -> None:
    net, generator = small_net(6, 5, 4, 2)
    rbms = [RBM(6, 5), RBM(5, 4), LinearRBM(4, 2)]
    for rbm in rbms:
        rbm.flat.normal_(generator=generator)
    net.unroll(rbms)
    x = torch.rand(3, 6, generator=generator)
    h = x
    for rbm in rbms:
        h = rbm.hidden_mean(h)
    torch.testing.assert_close(net.encode(x), h)
    for rbm in reversed(rbms):
        h = rbm.visible_mean(h)
    torch.testing.assert_close(net.reconstruct(x), h)
