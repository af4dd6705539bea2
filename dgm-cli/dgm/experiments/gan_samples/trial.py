"""Images that two GANs make, and how they are judged beside those of other models.

Goodfellow et al. (2014), whose net is fully connected, and Radford et al. (2016), whose nets are
convolutional. Both generators learn by -log D. Estimators: `dgm.inference.parzen`,
`dgm.inference.frechet`, `dgm.inference.copies`; features: `dgm.protocols.digit_features`.
"""

import math
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from dgm.data.batches import Minibatches
from dgm.errors import BadInput, check_enough
from dgm.experiments.gan_samples.settings import (
    DBN,
    DCGAN,
    GAN,
    SHOWN,
    VAE,
    Game,
    Images,
    Judged,
    Settings,
)
from dgm.fast.draws import bernoulli
from dgm.inference.copies import nearest, share_of_copies
from dgm.inference.frechet import classifier_score, frechet_distance
from dgm.inference.parzen import log_likelihoods
from dgm.inference.top_chains import TopChains
from dgm.learning import adversarial
from dgm.learning.adversarial import OBJECTIVES, adam, descent
from dgm.learning.kmeans import lloyd
from dgm.models.image_gan import (
    ConvDiscriminator,
    ConvGenerator,
    FullGenerator,
    MaxoutDiscriminator,
)
from dgm.models.rbm import one_hot
from dgm.protocols.digit_features import DigitFeatures
from dgm.protocols.fit_vae import fit, images
from dgm.protocols.spacing import log_spaced
from dgm.recipe.grid import TrialSpec
from dgm.report.pixels import picture
from dgm.report.tables import Artifacts
from dgm.state import State
from dgm.trial.loop import Trial
from dgm.trial.measured import Rows
from dgm.trial.snapshots import Seen

FILMED = 50  # latents of the film
BETWEEN, ROWS = 10, 6  # latents on the way from one to another, and how many such ways
BESIDE = 30  # samples shown with the nearest training image
SURE = 0.95  # probability of a class from which the classifier counts as sure
BLOCK = 500  # samples made at once

# Frechet distances are in the features of a classifier that is trained anew, and on another machine
# it is another one; they are not compared.
MEASURED = {
    "parzen": Rows(("of",), ("log_likelihood",)),
    "classified": Rows(("of",), ("score", "entropy", "sure"), within=0.1),
    "copies": Rows(("of",), ("copies",), within=0.05),
    "classifier": Rows((), ("test_error",), within=0.5),
}


def run_trial(settings: Settings, trial: Trial) -> Artifacts:
    """Train what is to be trained, and judge its samples."""
    model: Any = None
    arrays: dict[str, Any] = {}
    if isinstance(settings, GAN | DCGAN):
        check_data(settings, trial)
        model, film = play(settings, trial)
        arrays = {"film": film}
    elif isinstance(settings, VAE):
        check_data(settings, trial)
        model = fit(settings, trial, *images(settings, trial))
    elif isinstance(settings, DBN):
        model = trial.model("dbn")
    left = measure(settings, trial, model)
    trained = isinstance(settings, GAN | DCGAN | VAE)
    models = {str(settings.model): model} if trained else {}
    return Artifacts(left.tables, left.arrays | arrays, models)


def anew(spec: TrialSpec, full: bool) -> bool:
    """Whether a trial is measured again without a trained model: real images."""
    return isinstance(spec.settings, Images) and spec.settings.model == "real"


def check_data(settings: Settings, trial: Trial) -> None:
    """BadInput where a model cannot make such images, or there are fewer than are asked for."""
    data = trial.data
    if not data.classes and settings.model != "dcgan":
        raise BadInput(
            f"{data.name}: {settings.model} is for images with classes, dcgan for others"
        )
    if data.classes:
        check_enough("chosen_on", settings.chosen_on, len(data.validation), "validation images")
    if isinstance(settings, Images):
        there = len(data.train)
        check_enough("judged_samples", settings.judged_samples, there, "training images")


def pixels(x: Tensor) -> Tensor:
    """Rows of pixels in [0, 1], where they are bytes or are so already."""
    return x.float().div_(255) if x.dtype == torch.uint8 else x


# --- learning ------------------------------------------------------------------------------------


