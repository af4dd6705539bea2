"""Written-out gradients against autograd on the same densities."""

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Normal, kl_divergence

from dgm.learning.aevb import active_latents, aevb_gradient, elbo, mean_elbo
from dgm.learning.wake_sleep import recognition_gradient
from dgm.models.mlp import MLP
from dgm.models.parameters import Parameters
from dgm.models.vae import DECODERS, STD_FLOOR, VAE, GaussianDecoder

VISIBLE, LATENT = 12, 3
KINDS = [(decoder, hidden) for decoder in DECODERS for hidden in (7, [7, 5])]
each_model = pytest.mark.parametrize(("decoder", "hidden"), KINDS)


def small_vae(
    decoder: str = "bernoulli", hidden: int | list[int] = 7
) -> tuple[VAE, torch.Generator]:
    generator = torch.Generator().manual_seed(0)
    model = VAE(VISIBLE, hidden, LATENT, decoder=decoder)
    model.initialise(0.5, generator)
    return model, generator


def leaves(parameters: Parameters) -> dict[str, Tensor]:
    return {name: parameters[name].clone().requires_grad_() for name in parameters.shapes}


def mlp(p: dict[str, Tensor], x: Tensor, wide_input: bool) -> Tensor:
    layers = len(p) // 2
    for layer in range(1, layers + 1):
        weight = p[f"W{layer}"]
        x = x @ (weight.T if wide_input and layer == 1 else weight) + p[f"b{layer}"]
        x = torch.tanh(x) if layer < layers else x
    return x


def posterior(e: dict[str, Tensor], x: Tensor) -> Normal:
    out = mlp(e, x, wide_input=True)
    return Normal(out[:, :LATENT], torch.exp(0.5 * out[:, LATENT:]))


def likelihood(decoder: str, d: dict[str, Tensor], x: Tensor, z: Tensor) -> Tensor:
    out = mlp(d, z, wide_input=False)
    if decoder == "bernoulli":
        return Bernoulli(logits=out, validate_args=False).log_prob(x).sum(-1)
    a, r = out.split(VISIBLE, dim=-1)
    return Normal(torch.sigmoid(a), torch.sqrt(STD_FLOOR**2 + torch.exp(r))).log_prob(x).sum(-1)


@each_model
def test_aevb_gradient_is_that_of_the_bound(decoder: str, hidden: int | list[int]) -> None:
    model, generator = small_vae(decoder, hidden)
    x, noise = torch.rand(5, VISIBLE, generator=generator), torch.randn(5, 3, generator=generator)
    e, d = leaves(model.encoder.parameters), leaves(model.decoder.parameters)
    q = posterior(e, x)
    reconstruction = likelihood(decoder, d, x, q.loc + q.scale * noise)
    bound = reconstruction - kl_divergence(q, Normal(0.0, 1.0)).sum(1)
    bound.mean().backward()

    torch.testing.assert_close(elbo(model, x, noise), bound.detach())
    aevb_gradient(model, x, noise)
    for half, peer in ((model.encoder, e), (model.decoder, d)):
        for name, parameter in peer.items():
            torch.testing.assert_close(half.parameters.grad[name], parameter.grad)
    parts = [p.grad.flatten() for leaf in (e, d) for p in leaf.values() if p.grad is not None]
    torch.testing.assert_close(model.gradient, torch.cat(parts))  # one vector, end to end


@each_model
def test_recognition_gradient_is_that_of_log_q(decoder: str, hidden: int | list[int]) -> None:
    model, generator = small_vae(decoder, hidden)
    x, z = torch.rand(5, VISIBLE, generator=generator), torch.randn(5, 3, generator=generator)
    e = leaves(model.encoder.parameters)
    posterior(e, x).log_prob(z).sum(1).mean().backward()
    recognition_gradient(model.encoder, x, z)
    for name, parameter in e.items():
        torch.testing.assert_close(model.encoder.parameters.grad[name], parameter.grad)


@each_model
def test_log_joint_and_its_gradient(decoder: str, hidden: int | list[int]) -> None:
    model, generator = small_vae(decoder, hidden)
    x, z = torch.rand(5, VISIBLE, generator=generator), torch.randn(4, 5, 3, generator=generator)
    d = leaves(model.decoder.parameters)
    expected = likelihood(decoder, d, x, z) + Normal(0.0, 1.0).log_prob(z).sum(2)
    torch.testing.assert_close(model.decoder.log_joint(x, z), expected.detach())

    one = z[0].clone().requires_grad_()
    (likelihood(decoder, d, x, one) + Normal(0.0, 1.0).log_prob(one).sum(1)).sum().backward()
    torch.testing.assert_close(model.decoder.d_log_joint(x, z[0]), one.grad)


@each_model
def test_pairs_are_every_image_with_every_latent(decoder: str, hidden: int | list[int]) -> None:
    model, generator = small_vae(decoder, hidden)
    x, z = torch.rand(5, VISIBLE, generator=generator), torch.randn(4, 3, generator=generator)
    expected = model.decoder.log_likelihood(x, z[:, None].expand(4, 5, 3).contiguous())
    torch.testing.assert_close(model.decoder.log_likelihood_pairs(x, z), expected)


