"""The GAN game where everything is known: densities on the line, and a ring of Gaussians.

Goodfellow et al. (2014): for a fixed generator the best discriminator is

    D*(x) = p_data(x) / (p_data(x) + p_g(x)),

and with it the value of the game is -log 4 + 2 JSD(p_data, p_g). `MonotoneGenerator` has a density,
so D*, the divergence and the value are integrals on a fine grid (`dgm.inference.quadrature`).
"""

import copy
import math

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from dgm.data.mixture import Mixture
from dgm.errors import BadInput
from dgm.experiments.gan_game.settings import (
    BOX,
    FIRST,
    LAST,
    SAMPLES,
    Densities,
    Gradients,
    OnTheLine,
    Players,
    Ring,
    Settings,
)
from dgm.inference.modes import reached
from dgm.inference.quadrature import Grid, grid, jensen_shannon
from dgm.learning.adversarial import OBJECTIVES, Game, gradient_norm, log_d, minimax
from dgm.models.gan import Discriminator, Generator, MonotoneGenerator
from dgm.recipe.grid import TrialSpec
from dgm.report.tables import Artifacts
from dgm.trial.loop import Trial
from dgm.trial.measured import Rows

POINTS = 3201  # of the grid, 0.01 apart
OUTSIDE = 1e-3  # share of the generated points that may lie beyond the grid
SHOWN = 8  # of the grid's points, one in so many is drawn
ARROWS = 15  # quantiles of z whose images are drawn
EVERY = 20  # of D's steps alone, one in so many is recorded, beside all of the first and last
KEPT = 1000  # samples that are drawn

MEASURED = {
    "game": Rows(("step",), ("jsd",), within=4e-3),
    "frozen": Rows(("step",), ("jsd", "gap", "value"), within=4e-3),
    "separation": Rows((), ("jsd",), within=1e-3),
    "gradients": Rows(("step",)),  # over decades, so that the metrics of them are compared alone
}


def run_trial(settings: Settings, trial: Trial) -> Artifacts:
    """Run one of the three parts."""
    if isinstance(settings, Densities):
        return densities(settings, trial)
    if isinstance(settings, Gradients):
        return gradients(settings, trial)
    return ring(settings, trial)


def anew(spec: TrialSpec, full: bool) -> bool:
    """Whether a trial is measured again without a trained model: the game on the line, of the first
    seed where that is enough."""
    return isinstance(spec.settings, OnTheLine) and (full or spec.seed == 0)


def measure(
    settings: Densities | Gradients, trial: Trial, model: None, full: bool = True
) -> Artifacts:
    """The game on the line, played once more."""
    return run_trial(settings, trial)


# --- on the line -------------------------------------------------------------------------------


def densities(settings: Densities, trial: Trial) -> Artifacts:
    """Play, keeping generators on the way; then train a new D against each of them."""
    data, over = on_the_line(trial), grid([BOX[0]], [BOX[1]], POINTS, trial.device)
    log_data = data.log_density(over.points)
    game = start(settings, trial)
    late = [step for step in settings.frozen_at if step >= settings.steps]
    if late:
        raise BadInput(f"frozen_at {late[0]}: the game has {settings.steps} steps, from 0 on")
    frozen = nn.ModuleList(copy.deepcopy(game.generator) for _ in settings.frozen_at)
    frames = Frames(settings.frames, settings.steps, over)
    for step in trial.steps(settings.steps, game=game, frozen=frozen, frames=frames):
        if step in settings.frozen_at:
            frozen[settings.frozen_at.index(step)].load_state_dict(game.generator.state_dict())
        if frames.keep(step, game):
            jsd = jensen_shannon(log_data, log_density(game.generator, over), over)
            trial.record("game", step=step, jsd=jsd.item())
        play(settings, trial, game, data, step)

    final = [*frozen, game.generator]
    for step, generator in zip([*settings.frozen_at, settings.steps], final, strict=True):
        d = alone(settings, trial, generator, data, f"alone{step}")
        trial.record("frozen", step=step, **judged(d, generator, log_data, over))
    arrays = {"data": log_data.exp()[::SHOWN].float().cpu().numpy(), **frames.arrays()}
    return Artifacts(trial.tables(), arrays)


