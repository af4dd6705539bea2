"""Written-out gradients against autograd on the same densities."""

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Normal, kl_divergence

from dgm.inference.aevb import aevb_gradient, elbo
from dgm.inference.wake_sleep import recognition_gradient
from dgm.models.parameters import Parameters
from dgm.models.vae import VAE


def small_vae() -> tuple[VAE, torch.Generator]:
    generator = torch.Generator().manual_seed(0)
    model = VAE(visible=12, hidden=7, latent_dim=3)
    model.initialise(0.5, generator)
    return model, generator


def leaves(parameters: Parameters) -> dict[str, Tensor]:
    return {name: parameters[name].clone().requires_grad_() for name in parameters.shapes}


def posterior(e: dict[str, Tensor], x: Tensor) -> Normal:
    out = torch.tanh(x @ e["W"].T + e["b"]) @ e["V"] + e["c"]
    return Normal(out[:, :3], torch.exp(0.5 * out[:, 3:]))


def likelihood(d: dict[str, Tensor], x: Tensor, z: Tensor) -> Tensor:
    logits = torch.tanh(z @ d["W"] + d["b"]) @ d["V"] + d["c"]
    return Bernoulli(logits=logits, validate_args=False).log_prob(x).sum(-1)


def test_aevb_gradient_is_that_of_the_bound() -> None:
    model, generator = small_vae()
    x, noise = torch.rand(5, 12, generator=generator), torch.randn(5, 3, generator=generator)
    e, d = leaves(model.encoder.parameters), leaves(model.decoder.parameters)
    q = posterior(e, x)
    bound = likelihood(d, x, q.loc + q.scale * noise) - kl_divergence(q, Normal(0.0, 1.0)).sum(1)
    bound.mean().backward()

    torch.testing.assert_close(elbo(model, x, noise), bound.detach())
    aevb_gradient(model, x, noise)
    for half, peer in ((model.encoder, e), (model.decoder, d)):
        for name, parameter in peer.items():
            torch.testing.assert_close(half.parameters.grad[name], parameter.grad)
    parts = [p.grad.flatten() for leaf in (e, d) for p in leaf.values() if p.grad is not None]
    torch.testing.assert_close(model.gradient, torch.cat(parts))  # one vector, end to end


def test_recognition_gradient_is_that_of_log_q() -> None:
    model, generator = small_vae()
    x, z = torch.rand(5, 12, generator=generator), torch.randn(5, 3, generator=generator)
    e = leaves(model.encoder.parameters)
    posterior(e, x).log_prob(z).sum(1).mean().backward()
    recognition_gradient(model.encoder, x, z)
    for name, parameter in e.items():
        torch.testing.assert_close(model.encoder.parameters.grad[name], parameter.grad)


def test_log_joint_and_its_gradient() -> None:
    model, generator = small_vae()
    x, z = torch.rand(5, 12, generator=generator), torch.randn(4, 5, 3, generator=generator)
    d = leaves(model.decoder.parameters)
    expected = likelihood(d, x, z) + Normal(0.0, 1.0).log_prob(z).sum(2)
    torch.testing.assert_close(model.decoder.log_joint(x, z), expected.detach())

    one = z[0].clone().requires_grad_()
    (likelihood(d, x, one) + Normal(0.0, 1.0).log_prob(one).sum(1)).sum().backward()
    torch.testing.assert_close(model.decoder.d_log_joint(x, z[0]), one.grad)


def test_pairs_are_every_image_with_every_latent() -> None:
    model, generator = small_vae()
    x, z = torch.rand(5, 12, generator=generator), torch.randn(4, 3, generator=generator)
    expected = model.decoder.log_likelihood(x, z[:, None].expand(4, 5, 3).contiguous())
    torch.testing.assert_close(model.decoder.log_likelihood_pairs(x, z), expected)


def test_samples_have_the_decoders_mean() -> None:
    model, generator = small_vae()
    z = torch.randn(1, 3, generator=generator)
    x = model.decoder.sample(z.expand(40_000, 3), generator)
    assert set(x.unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(x.mean(0), model.decoder.mean(z)[0], atol=0.012, rtol=0)
