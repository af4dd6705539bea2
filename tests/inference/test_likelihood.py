"""Both estimators of log p(x) against closed forms and quadrature; HMC against known moments."""

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from dgm.inference import likelihood
from dgm.inference.hmc import LatentModel, adapt, hmc_start, hmc_step
from dgm.inference.likelihood import (
    Estimate,
    encoder_importance_sampling,
    hmc_estimator,
    importance_sampling,
)
from dgm.learning.aevb import AEVB
from dgm.models.vae import VAE

ESTIMATORS = {
    "importance sampling": lambda model, x, g: importance_sampling(model, x, 300, g),
    "hmc": hmc_estimator,
}


class LinearGaussian:
    """x = A z + noise of sd 0.7, z ~ N(0, I): p(x) = N(0, A A^T + 0.49 I) exactly."""

    sd = 0.7

    def __init__(self, generator: torch.Generator, visible: int = 8, latent_dim: int = 3) -> None:
        self.latent_dim = latent_dim
        self.a = torch.randn(visible, latent_dim, generator=generator)

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        x = torch.randn(n, self.latent_dim, generator=generator) @ self.a.T
        return x + self.sd * torch.randn(n, len(self.a), generator=generator)

    def posterior_mean(self, x: Tensor) -> Tensor:
        precision = self.a.T @ self.a / self.sd**2 + torch.eye(self.latent_dim)
        return torch.linalg.solve(precision, x @ self.a / self.sd**2, left=False)

    def _log_noise(self, error: Tensor) -> Tensor:
        log_scale = math.log(self.sd) + 0.5 * math.log(2 * math.pi)
        return (-0.5 * (error / self.sd).square() - log_scale).sum(-1)

    def log_joint(self, x: Tensor, z: Tensor) -> Tensor:
        prior = -0.5 * (z.square() + math.log(2 * math.pi)).sum(-1)
        return self._log_noise(x - z @ self.a.T) + prior

    def d_log_joint(self, x: Tensor, z: Tensor) -> Tensor:
        return (x - z @ self.a.T) @ self.a / self.sd**2 - z

    def log_likelihood_pairs(self, x: Tensor, z: Tensor) -> Tensor:
        return self._log_noise(x[None] - (z @ self.a.T)[:, None])

    def evidence(self, x: Tensor) -> Tensor:
        covariance = self.a @ self.a.T + self.sd**2 * torch.eye(len(self.a))
        return MultivariateNormal(torch.zeros(len(self.a)), covariance).log_prob(x)


def quadrature(model: LatentModel, x: Tensor, points: int = 81, reach: float = 6.0) -> Tensor:
    """log of the integral of p(x, z) over a cube: the trapezium rule, exact to rounding here."""
    d = model.latent_dim
    axis = torch.linspace(-reach, reach, points)
    z = torch.cartesian_prod(*[axis] * d)
    log_prior = -0.5 * (z.square() + math.log(2 * math.pi)).sum(1)
    parts = [
        torch.logsumexp((model.log_likelihood_pairs(x, part) + prior[:, None]).double(), 0)
        for part, prior in zip(z.split(20_000), log_prior.split(20_000), strict=True)
    ]
    return torch.logsumexp(torch.stack(parts), 0) + d * math.log(float(axis[1] - axis[0]))


def check(estimate: Estimate, exact: Tensor) -> None:
    error = estimate.log_likelihood - exact
    assert abs(error.mean().item()) < 0.1
    assert error.abs().max() < 0.8
    assert (estimate.effective_samples > 10).float().mean() > 0.95  # an odd point has fewer
    mean, stderr = estimate.mean()
    assert mean == pytest.approx(estimate.log_likelihood.mean().item(), abs=1e-4)
    assert abs(error.mean().item()) < 6 * stderr + 0.02  # the stated error is of the right size


@pytest.mark.parametrize("name", ESTIMATORS)
def test_linear_gaussian(name: str) -> None:
    """Oracle: the closed-form evidence."""
    generator = torch.Generator().manual_seed(1)
    model = LinearGaussian(generator)
    x = model.draw(60, generator)
    check(ESTIMATORS[name](model, x, generator), model.evidence(x))