def on_the_line(trial: Trial) -> Mixture:
    """The data's density, which has to be of one dimension."""
    data: Mixture = trial.data.to(trial.device)  # type: ignore[attr-defined]
    if data.means.shape[1] != 1:
        raise BadInput(f"data {data.name}: this part needs a density on the line")
    return data


def log_density(generator: MonotoneGenerator, over: Grid) -> Tensor:
    """Of the generated points, on the grid; BadInput where it does not hold nearly all of them."""
    found = generator.log_density(over.points)
    missed = 1 - over.integral(found.exp()).item()
    if abs(missed) > OUTSIDE:
        raise BadInput(
            f"mean, slope: {100 * missed:.2g} percent of what is generated lies outside "
            f"{BOX[0]:g} to {BOX[1]:g}, where densities are integrated"
        )
    return found


def start(settings: OnTheLine, trial: Trial) -> Game:
    """Both players before they have learned, in double precision."""
    generator = MonotoneGenerator(settings.units, settings.mean, settings.slope).to(trial.device)
    discriminator = Discriminator(1, settings.hidden).to(trial.device, torch.float64)
    return Game(generator, discriminator, OBJECTIVES["nonsaturating"], settings.rate)


def noise(settings: Players, trial: Trial, game: Game) -> Tensor:
    """z ~ N(0, I), a minibatch."""
    like = next(game.generator.parameters())
    shape = settings.batch, game.generator.latent_dim
    return torch.randn(shape, generator=trial.generator, dtype=like.dtype, device=like.device)


def quantiles(n: int, like: Tensor) -> Tensor:
    """The middles of n equal shares of N(0, 1), (n, 1), where and as `like` is."""
    p = (torch.arange(n, dtype=like.dtype, device=like.device) + 0.5) / n
    return math.sqrt(2) * torch.erfinv(2 * p - 1)[:, None]


def play(settings: Players, trial: Trial, game: Game, data: Mixture, step: int) -> None:
    """Steps of D and one of the generator, at a rate that falls from step to step."""
    game.slow_down((1 - step / settings.steps) ** settings.fall)
    for _ in range(settings.d_steps):
        z = noise(settings, trial, game)
        real = data.sample(settings.batch, trial.generator).to(z.dtype)
        game.learn_discriminator(real, z)
    game.learn_generator(noise(settings, trial, game))


def alone(
    settings: OnTheLine, trial: Trial, generator: MonotoneGenerator, data: Mixture, phase: str
) -> Discriminator:
    """A new discriminator, trained against a generator that stays as it is."""
    d = Discriminator(1, settings.hidden).to(trial.device, torch.float64)
    game = Game(generator, d, OBJECTIVES["nonsaturating"], settings.rate)
    for step in trial.steps(settings.alone, phase=phase, game=game):
        game.slow_down(1 - step / settings.alone)
        real = data.sample(settings.batch, trial.generator)
        game.learn_discriminator(real, noise(settings, trial, game))
    return d


def judged(
    d: Discriminator, generator: MonotoneGenerator, log_data: Tensor, over: Grid
) -> dict[str, float]:
    """How far D is from the best one, the game's value with it, and the divergence."""
    log_g = log_density(generator, over)
    best, logits = torch.sigmoid(log_data - log_g), d(over.points)
    p, q = log_data.exp(), log_g.exp()
    value = over.integral(p * logsigmoid(logits) + q * logsigmoid(-logits))
    both = (p + q) / 2
    return {
        "jsd": jensen_shannon(log_data, log_g, over).item(),
        "gap": over.integral(both * (logits.sigmoid() - best).abs()).item(),
        "gap_of_half": over.integral(both * (0.5 - best).abs()).item(),
        "value": value.item(),
    }


