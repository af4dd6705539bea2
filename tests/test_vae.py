"""Written-out gradients against autograd on the same densities."""

import torch
from torch.distributions import Bernoulli, Normal, kl_divergence

from dgm.inference.aevb import aevb_gradient, elbo
from dgm.models.vae import BernoulliDecoder, GaussianEncoder


def small_vae() -> tuple[GaussianEncoder, BernoulliDecoder, torch.Generator]:
    generator = torch.Generator().manual_seed(0)
    encoder, decoder = GaussianEncoder(12, 7, 3), BernoulliDecoder(12, 7, 3)
    encoder.parameters.initialise(0.5, generator)
    decoder.parameters.initialise(0.5, generator)
    return encoder, decoder, generator


def test_aevb_gradient_is_that_of_the_bound() -> None:
    """Oracle: torch.distributions and autograd."""
    encoder, decoder, generator = small_vae()
    x, noise = torch.rand(5, 12, generator=generator), torch.randn(5, 3, generator=generator)
    e = {k: encoder.parameters[k].clone().requires_grad_() for k in "WbVc"}
    d = {k: decoder.parameters[k].clone().requires_grad_() for k in "WbVc"}
    out = torch.tanh(x @ e["W"].T + e["b"]) @ e["V"] + e["c"]
    q = Normal(out[:, :3], torch.exp(0.5 * out[:, 3:]))
    z = q.loc + q.scale * noise
    logits = torch.tanh(z @ d["W"] + d["b"]) @ d["V"] + d["c"]
    likelihood = Bernoulli(logits=logits, validate_args=False).log_prob(x).sum(1)
    bound = likelihood - kl_divergence(q, Normal(0.0, 1.0)).sum(1)
    bound.mean().backward()

    torch.testing.assert_close(elbo(encoder, decoder, x, noise), bound.detach())
    aevb_gradient(encoder, decoder, x, noise)
    for half, peer in ((encoder, e), (decoder, d)):
        for name, parameter in peer.items():
            torch.testing.assert_close(half.parameters.grad[name], parameter.grad)


def test_d_log_joint_is_the_gradient_of_log_joint() -> None:
    _, decoder, generator = small_vae()
    x, z = torch.rand(5, 12, generator=generator), torch.randn(5, 3, generator=generator)
    z.requires_grad_()
    decoder.log_joint(x, z[None].clone()).sum().backward()
    torch.testing.assert_close(decoder.d_log_joint(x, z.detach()), z.grad)