def test_a_guess_is_a_start_in_many_dimensions() -> None:
    """Oracle: the closed-form evidence. With the posteriors' means for guesses no step is needed,
    and without them none finds a mode in 20 dimensions."""
    generator = torch.Generator().manual_seed(6)
    model = LinearGaussian(generator, visible=40, latent_dim=20)
    x = model.draw(40, generator)

    def estimate(guess: Tensor | None, steps: int) -> Estimate:
        return importance_sampling(
            model, x, 1000, generator, starts=1, newton_steps=steps, block=15, guess=guess
        )

    check(estimate(model.posterior_mean(x), 0), model.evidence(x))
    check(estimate(None, 8), model.evidence(x))
    assert estimate(None, 0).effective_samples.median() < 10


@pytest.mark.parametrize(("visible", "std", "starts"), [(16, 0.6, 1), (32, 3.0, 2)])
def test_the_error_of_the_mean_covers_the_truth(visible: int, std: float, starts: int) -> None:
    """Decoders of two latents: posteriors of one mode, and of several, some of which a fit misses.

    Oracle: quadrature on the plane. Of 200 repeats, each with 50 images and fits of its own, 95 %
    lie within 1.96 errors, and their squared z scores are 1 on average. An error taken from the
    weights of one fit covers 36 % in the second case, with a mean squared z score of 15.
    """
    repeats, images = 200, 50
    generator = torch.Generator().manual_seed(7)
    model = VAE(visible, hidden=20, latent_dim=2)
    model.initialise(std, generator)
    z = torch.randn(images, 2, generator=generator)
    x = model.decoder.sample(z, generator)
    exact = quadrature(model.decoder, x, points=501, reach=7.0)
    coarse = quadrature(model.decoder, x, points=401, reach=7.0)
    torch.testing.assert_close(exact, coarse, atol=1e-3, rtol=0)  # the oracle has converged
    tiled = x.repeat(repeats, 1)  # a block a repeat
    found = importance_sampling(
        model.decoder, tiled, 100, generator, starts=starts, bank=200, block=images
    )
    each = zip(*(field.split(images) for field in found), strict=True)
    means, errors = torch.tensor([Estimate(*fields).mean() for fields in each]).T
    scores = (means - exact.mean()) / errors
    assert 0.9 <= (scores.abs() < 1.96).double().mean() <= 0.99
    assert 0.7 < scores.square().mean() < 1.5


def test_one_sample_has_no_standard_error() -> None:
    """And asks for none: a warning would be an error here."""
    found = likelihood.from_log_weights(torch.tensor([[-1.0], [-2.0]]))
    assert found.log_likelihood.tolist() == [-1, -2]
    assert found.effective_samples.tolist() == [1, 1] and found.stderr.isnan().all()


def test_the_mean_counts_variance_and_bias() -> None:
    """Oracle: two estimates a and b of each p(x). The variance is that of two draws; the bias is
    twice what the logarithm of their mean gains on the mean of their logarithms."""
    a, b = -5 * torch.rand(2, 40, generator=torch.Generator().manual_seed(8), dtype=torch.float64)
    mean, error = Estimate(a, (a - b).abs() / math.sqrt(2), torch.ones(40)).mean()
    gain = torch.log((a.exp() + b.exp()) / 2) - (a + b) / 2
    variance = (torch.stack([a, b]).var(0) / 40**2).sum()
    assert mean == pytest.approx(a.mean().item())
    assert error == pytest.approx((variance + (2 * gain).mean().square()).sqrt().item())


def test_the_second_fit_leaves_estimates_and_generator_alone() -> None:
    generator = torch.Generator().manual_seed(9)
    model = LinearGaussian(generator)
    x = model.draw(5, generator)
    alone = torch.Generator().manual_seed(1)
    z = likelihood._good_starts(model, x, 4, 6000, alone)
    first = likelihood._from_fit(model, x, z, 300, alone, newton_steps=8)
    generator.manual_seed(1)
    pair = importance_sampling(model, x, 300, generator)
    assert torch.equal(pair.log_likelihood, first.log_likelihood)
    assert torch.equal(pair.effective_samples, first.effective_samples)
    assert torch.equal(generator.get_state(), alone.get_state())
    assert (pair.stderr > 0).all()  # the two fits share no draw


@pytest.mark.parametrize("name", ESTIMATORS)
def test_vae_with_three_latents(name: str) -> None:
    """Oracle: quadrature on a cube that holds the posterior."""
    generator = torch.Generator().manual_seed(2)
    model = VAE(visible=16, hidden=20, latent_dim=3)
    model.initialise(0.6, generator)
    x = model.decoder.sample(torch.randn(40, 3, generator=generator), generator)
    exact = quadrature(model.decoder, x)
    coarse = quadrature(model.decoder, x, points=61)
    torch.testing.assert_close(exact, coarse, atol=1e-3, rtol=0)  # the oracle has converged
    check(ESTIMATORS[name](model.decoder, x, generator), exact.float())