class Frames:
    """What is drawn of a game on the line, at evenly spaced steps of it."""

    def __init__(self, frames: int, steps: int, over: Grid) -> None:
        self.at = sorted({round(i * (steps - 1) / (frames - 1)) for i in range(frames)})
        self.x = over.points[::SHOWN]
        self.z = quantiles(ARROWS, self.x)
        shape = len(self.at), len(self.x)
        self.kept = {name: torch.zeros(shape) for name in ("generated", "discriminator")}
        self.kept["mapped"] = torch.zeros(len(self.at), ARROWS)

    def state_dict(self) -> dict[str, Tensor]:
        return self.kept

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.kept = state

    def keep(self, step: int, game: Game) -> bool:
        """Keep both players as they are, if the step is one of those kept."""
        if step not in self.at:
            return False
        i = self.at.index(step)
        self.kept["generated"][i] = game.generator.log_density(self.x).exp()
        self.kept["discriminator"][i] = game.discriminator(self.x).sigmoid()
        self.kept["mapped"][i] = game.generator(self.z)[:, 0]
        return True

    def arrays(self) -> dict[str, object]:
        return {name: tensor.numpy() for name, tensor in self.kept.items()}


def gradients(settings: Gradients, trial: Trial) -> Artifacts:
    """The generator's gradient under both losses while D alone learns (Arjovsky & Bottou 2017)."""
    data, over = on_the_line(trial), grid([BOX[0]], [BOX[1]], POINTS, trial.device)
    game = start(settings, trial)
    for step in trial.steps(settings.steps, phase="half", game=game):
        play(settings, trial, game, data, step)
    generator = game.generator
    log_g = log_density(generator, over)
    jsd = jensen_shannon(data.log_density(over.points), log_g, over).item()
    trial.record("separation", jsd=jsd)

    z = quantiles(settings.batch, over.points)
    d = Discriminator(1, settings.hidden).to(trial.device, torch.float64)
    learner = Game(generator, d, OBJECTIVES["nonsaturating"], settings.rate)
    for step in trial.steps(settings.alone, phase="alone", learner=learner):
        done, left = step + 1, settings.alone - step
        if done <= FIRST or left <= LAST or done % EVERY == 0:
            with torch.enable_grad():
                logits = d(generator(z))
                norms = {name: gradient_norm(loss(logits), generator) for name, loss in LOSSES}
            trial.record("gradients", step=done, **norms)
        real = data.sample(settings.batch, trial.generator)
        learner.learn_discriminator(real, noise(settings, trial, learner))
    x = over.points[::SHOWN]
    drawn = [data.log_density(x).exp(), log_g[::SHOWN].exp(), d(x).sigmoid()]
    return Artifacts(trial.tables(), {"separated": torch.stack(drawn).float().cpu().numpy()})


LOSSES = (("minimax", minimax), ("log_d", log_d))


# --- a ring of Gaussians -------------------------------------------------------------------------


def ring(settings: Ring, trial: Trial) -> Artifacts:
    """Learn, and count the modes of 2500 samples at even steps of the training."""
    data: Mixture = trial.data.to(trial.device)  # type: ignore[attr-defined]
    variances = data.covariances.diagonal(dim1=1, dim2=2)
    round_modes = torch.diag_embed(variances[:, :1].expand_as(variances))
    if data.means.shape[1] != 2 or not torch.equal(round_modes, data.covariances):
        raise BadInput(f"data {data.name}: this part needs round Gaussians in the plane")
    d = data.means.shape[1]
    generator = Generator(settings.latent_dim, settings.hidden, d).to(trial.device)
    discriminator = Discriminator(d, settings.hidden).to(trial.device)
    penalty = settings.penalty if settings.method == "r1" else 0.0
    objective = OBJECTIVES["minimax" if settings.method == "minimax" else "nonsaturating"]
    game = Game(generator, discriminator, objective, settings.rate, penalty)
    every = max(1, settings.steps // settings.evaluations)
    samples = torch.empty(0)
    for step in trial.steps(settings.steps, game=game):
        play(settings, trial, game, data, step)
        if (step + 1) % every == 0:
            samples = drawn(settings, trial, generator)
            found = reached(samples, data.weights, data.means, variances[:, 0].sqrt())
            numbers = {"modes": found.modes, "touched": found.touched, "quality": found.quality}
            trial.record("ring", step=step + 1, **numbers)
    samples = drawn(settings, trial, generator)
    return Artifacts(trial.tables(), {"samples": samples[:KEPT].half().cpu().numpy()})


def drawn(settings: Ring, trial: Trial, generator: Generator) -> Tensor:
    """What the generator makes of new noise, (2500, d)."""
    shape = SAMPLES, settings.latent_dim
    return generator(torch.randn(shape, generator=trial.generator, device=trial.device))