def play(settings: GAN | DCGAN, trial: Trial) -> tuple[nn.Module, Any]:
    """A generator trained against a discriminator, and the film of what it made of some latents."""
    train = trial.data.train.to(trial.device)
    batches = Minibatches(train, settings.batch, trial.generator)
    game = start(settings, trial)
    steps = settings.epochs * batches.per_epoch
    moments = log_spaced(1, steps, settings.frames)
    latents = noise(settings, trial, FILMED)
    seen = Seen(len(moments), FILMED, train.shape[1], trial.device)
    for step in trial.steps(steps, game=game, batches=batches, seen=seen):
        if isinstance(settings, GAN):
            pace(settings, game, step, step / batches.per_epoch)
        game.play(pixels(batches.draw()[0]), noise(settings, trial, settings.batch))
        if isinstance(settings, GAN):
            game.discriminator.bound()  # type: ignore[operator]
        if step + 1 in moments:
            seen.images[moments.index(step + 1)] = made(game.generator, latents)
    film = seen.images.flatten(0, 1)
    shown = picture(film, trial.data.shape, trial.data.channels)
    return game.generator.eval(), shown.reshape(len(moments), FILMED, *shown.shape[1:])


def start(settings: GAN | DCGAN, trial: Trial) -> adversarial.Game:
    """Both players before they have learned."""
    data, objective = trial.data, OBJECTIVES["nonsaturating"]
    generator: nn.Module
    discriminator: nn.Module
    if isinstance(settings, GAN):
        n = math.prod(data.shape)
        generator = FullGenerator(settings.latent_dim, settings.hidden, n)
        generator.start_at(data.train.mean(0))
        discriminator = MaxoutDiscriminator(n, settings.units, settings.pieces, settings.within)
        optimizer: Any = partial(descent, momentum=settings.momentum[0])
    else:
        if any(side % 2 or side < 8 for side in data.shape):
            rows, columns = data.shape
            raise BadInput(f"{data.name}: {rows} x {columns} images cannot be halved; dcgan does")
        size = data.shape, data.channels, settings.filters
        generator = ConvGenerator(settings.latent_dim, *size)
        discriminator = ConvDiscriminator(*size)
        optimizer = partial(adam, betas=(settings.beta1, 0.999))
    players = generator.to(trial.device), discriminator.to(trial.device)
    return adversarial.Game(*players, objective, settings.rate, optimizer=optimizer)


def pace(settings: GAN, game: adversarial.Game, step: int, epoch: float) -> None:
    """The rate falls by a factor a step, momentum rises in a straight line."""
    game.slow_down(settings.decay**-step)
    first, later = settings.momentum
    momentum = first + (later - first) * min(1.0, epoch / settings.momentum_epochs)
    for optimizer in (game.of_generator, game.of_discriminator):
        for group in optimizer.param_groups:
            group["momentum"] = momentum


def noise(settings: Game, trial: Trial, n: int) -> Tensor:
    """z ~ N(0, I), (n, latent_dim)."""
    shape = n, settings.latent_dim
    return torch.randn(shape, generator=trial.generator, device=trial.device)


def made(generator: nn.Module, z: Tensor) -> Tensor:
    """x = g(z) by the running averages of batch normalisation, (n, pixels)."""
    generator.eval()
    x = torch.cat([generator(part) for part in z.split(BLOCK)])
    generator.train()
    return x


# --- samples -------------------------------------------------------------------------------------


def samples_of(settings: Settings, trial: Trial, model: Any) -> dict[str, Tensor]:
    """Samples by what they are of: "" for a model's own, "draws" of pixels beside their means.

    A VAE and a DBN give each pixel a probability. Means are these probabilities, and draws are
    binary.
    """
    n = settings.judged_samples
    if isinstance(settings, GAN | DCGAN):
        return {"": made(model, noise(settings, trial, n))}
    if isinstance(settings, Images):
        return {"": of_images(settings, trial)}
    if isinstance(settings, VAE):
        shape = n, settings.latent_dim
        z = torch.randn(shape, generator=trial.generator, device=trial.device)
        means = torch.cat([model.decoder.mean(part) for part in z.split(BLOCK)])
    else:
        means = from_chains(settings, trial, model)
    return {"": means, "draws": bernoulli(means, trial.generator)}