def test_importance_sampling_from_the_encoder() -> None:
    """Oracle: quadrature, on a VAE trained a little, whose encoder covers its posterior."""
    generator = torch.Generator().manual_seed(5)
    model = VAE(visible=16, hidden=20, latent_dim=3)
    model.initialise(0.6, generator)
    data = model.decoder.sample(torch.randn(2000, 3, generator=generator), generator)
    model.initialise(0.1, generator)
    learner = AEVB(model, len(data), 0.1, generator)
    for _ in range(30):
        for batch in data.split(100):
            learner.update(batch, torch.empty(0))
    x = data[:37]
    exact = quadrature(model.decoder, x).float()
    check(encoder_importance_sampling(model, x, 2100, generator), exact)

    few = encoder_importance_sampling(model, x, 2, generator, images=5, block=1)
    assert few.log_likelihood.shape == (37,)
    assert few.effective_samples.max() <= 2 + 1e-5


def test_two_modes_are_both_found() -> None:
    """A likelihood even in z_1 has two mirror modes, each half of the evidence.

    Oracle: quadrature. Importance sampling sees both; the chains of the HMC estimator see one.
    """
    generator = torch.Generator().manual_seed(3)
    model = LinearGaussian(generator)
    even = Even(model)
    z = torch.randn(60, 3, generator=generator)
    z[:, 0] = 1.5 + z[:, 0].abs()
    exact = quadrature(even, z @ model.a.T, points=61, reach=8.0)
    both = importance_sampling(even, z @ model.a.T, 500, generator)
    torch.testing.assert_close(both.log_likelihood.double(), exact, atol=0.3, rtol=0)
    one = hmc_estimator(even, z @ model.a.T, generator)
    low = (exact - one.log_likelihood).mean().item()
    assert low == pytest.approx(math.log(2), abs=0.1)


class Even:
    """p(x|z) with |z_1| in place of z_1."""

    latent_dim = 3
    fold = torch.tensor([True, False, False])

    def __init__(self, model: LinearGaussian) -> None:
        self.model = model

    def _folded(self, z: Tensor) -> Tensor:
        return torch.where(self.fold, z.abs(), z)

    def log_joint(self, x: Tensor, z: Tensor) -> Tensor:
        return self.model.log_joint(x, self._folded(z))

    def d_log_joint(self, x: Tensor, z: Tensor) -> Tensor:
        slope = self.model.d_log_joint(x, self._folded(z))
        return torch.where(self.fold, slope * z.sign(), slope)

    def log_likelihood_pairs(self, x: Tensor, z: Tensor) -> Tensor:
        return self.model.log_likelihood_pairs(x, self._folded(z))


def test_hmc_has_the_posteriors_moments_and_hits_its_acceptance() -> None:
    """Oracle: the posterior of a linear-Gaussian model, N(S A^T x / sd^2, S)."""
    generator = torch.Generator().manual_seed(4)
    model = LinearGaussian(generator)
    x = torch.randn(1, 8, generator=generator).expand(2000, 8)
    covariance = torch.linalg.inv(torch.eye(3) + model.a.T @ model.a / model.sd**2)
    mean = covariance @ model.a.T @ x[0] / model.sd**2
    state = hmc_start(model, x, torch.zeros(2000, 3))
    step_size = torch.full((2000, 1), 0.05)
    for _ in range(150):
        state, acceptance = hmc_step(model, x, state, step_size, 4, generator)
        step_size = adapt(step_size, acceptance[:, None])
    total = torch.zeros(())
    for _ in range(50):
        state, acceptance = hmc_step(model, x, state, step_size, 4, generator)
        total += acceptance.mean() / 50
    assert 0.85 < total.item() < 0.95
    torch.testing.assert_close(state.z.mean(0), mean, atol=0.05, rtol=0)
    torch.testing.assert_close(state.z.T.cov(), covariance, atol=0.05, rtol=0)
    torch.testing.assert_close(state.gradient, model.d_log_joint(x, state.z))
    torch.testing.assert_close(state.log_density, model.log_joint(x, state.z[None])[0])
