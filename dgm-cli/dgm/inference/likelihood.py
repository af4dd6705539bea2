"""Estimators of the marginal likelihood log p(x) = log of the integral of p(x|z) N(z; 0, I) dz.

`importance_sampling` draws from a proposal fitted to each image's posterior;
`encoder_importance_sampling` draws from a VAE's own encoder. Both are unbiased for p(x).
`hmc_estimator` is that of Kingma & Welling (2014), Appendix D. Units: nats, per image.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from dgm.inference.hmc import LatentModel, adapt, hmc_start, hmc_step
from dgm.models.sigmoid_belief_net import SigmoidBeliefNet
from dgm.models.vae import LOG_2PI, VAE

MIN_DISTANCE = 0.5  # least distance between starts, in standard deviations of the prior
DOF = 5  # degrees of freedom of the proposal's Student-t components
DIFFERENCE = 1e-2  # by which z is moved to differentiate a gradient
LEAPFROGS = 4  # of an HMC proposal
BURN_IN = 200  # HMC steps before the first state is kept
THIN = 4  # HMC steps from one kept state to the next
SHRINK = 0.6  # times the covariance of the density fitted to a chain


class Estimate(NamedTuple):
    """Per image, (n,): log p(x), its Monte Carlo standard error s, the effective sample size."""

    log_likelihood: Tensor
    stderr: Tensor
    effective_samples: Tensor

    def mean(self) -> tuple[float, float]:
        """The mean over images and its Monte Carlo error, the root of variance plus squared bias:

            error^2 = sum_i s_i^2 / n^2 + (mean_i b_i)^2,   b_i = 2 log cosh(s_i / sqrt 2).

        The logarithm of an unbiased estimate is too low on average, by s^2 / 2 where s is small
        (Jensen). More images average the variance away but not this bias, which at n = 1000 can be
        the larger part. b is the jackknife's measure of it (Quenouille 1956): take two estimates
        that differ by sqrt 2 s; the logarithm of their mean exceeds the mean of their logarithms
        by b / 2, and has half the bias. The error says nothing of the choice of images.
        """
        s = self.stderr.double()
        bias = 2 * torch.logaddexp(s / math.sqrt(2), -s / math.sqrt(2)) - 2 * math.log(2)
        error = (s.square().sum() / len(s) ** 2 + bias.mean().square()).sqrt()
        return self.log_likelihood.double().mean().item(), error.item()


def _join(parts: list[Estimate]) -> Estimate:
    return Estimate(*(torch.cat(field) for field in zip(*parts, strict=True)))


# --- importance sampling ---------------------------------------------------------------------


def importance_sampling(
    model: LatentModel,
    x: Tensor,
    samples: int,
    generator: torch.Generator,
    starts: int = 4,
    bank: int = 6000,
    newton_steps: int = 8,
    block: int = 250,
    guess: Tensor | None = None,
) -> Estimate:
    """log p(x) ~ log mean_l [p(x, z_l) / q(z_l|x)],   z_l ~ q(z|x).

    The proposal q is fitted to each posterior. The best `starts` of a bank of random points, and
    the image's row of `guess` (n, latent) if given, climb to a mode by damped Newton steps. Each
    mode becomes a multivariate Student-t with the mode's curvature, whose tails are heavier than
    the posterior's, so that the weights have a variance. The mixture weighs its components by
    their Laplace evidence; a tenth of the weight is shared evenly in case that is wrong.

    Which modes the bank finds is chance, and the weights of one fit cannot show a mode that it
    missed. So each image has a second estimate b from an independent fit with a bank of its own,
    and the standard error is that of two draws, s = |a - b| / sqrt 2. It has one degree of freedom
    an image: trust it in the mean over many. b serves the error alone, and its random numbers leave
    `generator` as one fit would. It doubles the time. A mode that no fit finds stays hidden.
    """
    parts = []
    again = _fork(generator)
    for first in range(0, len(x), block):
        rows = slice(first, first + block)
        pair = []
        for source in (generator, again):
            z = _good_starts(model, x[rows], starts, bank, source)  # (block, starts, latent)
            if guess is not None:
                z = torch.cat([z, guess[rows, None]], 1)
            pair.append(_from_fit(model, x[rows], z, samples, source, newton_steps))
        difference = pair[0].log_likelihood - pair[1].log_likelihood
        parts.append(pair[0]._replace(stderr=difference.abs() / math.sqrt(2)))
    return _join(parts)


def _fork(generator: torch.Generator) -> torch.Generator:
    """A new generator, seeded by what this one would draw next. This one does not advance."""
    device = generator.device
    copy = torch.Generator(device)
    copy.set_state(generator.get_state())
    seed = torch.randint(2**62, (), generator=copy, device=device)
    return torch.Generator(device).manual_seed(int(seed))


def _from_fit(
    model: LatentModel,
    x: Tensor,
    z: Tensor,
    samples: int,
    generator: torch.Generator,
    newton_steps: int,
) -> Estimate:
    """The estimate from one fit that starts at z (n, starts, latent)."""
    n, starts, d = z.shape
    repeated = x.repeat_interleave(starts, 0)  # row n * starts + s
    z = z.flatten(0, 1)
    for _ in range(newton_steps):
        z = _newton_step(model, repeated, z)
    precision = _precision(model, repeated, z)
    height = model.log_joint(repeated, z[None])[0].view(n, starts)
    cholesky = torch.linalg.cholesky(precision)
    half_log_det = cholesky.diagonal(dim1=1, dim2=2).log().sum(1).view(n, starts)
    share = torch.softmax(height - half_log_det, dim=1)  # of the Laplace evidence
    share = 0.9 * share + 0.1 / starts
    modes, cholesky = z.view(n, starts, d), cholesky.view(n, starts, d, d)

    component = torch.multinomial(share, samples, replacement=True, generator=generator)
    mode = modes.gather(1, component[:, :, None].expand(n, samples, d))
    factor = cholesky.gather(1, component[:, :, None, None].expand(n, samples, d, d))
    noise = torch.randn(n, samples, d, 1, generator=generator, device=x.device)
    # precision = C C^T, so C^-T noise has covariance precision^-1.
    offset = torch.linalg.solve_triangular(factor.mT, noise, upper=True)[..., 0]
    chi_square = _chi_square((n, samples, 1), generator, x.device)
    draws = mode + offset * (DOF / chi_square).sqrt()  # (n, samples, d)

    log_q = torch.full((n, samples), -math.inf, device=x.device)
    for s in range(starts):
        white = (draws - modes[:, s, None]) @ cholesky[:, s]
        log_t = half_log_det[:, s, None] + _log_student(white.square().sum(2), d)
        log_q = torch.logaddexp(log_q, share[:, s, None].log() + log_t)
    log_w = model.log_joint(x, draws.transpose(0, 1).contiguous()).t() - log_q
    return from_log_weights(log_w)


def from_log_weights(log_w: Tensor) -> Estimate:
    """log of the mean of w (n, samples), its standard error by the delta method, and
    (sum w)^2 / sum w^2."""
    samples = log_w.shape[1]
    log_mean = torch.logsumexp(log_w, 1) - math.log(samples)
    ratio = torch.exp(log_w - log_mean[:, None])  # mean 1
    stderr = ratio.std(1) / math.sqrt(samples)
    return Estimate(log_mean, stderr, ratio.sum(1).square() / ratio.square().sum(1))


def _good_starts(
    model: LatentModel, x: Tensor, starts: int, bank: int, generator: torch.Generator
) -> Tensor:
    """The best points of a random bank by log p(x, z), `MIN_DISTANCE` or more, (n, starts, latent).

    The bank is drawn from N(0, 4 I): a model fitted to few images spreads their posteriors wider
    than the prior. A mode without a start nearby is lost; starts at a distance from each other
    lose fewer.
    """
    z = 2 * torch.randn(bank, model.latent_dim, generator=generator, device=x.device)
    heights = model.log_likelihood_pairs(x, z) - 0.5 * z.square().sum(1, keepdim=True)  # (bank, n)
    chosen = []
    for _ in range(starts):
        chosen.append(z[heights.argmax(0)])
        heights = heights.masked_fill(torch.cdist(z, chosen[-1]) < MIN_DISTANCE, -math.inf)
    return torch.stack(chosen, 1)


def _newton_step(model: LatentModel, x: Tensor, z: Tensor) -> Tensor:
    """z plus the best of 0, 1/10, 1/3 and 1 Newton steps: log p(x, z) never falls."""
    gradient = model.d_log_joint(x, z)
    step = torch.linalg.solve(_precision(model, x, z, gradient), gradient)
    scale = torch.tensor([0.0, 0.1, 1 / 3, 1.0], device=z.device)[:, None, None]
    candidates = z + scale * step
    best = model.log_joint(x, candidates).nan_to_num(nan=-math.inf).argmax(0)
    return candidates[best, torch.arange(len(z), device=z.device)]


def _precision(model: LatentModel, x: Tensor, z: Tensor, gradient: Tensor | None = None) -> Tensor:
    """Minus the Hessian of log p(x, z) in z, (n, d, d), by differences of the gradient.

    Eigenvalues below 1, which is the prior's own, are raised to 1: there the log-likelihood is
    convex and has no mode.
    """
    if gradient is None:
        gradient = model.d_log_joint(x, z)
    d = z.shape[1]
    shifts = DIFFERENCE * torch.eye(d, device=z.device)
    columns = [(gradient - model.d_log_joint(x, z + shift)) / DIFFERENCE for shift in shifts]
    hessian = torch.stack(columns, 2)
    values, vectors = torch.linalg.eigh(0.5 * (hessian + hessian.mT))
    return (vectors * values.clamp(min=1.0)[:, None, :]) @ vectors.mT


def _chi_square(shape: tuple[int, ...], generator: torch.Generator, device: torch.device) -> Tensor:
    """Sum of `DOF` squared standard normals."""
    return torch.randn(*shape, DOF, generator=generator, device=device).square().sum(-1)


def _log_student(square: Tensor, d: int) -> Tensor:
    """Log density of the standard multivariate t at points of squared norm `square`."""
    constant = math.lgamma((DOF + d) / 2) - math.lgamma(DOF / 2) - 0.5 * d * math.log(DOF * math.pi)
    return constant - 0.5 * (DOF + d) * torch.log1p(square / DOF)


def encoder_importance_sampling(
    model: VAE,
    x: Tensor,
    samples: int,
    generator: torch.Generator,
    images: int = 10,
    block: int = 500,
) -> Estimate:
    """log p(x) ~ log mean_l [p(x, z_l) / q(z_l|x)],   z_l ~ q(z|x), the encoder's own posterior.

    With few effective samples the logarithm is far too low on average: a lower bound rather than
    an estimate. A Gaussian q has lighter tails than some posteriors. Its weights may then have no
    variance, and neither the error nor the effective sample size shows that. It searches for no
    modes, so it scales to many latent dimensions, where `importance_sampling` does not.
    """
    parts = []
    for part in x.split(images):
        q = model.encoder(part)
        log_w = []
        for n in [min(block, samples - done) for done in range(0, samples, block)]:
            shape = n, len(part), model.encoder.latent_dim
            noise = torch.randn(shape, generator=generator, device=x.device)
            log_q = -0.5 * (noise.square() + q.log_variance + LOG_2PI).sum(2)
            log_w.append(model.decoder.log_joint(part, q.sample(noise)) - log_q)
        parts.append(from_log_weights(torch.cat(log_w).t()))
    return _join(parts)


def recognition_log_weights(
    net: SigmoidBeliefNet, x: Tensor, samples: int, generator: torch.Generator, rows: int = 500
) -> Tensor:
    """log p(x, h) - log q(h|x) for h ~ q(h|x) of a net's recognition, (n, samples), double.

    Their mean estimates the bound, and `from_log_weights` log p(x), which is too low on average
    where few weights dominate. `rows` samples are drawn at a time.
    """
    parts = []
    for part in x.split(max(1, rows // samples)):
        sizes = [min(rows, samples - done) for done in range(0, samples, rows)]
        drawn = [net.recognise(part, n, generator).log_weights(len(part)) for n in sizes]
        parts.append(torch.cat(drawn, 1).double())
    return torch.cat(parts)


# --- Kingma & Welling, Appendix D --------------------------------------------------------------


def hmc_estimator(
    model: LatentModel,
    x: Tensor,
    generator: torch.Generator,
    samples: int = 50,
) -> Estimate:
    """log p(x) ~ -log mean_l [q(z_l) / p(x, z_l)],   z_l ~ p(z|x) by HMC.

    q is a Gaussian fitted to `samples` states of a chain, then evaluated at as many later states
    of the same chain; `samples` must be many times the dimension. The reciprocal has a finite
    variance only where q is narrower than the posterior: hence its covariance times `SHRINK`.
    Chains start at the best of 2000 random points, and each adapts its step size towards 90 %
    acceptance during burn-in (the chain of a wide posterior ends with a higher acceptance). A chain
    visits one of several modes, which makes the estimate too low by up to log(1 / its mass). The
    standard error shows neither that nor the chain's autocorrelation.
    """
    z = _good_starts(model, x, 1, 2000, generator)[:, 0]
    state = hmc_start(model, x, z)
    step_size = torch.full((len(x), 1), 0.05, device=x.device)
    for _ in range(BURN_IN):
        state, acceptance = hmc_step(model, x, state, step_size, LEAPFROGS, generator)
        step_size = adapt(step_size, acceptance[:, None])
    kept, densities = [], []
    for step in range(2 * samples * THIN):
        # A fixed trajectory length can match a period of the posterior (Neal 2011, Section 3.2).
        jitter = 0.8 + 0.4 * torch.rand(len(x), 1, generator=generator, device=x.device)
        state, _ = hmc_step(model, x, state, jitter * step_size, LEAPFROGS, generator)
        if step % THIN == THIN - 1:
            kept.append(state.z)
            densities.append(state.log_density)
    fit, fresh = torch.stack(kept, 1).split(samples, 1)  # (n, samples, latent)
    log_joint = torch.stack(densities[samples:], 1)

    mean = fit.mean(1, keepdim=True)
    d = model.latent_dim
    covariance = SHRINK * (fit - mean).mT @ (fit - mean) / (samples - 1)
    # A chain that never moved has no covariance. The floor keeps its estimate finite, though far
    # too low.
    covariance = covariance + 1e-8 * torch.eye(d, device=x.device)
    cholesky = torch.linalg.cholesky(covariance)
    white = torch.linalg.solve_triangular(cholesky, (fresh - mean).mT, upper=False)
    log_q = -0.5 * (white.square().sum(1) + d * LOG_2PI)
    log_q = log_q - cholesky.diagonal(dim1=1, dim2=2).log().sum(1, keepdim=True)
    reciprocal = from_log_weights(log_q - log_joint)
    return reciprocal._replace(log_likelihood=-reciprocal.log_likelihood)
