"""What a model is like that minimises KL(P || Q) or KL(Q || P), P the model and Q the data.

Bishop (2006), section 10.1.2, where p is the data and q the model. Then a GAN and a VAE, which the
lecture maps to the two directions, and as a control GANs whose generators follow either direction.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from dgm.data.mixture import Mixture
from dgm.errors import BadInput
from dgm.experiments.kl_directions.settings import BOX, DIRECTIONS, SAMPLES, Fit, Ring, Settings
from dgm.inference.modes import reached
from dgm.inference.quadrature import Grid, grid, kl
from dgm.learning.adversarial import OBJECTIVES, Game
from dgm.learning.gaussian_fit import Gaussian, fit
from dgm.models.gan import Discriminator, Generator
from dgm.models.gaussian_vae import GaussianVAE
from dgm.recipe.grid import TrialSpec
from dgm.report.tables import Artifacts
from dgm.trial.loop import Trial
from dgm.trial.measured import Rows

POINTS = 241  # of the grid over the data, along each side
SPREAD = 2.0  # standard deviation of the starts about the data's mean
AT, ABOUT = 3.0, 10.0  # standard deviations of a mode that count as at it, and as about it
GAP = 5.0  # standard deviations from every mode beyond which a point lies in a gap
KEPT = 1000  # samples that are drawn
OBJECTIVE = {
    "gan": "nonsaturating",
    "fgan_model_data": "kl_model_data",
    "fgan_data_model": "kl_data_model",
}
Draw = Callable[[], Tensor]

NUMBERS = ("x", "y", "xx", "xy", "yy", "divergence")  # of a Gaussian
MEASURED = {
    "fits": Rows(("direction", "start"), (*NUMBERS, "by_quadrature"), within=1e-4),
    "exact": Rows(("direction",), NUMBERS),
}


def run_trial(settings: Settings, trial: Trial) -> Artifacts:
    """Run one of the two parts."""
    return gaussians(settings, trial) if isinstance(settings, Fit) else ring(settings, trial)


def anew(spec: TrialSpec, full: bool) -> bool:
    """Whether a trial is measured again without a trained model: the fits are made once more."""
    return isinstance(spec.settings, Fit)


def measure(settings: Fit, trial: Trial, model: None, full: bool = True) -> Artifacts:
    """The fits, once more."""
    return gaussians(settings, trial)


# --- Gaussians fitted by optimisation ----------------------------------------------------------


def gaussians(settings: Fit, trial: Trial) -> Artifacts:
    """Fit from many starts in either direction; record fits, and what they should be."""
    data: Mixture = trial.data.to(trial.device)  # type: ignore[attr-defined]
    if data.means.shape[1] != 2:
        raise BadInput(f"data {data.name}: this part needs a density in the plane")
    narrowest = torch.linalg.eigvalsh(data.covariances).min().sqrt().item()
    if narrowest < (apart := 2 * BOX / (POINTS - 1)):
        raise BadInput(
            f"data {data.name}: its narrowest standard deviation is {narrowest:.2g}, and densities "
            f"are integrated on a grid {apart:.2g} apart"
        )
    over = grid([-BOX] * 2, [BOX] * 2, POINTS, trial.device)
    whole = moments(data)
    for direction in DIRECTIONS:
        for start in trial.steps(settings.starts, phase=direction):
            away = torch.randn(
                2, generator=trial.generator, dtype=torch.float64, device=trial.device
            )
            begin = whole[0] + SPREAD * away
            found = fit(data, direction, settings.family == "factorised", begin, over)
            integral = divergence(found, data, direction, over)
            about = {"direction": direction, "start": start}
            trial.record("fits", **about, **row(found), by_quadrature=integral)
    for name, (mean, covariance) in exact(settings, data).items():
        trial.record("exact", direction=name, **row(Gaussian(mean, covariance, 0.0)))
    density = data.log_density(over.points).exp().reshape(POINTS, POINTS)
    return Artifacts(trial.tables(), {"density": density.half().cpu().numpy()})


def moments(data: Mixture) -> tuple[Tensor, Tensor]:
    """Mean and covariance of a mixture."""
    w = data.weights[:, None]
    mean = (w * data.means).sum(0)
    centred = data.means - mean
    spread = data.covariances + centred[:, :, None] * centred[:, None, :]
    return mean, (w[:, :, None] * spread).sum(0)


def exact(settings: Fit, data: Mixture) -> dict[str, tuple[Tensor, Tensor]]:
    """The best Gaussian in closed form, where there is one.

    KL(Q || P) has the data's moments; its factorised one has the variances Sigma_ii. KL(P || Q) has
    1 / Lambda_ii with Lambda = Sigma^-1, where Q is one Gaussian and P factorised.
    """
    mean, covariance = moments(data)
    if settings.family == "full":
        best = {"data_model": (mean, covariance)}
        return best | ({"model_data": (mean, covariance)} if len(data.weights) == 1 else {})
    best = {"data_model": (mean, covariance.diagonal().diag())}
    if len(data.weights) == 1:
        best["model_data"] = (mean, (1 / covariance.inverse().diagonal()).diag())
    return best


def row(fitted: Gaussian) -> dict[str, float]:
    """A Gaussian of the plane as numbers of a table."""
    (x, y), ((xx, xy), (_, yy)) = fitted.mean.tolist(), fitted.covariance.tolist()
    return {"x": x, "y": y, "xx": xx, "xy": xy, "yy": yy, "divergence": fitted.divergence}


def divergence(fitted: Gaussian, data: Mixture, direction: str, over: Grid) -> float:
    """The divergence of a fit, integrated over the plane."""
    p = torch.distributions.MultivariateNormal(fitted.mean, fitted.covariance)
    log_p, log_q = p.log_prob(over.points), data.log_density(over.points)
    found = kl(log_p, log_q, over) if direction == "model_data" else kl(log_q, log_p, over)
    return found.item()


# --- models of a ring ----------------------------------------------------------------------------


def ring(settings: Ring, trial: Trial) -> Artifacts:
    """Train a GAN or a VAE; count modes and points in gaps at even steps."""
    data: Mixture = trial.data.to(trial.device)  # type: ignore[attr-defined]
    stds = data.covariances.diagonal(dim1=1, dim2=2).sqrt()
    round_modes = torch.diag_embed(stds[:, :1].square().expand_as(stds))
    if data.means.shape[1] != 2 or not torch.equal(round_modes, data.covariances):
        raise BadInput(f"data {data.name}: this part needs round Gaussians in the plane")
    train = train_vae if settings.model == "vae" else train_gan
    sample = train(settings, trial, data, stds[:, 0])
    return Artifacts(trial.tables(), {"samples": sample()[:KEPT].half().cpu().numpy()})


def train_gan(settings: Ring, trial: Trial, data: Mixture, stds: Tensor) -> Draw:
    """Discriminator and generator take turns."""
    d = data.means.shape[1]
    generator = Generator(settings.latent_dim, settings.hidden, d).to(trial.device)
    discriminator = Discriminator(d, settings.hidden).to(trial.device)
    objective = OBJECTIVES[OBJECTIVE[settings.model]]
    game = Game(generator, discriminator, objective, settings.rate, settings.penalty)

    def sample() -> Tensor:
        return generator(noise(trial, SAMPLES, settings.latent_dim))

    for step in trial.steps(settings.steps, game=game):
        game.slow_down(1 - step / settings.steps)
        for _ in range(settings.d_steps):
            real = data.sample(settings.batch, trial.generator).float()
            game.learn_discriminator(real, noise(trial, settings.batch, settings.latent_dim))
        game.learn_generator(noise(trial, settings.batch, settings.latent_dim))
        judge(settings, trial, step, sample, data, stds)
    return sample


def train_vae(settings: Ring, trial: Trial, data: Mixture, stds: Tensor) -> Draw:
    """Ascend the bound; samples have the decoder's noise."""
    d = data.means.shape[1]
    vae = GaussianVAE(settings.latent_dim, settings.hidden, d, settings.decoder_std)
    vae = vae.to(trial.device)
    optimizer = torch.optim.Adam(vae.parameters(), settings.rate, fused=True)

    def sample() -> Tensor:
        z, e = noise(trial, SAMPLES, settings.latent_dim), noise(trial, SAMPLES, d)
        return vae.sample(z, e)

    for step in trial.steps(settings.steps, vae=vae, optimizer=optimizer):
        optimizer.param_groups[0]["lr"] = settings.rate * (1 - step / settings.steps)
        x = data.sample(settings.batch, trial.generator).float()
        with torch.enable_grad():
            loss = -vae.elbo(x, noise(trial, settings.batch, settings.latent_dim)).mean()
            optimizer.zero_grad()
            loss.backward()
        optimizer.step()
        judge(settings, trial, step, sample, data, stds)
    trial.record("decoder", learned_std=vae.log_s.exp().item())
    return sample


def noise(trial: Trial, n: int, d: int) -> Tensor:
    """N(0, I), (n, d)."""
    return torch.randn(n, d, generator=trial.generator, device=trial.device)


def judge(
    settings: Ring, trial: Trial, step: int, sample: Draw, data: Mixture, stds: Tensor
) -> None:
    """Record modes and gaps of fresh samples, at even steps of the training."""
    if (step + 1) % max(1, settings.steps // settings.evaluations) == 0:
        x = sample()
        at, about, near = (
            reached(x, data.weights, data.means, stds, within) for within in (AT, ABOUT, GAP)
        )
        numbers = {"modes": about.modes, "sharp_modes": at.modes, "quality": at.quality}
        trial.record("ring", step=step + 1, **numbers, gaps=1 - near.quality)