def from_chains(settings: DBN, trial: Trial, net: Any) -> Tensor:
    """Mean images after every `between` Gibbs steps at the top; each chain keeps its label."""
    n, chains = settings.judged_samples, min(settings.chains, settings.judged_samples)
    labels = torch.arange(chains, device=trial.device) % net.top.labels
    top = TopChains(net, chains, trial.generator, one_hot(labels, net.top.labels))
    moments = -(-n // chains)
    seen = Seen(moments, chains, net.visible, trial.device)
    for step in trial.steps(moments * settings.between, "chains", chains=top, seen=seen):
        top.step()
        if (step + 1) % settings.between == 0:
            seen.images[step // settings.between] = top.images()
    return seen.images.flatten(0, 1)[:n]


def of_images(settings: Images, trial: Trial) -> Tensor:
    """Training images by a random draw; or the centres of clusters that begin at such images."""
    train = pixels(trial.data.train).to(trial.device)
    order = torch.randperm(len(train), generator=trial.generator, device=trial.device)
    drawn = train[order[: settings.judged_samples]]
    if settings.model == "real":
        return drawn
    clusters = Clusters(drawn)
    for _ in trial.steps(settings.passes, "kmeans", clusters=clusters):
        clusters.centres.copy_(lloyd(train, clusters.centres))
    return clusters.centres


class Clusters(State):
    """Centres of clusters."""

    saved = ("centres",)

    def __init__(self, centres: Tensor) -> None:
        self.centres = centres


# --- judging -------------------------------------------------------------------------------------


def measure(settings: Settings, trial: Trial, model: Any, full: bool = True) -> Artifacts:
    """Samples of a model judged in every way, and pictures of them.

    Images without classes, as a folder's, are only sought among the training images.
    """
    check_data(settings, trial)
    data = trial.data
    for file in data.skipped:
        trial.record("skipped", file=file)
    drawn = samples_of(settings, trial, model)
    judge = DigitFeatures(trial, settings.classifier_steps) if data.classes else None
    for of, samples in drawn.items():
        if judge:
            parzen(settings, trial, of, samples)
            classified(trial, of, samples, judge)
    if settings.model != "real":
        copied(settings, trial, drawn[""])
    if not full:
        return Artifacts(trial.tables())
    arrays = {of or "samples": x[:SHOWN] for of, x in drawn.items()}
    train = pixels(data.train).to(trial.device)
    shown = drawn[""][:BESIDE]
    arrays["nearest"] = torch.cat([shown, train[nearest(train, shown)]])
    if isinstance(settings, GAN | DCGAN):
        arrays["between"] = made(model, ways(settings, trial))
    shape = data.shape, data.channels
    return Artifacts(trial.tables(), {name: picture(x, *shape) for name, x in arrays.items()})


def parzen(settings: Judged, trial: Trial, of: str, samples: Tensor) -> None:
    """Record "bandwidths" (validation) and "parzen" (test images, by the best bandwidth)."""
    few = trial.data.validation[: settings.chosen_on].to(trial.device)
    means = log_likelihoods(samples, few, settings.bandwidths).double().mean(1)
    for bandwidth, mean in zip(settings.bandwidths, means.tolist(), strict=True):
        trial.record("bandwidths", of=of, bandwidth=bandwidth, log_likelihood=mean)
    best = settings.bandwidths[int(means.argmax())]
    (found,) = log_likelihoods(samples, trial.data.test.to(trial.device), [best]).double()
    stderr = found.std().item() / math.sqrt(len(found))
    numbers = {"log_likelihood": found.mean().item(), "stderr": stderr}
    trial.record("parzen", of=of, bandwidth=best, **numbers)


def classified(trial: Trial, of: str, samples: Tensor, judge: DigitFeatures) -> None:
    """Record "classified": what the classifier makes of samples, beside its test images."""
    found, real = judge(samples), judge(trial.data.test.to(trial.device))
    p, labels = found.log_p.exp().max(1)
    sure = p >= SURE
    share = labels[sure].bincount(minlength=trial.data.classes).double() / max(1, int(sure.sum()))
    trial.record(
        "classified",
        of=of,
        frechet=frechet_distance(found.hidden, real.hidden),
        score=classifier_score(found.log_p),
        entropy=-torch.xlogy(share, share).sum().item() / math.log(2),
        sure=sure.double().mean().item(),
    )


def copied(settings: Judged, trial: Trial, samples: Tensor) -> None:
    """Record "copies": the share of samples, less that of test images."""
    train, test = (pixels(x).to(trial.device) for x in (trial.data.train, trial.data.test))
    of_samples, of_test = (share_of_copies(train, x[: settings.compared]) for x in (samples, test))
    row = {"of_samples": of_samples, "of_test": of_test, "copies": of_samples - of_test}
    trial.record("copies", of="", **row)


def ways(settings: Game, trial: Trial) -> Tensor:
    """Latents on quarter circles from one to another, (ROWS * BETWEEN, latent_dim).

    Two independent latents are about at right angles and of one length, which the circle keeps.
    """
    first, last = (noise(settings, trial, ROWS)[:, None] for _ in range(2))
    angle = torch.linspace(0, math.pi / 2, BETWEEN, device=trial.device)[:, None]
    return (angle.cos() * first + angle.sin() * last).flatten(0, 1)