def test_binary_samples_have_the_decoders_mean() -> None:
    model, generator = small_vae()
    z = torch.randn(1, 3, generator=generator)
    x = model.decoder.sample(z.expand(40_000, 3), generator)
    assert set(x.unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(x.mean(0), model.decoder.mean(z)[0], atol=0.012, rtol=0)


def test_gaussian_samples_have_the_decoders_moments() -> None:
    model, generator = small_vae("gaussian")
    z = torch.randn(1, 3, generator=generator)
    x = model.decoder.sample(z.expand(40_000, 3), generator)
    _, r = mlp(leaves(model.decoder.parameters), z, wide_input=False).detach()[0].split(VISIBLE)
    std = torch.sqrt(STD_FLOOR**2 + torch.exp(r))
    assert ((x.mean(0) - model.decoder.mean(z)[0]).abs() < 5 * std / 200).all()
    torch.testing.assert_close(x.std(0), std, rtol=0.03, atol=0)


def test_a_gaussian_pixel_that_never_varies_keeps_a_finite_density() -> None:
    """However low its log variance falls, no pixel has more than log N(0; 0, 1/255^2)."""
    decoder = GaussianDecoder(4, [5], 2)
    decoder.parameters["b2"][4:] = -200.0
    density = decoder.log_likelihood(torch.full((1, 4), 0.5), torch.zeros(1, 1, 2)).item()
    assert density == pytest.approx(4 * (math.log(255) - 0.5 * math.log(2 * math.pi)), rel=1e-5)
    decoder.backward(torch.full((1, 4), 0.5), torch.zeros(1, 2))
    assert torch.isfinite(decoder.parameters.gradient).all()


def test_the_mean_bound_is_short_of_the_evidence_by_the_divergence() -> None:
    """log p(x) = bound + KL(q(z|x) || p(z|x)). Oracle: quadrature in one latent dimension."""
    generator = torch.Generator().manual_seed(1)
    model = VAE(6, 8, 1)
    model.initialise(0.7, generator)
    x = model.decoder.sample(torch.randn(7, 1, generator=generator), generator)
    z = torch.linspace(-12, 12, 4001)[:, None]
    width = (z[1] - z[0]).item()
    log_joint = model.decoder.log_joint(x, z[:, None].expand(-1, 7, 1).contiguous()).double()
    evidence = torch.logsumexp(log_joint, 0) + math.log(width)
    q = model.encoder(x)
    log_q = Normal(q.mean, torch.exp(0.5 * q.log_variance)).log_prob(z[:, None])[..., 0].double()
    divergence = (log_q.exp() * (log_q - (log_joint - evidence))).sum(0) * width
    bound, stderr = mean_elbo(model, x, generator, samples=5000, block=3)
    assert 0 < stderr < 0.01
    assert abs(bound - (evidence - divergence).mean().item()) < 5 * stderr
    assert divergence.mean() > 20 * stderr  # the bound is not the evidence here


def test_a_latent_is_active_where_its_posterior_mean_varies_over_images() -> None:
    model, generator = small_vae()
    x = torch.rand(500, VISIBLE, generator=generator)
    weights, bias = model.encoder.parameters["W2"], model.encoder.parameters["b2"]
    bias[:LATENT] = torch.tensor([5.0, -5.0, 0.0])  # far from 0, but the same for all images
    original, spread = weights.clone(), model.encoder(x).mean.std(0)
    for target, active in [((0.11, 0.09, 0.0), 1), ((0.0, 0.09, 0.0), 0), ((0.2, 0.2, 0.2), 3)]:
        weights[:, :LATENT] = original[:, :LATENT] * torch.tensor(target) / spread
        assert active_latents(model, x) == active  # a variance of 0.01 is a deviation of 0.1


def test_one_sample_has_no_error() -> None:
    model, generator = small_vae()
    bound, stderr = mean_elbo(model, torch.rand(5, VISIBLE), generator)
    assert math.isfinite(bound) and math.isnan(stderr)


@pytest.mark.parametrize("wide_input", [True, False])
def test_weights_drawn_by_their_inputs(wide_input: bool) -> None:
    """Without a deviation given, each matrix has 1 / sqrt(inputs), and biases are 0."""
    model = VAE(400, [300, 200], 50)
    model.initialise(None, torch.Generator().manual_seed(0))
    half = model.encoder.mlp if wide_input else model.decoder.mlp
    inputs = [400, 300, 200] if wide_input else [50, 200, 300]
    for layer, n in zip(half.layers, inputs, strict=True):
        assert layer.W.shape[0] == n
        assert layer.W.std().item() == pytest.approx(n**-0.5, rel=0.02)
        assert not layer.b.any()


def test_the_layout_of_a_wide_input_changes_no_value() -> None:
    generator = torch.Generator().manual_seed(0)
    wide, plain = MLP([9, 5, 4], wide_input=True), MLP([9, 5, 4])
    x, d_output = torch.randn(3, 9, generator=generator), torch.randn(3, 4, generator=generator)
    for ours, theirs in zip(plain.layers, wide.layers, strict=True):
        ours.W.normal_(generator=generator)
        theirs.W.copy_(ours.W)
    first = [half.backward(x, half.hidden(x), d_output, scale=0.3) for half in (wide, plain)]
    torch.testing.assert_close(*first)
    torch.testing.assert_close(wide.d_input(first[0]), plain.d_input(first[1]))
    torch.testing.assert_close(wide.parameters.grad["W1"].T, plain.parameters.grad["W1"])
    for name in ("b1", "W2", "b2"):
        torch.testing.assert_close(wide.parameters.grad[name], plain.parameters.grad[name])
