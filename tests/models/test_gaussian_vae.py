"""The VAE of points."""

import math

import pytest
import torch
from torch import nn
from torch.distributions import Independent, MultivariateNormal, Normal, kl_divergence

from dgm.models.gaussian_vae import GaussianVAE


@torch.no_grad()
def test_the_bound_of_a_linear_decoder_with_its_posterior_is_the_likelihood() -> None:
    """Oracle: x ~ N(b, W W^T + s^2 I); with the exact posterior the bound's mean is log p(x)."""
    torch.manual_seed(0)
    vae = GaussianVAE(1, [3], 2, 1.0).double()
    w, b, s2 = torch.tensor([[0.8], [-0.5]]).double(), torch.tensor([0.1, 0.2]).double(), 0.25
    linear = nn.Linear(1, 2).double()
    linear.weight.copy_(w)
    linear.bias.copy_(b)
    vae.decoder = linear  # type: ignore[assignment]
    vae.log_s.fill_(0.5 * math.log(s2))
    precision = 1 + (w.T @ w).item() / s2
    posterior = nn.Linear(2, 2).double()
    posterior.weight.copy_(torch.cat([w.T / s2 / precision, torch.zeros(1, 2)]))
    posterior.bias.copy_(torch.tensor([-(w.T @ b).item() / s2 / precision, -math.log(precision)]))
    vae.encoder = posterior  # type: ignore[assignment]
    x = torch.tensor([[1.0, -1.0]]).double()
    expected = MultivariateNormal(b, w @ w.T + s2 * torch.eye(2).double()).log_prob(x)
    noise = torch.randn(200_000, 1, dtype=torch.float64)
    found = vae.elbo(x.expand(len(noise), 2), noise)
    assert found.mean().item() == pytest.approx(expected.item(), abs=5 * found.std().item() / 447)


@torch.no_grad()
def test_the_bound_has_torchs_terms() -> None:
    """Oracle: torch.distributions."""
    torch.manual_seed(1)
    vae = GaussianVAE(2, [5], 3, 1.0)
    vae.log_s.fill_(-0.7)
    x, noise = torch.randn(4, 3), torch.randn(4, 2)
    mean, log_variance = vae.encoder(x).chunk(2, 1)
    std = (log_variance / 2).exp()
    q = Independent(Normal(mean, std), 1)
    prior = Independent(Normal(torch.zeros(4, 2), torch.ones(4, 2)), 1)
    z = mean + std * noise
    likelihood = Normal(vae.decoder(z), math.exp(-0.7)).log_prob(x).sum(1)
    torch.testing.assert_close(vae.elbo(x, noise), likelihood - kl_divergence(q, prior))
    assert vae.sample(z, torch.zeros(4, 3)).equal(vae.decoder(z))
