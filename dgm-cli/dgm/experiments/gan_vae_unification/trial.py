"""GANs and VAEs as one family (Hu, Yang, Salakhutdinov & Xing 2018), and what each lends the other.

The lemmas: `dgm.inference.one_family`. InfoGAN: `dgm.models.info_gan`, `dgm.learning.info_gan`. The
importance-weighted GAN: `dgm.learning.adversarial`; the adversary-activated VAE:
`dgm.learning.adversary_activated`.
"""

import copy
from collections.abc import Iterator, Mapping
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from dgm.data.batches import Minibatches
from dgm.data.labelled import Labelled, labelled
from dgm.data.mixture import Mixture
from dgm.errors import BadInput
from dgm.experiments.gan_vae_unification.settings import (
    COLUMNS,
    ROWS,
    SAMPLES,
    Activated,
    Beside,
    InfoGAN,
    Lemmas,
    Settings,
    Weighted,
)
from dgm.fast.draws import bernoulli
from dgm.inference import one_family
from dgm.inference.enumeration import log_bernoulli
from dgm.inference.frechet import classifier_score, frechet_distance
from dgm.inference.matching import information_about, match
from dgm.inference.quadrature import grid
from dgm.learning.adversarial import OBJECTIVES, Game, adam
from dgm.learning.adversary_activated import AdversaryActivated
from dgm.learning.info_gan import BETAS, InfoGame, information
from dgm.models import info_gan
from dgm.models.gan import Discriminator, MonotoneGenerator
from dgm.models.image_gan import ConvDiscriminator, ConvGenerator
from dgm.models.info_gan import Latent
from dgm.models.rbm import states
from dgm.models.vae import VAE
from dgm.protocols.digit_features import DigitFeatures
from dgm.protocols.fit_vae import OPTIMISERS, bounds, fit, images
from dgm.recipe.grid import TrialSpec
from dgm.report.pixels import grey
from dgm.report.tables import Artifacts
from dgm.trial.loop import Trial
from dgm.trial.measured import Rows

BLOCK = 1000  # images generated at once
REACH = 2.0  # of a continuous code or a latent, where a figure varies it from -REACH to REACH
FINE, FAR = 8001, 12.0  # points of the grids, and standard deviations of z in either direction

MEASURED = {
    "gan": Rows(("pair",), ("by_density", "lemma1", "optimal_d"), within=1e-6),
    "vae": Rows(("pair",), ("bound", "lemma2", "posterior"), within=1e-6),
    "accuracy": Rows(("split",), ("accuracy",), within=3e-4),  # three of 10,000 images
    "about_images": Rows(values=("information",)),
    "information": Rows(("number",), ("bound",)),  # of other random images
    "confusion": Rows(("code", "class")),
}


def run_trial(settings: Settings, trial: Trial) -> Artifacts:
    """Run one of the parts."""
    if isinstance(settings, Lemmas):
        return lemmas(settings, trial)
    if isinstance(trial.data, Mixture):
        raise BadInput(f"data {trial.data.name}: this part needs images")
    if isinstance(settings, InfoGAN):
        return info(settings, trial)
    if isinstance(settings, Beside):
        return beside(settings, trial)
    return gans(settings, trial) if isinstance(settings, Weighted) else activated(settings, trial)


def anew(spec: TrialSpec, full: bool) -> bool:
    """Whether a trial is measured again without a trained model: the lemmas are."""
    return isinstance(spec.settings, Lemmas)


def measure(
    settings: Lemmas | InfoGAN, trial: Trial, model: info_gan.InfoGAN | None, full: bool = True
) -> Artifacts:
    """The lemmas once more, or what a trained InfoGAN's Q reads and its codes do."""
    if isinstance(settings, Lemmas):
        return lemmas(settings, trial)
    assert model is not None
    return read(settings, trial, model)


# --- InfoGAN, and a VAE beside it ----------------------------------------------------------------


def info(settings: InfoGAN, trial: Trial) -> Artifacts:
    """Learn without labels; then read the code of images, and match codes with classes."""
    data = matchable(settings, trial)
    net = info_gan.InfoGAN(
        trial.data.shape,
        settings.noise,
        settings.codes,
        settings.continuous,
        settings.filters,
        settings.hidden,
    ).to(trial.device)
    game = InfoGame(net, settings.coefficient, settings.generator_rate, settings.critic_rate)
    batches = Minibatches(data.x["train"], settings.batch, trial.generator)
    every = max(1, settings.steps // settings.evaluations)
    for step in trial.steps(settings.steps, game=game, batches=batches):
        told = game.update(batches.draw()[0], net.draw(settings.batch, trial.generator))
        if (step + 1) % every == 0:
            trial.record("game", step=step + 1, information=told.item())
    left = read(settings, trial, net.eval())
    return Artifacts(left.tables, left.arrays, {"infogan": net})


def matchable(settings: InfoGAN, trial: Trial) -> Labelled:
    """Images with as many classes as codes, which are matched one to one."""
    data = labelled(trial.data, trial.device)
    if settings.codes != trial.data.classes:
        raise BadInput(
            f"codes {settings.codes}: {trial.data.name} has {trial.data.classes} classes, "
            f"and each code is matched with one"
        )
    return data


def read(settings: InfoGAN, trial: Trial, net: info_gan.InfoGAN) -> Artifacts:
    """What Q reads in images and in what is generated, and what each code does."""
    data = matchable(settings, trial)
    log_p = {split: net.read(data.x[split]).log_p for split in ("validation", "test")}
    codes = {split: each.argmax(1) for split, each in log_p.items()}
    predicted = score(trial, codes, data)
    trial.record("about_images", information=information_about(log_p["validation"]))
    z = net.draw(settings.judged, trial.generator)
    told = torch.cat([information(net.read(net.generate(part)), part) for part in blocks(z)])
    for number, of_one in enumerate(told.double().unbind(1)):
        stderr = (of_one.std() / len(of_one) ** 0.5).item()
        trial.record("information", number=number, bound=of_one.mean().item(), stderr=stderr)
    arrays = {"varied": grey(varied_codes(net, trial), trial.data.shape), "predicted": predicted}
    return Artifacts(trial.tables(), arrays)


def score(trial: Trial, codes: Mapping[str, Tensor], data: Labelled) -> np.ndarray:
    """Record "accuracy" by split and "confusion" of test images; their predicted classes.

    Codes get their classes by validation images.
    """
    n = trial.data.classes
    of_code = match(codes["validation"], data.classes["validation"], n)
    for split, of_images in codes.items():
        right = (of_code[of_images] == data.classes[split]).double().mean()
        trial.record("accuracy", split=split, accuracy=right.item(), cases=len(of_images))
    for code in range(n):
        of_this = data.classes["test"][codes["test"] == code]
        for number, count in enumerate(torch.bincount(of_this, minlength=n).tolist()):
            about = {"code": code, "class": number, "matched": int(of_code[code])}
            trial.record("confusion", **about, cases=count)
    found: np.ndarray = of_code[codes["test"]].cpu().numpy().astype(np.int16)
    return found


def blocks(z: Latent) -> Iterator[Latent]:
    return (Latent(*parts) for parts in zip(*(each.split(BLOCK) for each in z), strict=True))


def varied_codes(net: info_gan.InfoGAN, trial: Trial) -> Tensor:
    """Images in a block of rows for each code, which alone changes from column to column.

    First the code with values, at most as many as columns, for `ROWS` draws of all else; then each
    continuous code from -REACH to REACH, for `ROWS` values of the code.
    """
    base = net.draw(ROWS, trial.generator)
    across = torch.linspace(-REACH, REACH, COLUMNS, device=trial.device)

    def whole(code: Tensor, u: Tensor) -> Tensor:
        """Images of codes (ROWS, COLUMNS) and u (ROWS, COLUMNS, continuous)."""
        noise = base.noise.repeat_interleave(COLUMNS, 0)
        return net.generate(Latent(noise, code.flatten(), u.flatten(0, 1)))

    columns = torch.arange(COLUMNS, device=trial.device) % net.codes
    rows = torch.arange(ROWS, device=trial.device) % net.codes
    u = base.u[:, None].repeat(1, COLUMNS, 1)
    drawn = [whole(columns.expand(ROWS, -1), u)]
    for j in range(net.continuous):
        moved = torch.zeros_like(u)
        moved[:, :, j] = across
        drawn.append(whole(rows[:, None].expand(-1, COLUMNS), moved))
    return torch.cat(drawn)


def beside(settings: Beside, trial: Trial) -> Artifacts:
    """Learn a VAE; cluster its latents into as many clusters as classes, and match them."""
    data = labelled(trial.data, trial.device)
    train, evaluated = images(settings, trial)
    model = fit(settings, trial, train, evaluated)
    bounds(settings, trial, model, evaluated)
    score(trial, clusters(trial, model, data), data)
    return Artifacts(
        trial.tables(),
        {"varied": grey(varied_latents(model, evaluated["test"]), trial.data.shape)},
    )


def clusters(trial: Trial, model: VAE, data: Labelled) -> dict[str, Tensor]:
    """The cluster of each image's posterior mean, by k-means on those of training images."""
    from sklearn.cluster import KMeans

    means = {split: model.encoder(x).mean.double().cpu().numpy() for split, x in data.x.items()}
    found = KMeans(trial.data.classes, n_init=10, random_state=trial.seed).fit(means["train"])
    return {
        split: torch.from_numpy(found.predict(means[split])).long().to(trial.device)
        for split in ("validation", "test")
    }


def varied_latents(model: VAE, x: Tensor) -> Tensor:
    """As `varied_codes`: blocks of the three latents that differ most between images x, each in its
    turn changed from -REACH to REACH, for the first images."""
    mean = model.encoder(x).mean
    across = torch.linspace(-REACH, REACH, COLUMNS, device=x.device)
    drawn = []
    for j in mean.var(0).argsort(descending=True)[:3]:
        z = mean[:ROWS, None].repeat(1, COLUMNS, 1)
        z[:, :, j] = across
        drawn.append(model.decoder.mean(z.flatten(0, 1)))
    return torch.cat(drawn)


# --- what either side lends the other ------------------------------------------------------------


def gans(settings: Weighted, trial: Trial) -> Artifacts:
    """A GAN whose generated images count alike or by their weights, judged in features."""
    features = DigitFeatures(trial, settings.classifier_steps)
    data = labelled(trial.data, trial.device)
    shape, filters = trial.data.shape, settings.filters
    generator = ConvGenerator(settings.latent_dim, shape, filters=filters).to(trial.device)
    discriminator = ConvDiscriminator(shape, filters=filters).to(trial.device)
    objective = OBJECTIVES["importance_weighted" if settings.model == "iwgan" else "nonsaturating"]
    game = Game(
        generator, discriminator, objective, settings.rate, optimizer=partial(adam, betas=BETAS)
    )
    batches = Minibatches(data.x["train"], settings.batch, trial.generator)
    steps = settings.epochs * batches.per_epoch
    for _ in trial.steps(steps, phase="game", game=game, batches=batches):
        game.play(batches.draw()[0], noise(trial, settings.batch, settings.latent_dim))
    generator.eval()
    z = noise(trial, settings.judged, settings.latent_dim)
    made = torch.cat([generator(part) for part in z.split(BLOCK)])
    of_made, of_test = features(made), features(data.x["test"])
    trial.record(
        "judged",
        score=classifier_score(of_made.log_p),
        frechet=frechet_distance(of_made.hidden, of_test.hidden),
    )
    return Artifacts(trial.tables(), {"samples": grey(made[:SAMPLES], shape)})


def noise(trial: Trial, n: int, d: int) -> Tensor:
    """N(0, I), (n, d)."""
    return torch.randn(n, d, generator=trial.generator, device=trial.device)


def activated(settings: Activated, trial: Trial) -> Artifacts:
    """A VAE of few images, with or without an adversary that lets its own samples pass."""
    train, evaluated = images(settings, trial)
    rows = torch.randperm(len(train), generator=trial.generator, device=trial.device)
    train = train[rows[: round(settings.share * len(train))]]
    evaluated["train"] = bernoulli(train, trial.generator)
    learners: list[AdversaryActivated] = []

    def make(model: VAE, rate: float) -> AdversaryActivated:
        d = Discriminator(train.shape[1], settings.critic_hidden).to(trial.device)
        optimiser = OPTIMISERS[settings.optimiser]
        learners.append(
            AdversaryActivated(
                model, len(train), rate, trial.generator, d, settings.critic_rate, optimiser
            )
        )
        return learners[-1]

    model = fit(settings, trial, train, evaluated, make if settings.model == "aavae" else None)
    bounds(settings, trial, model, evaluated)
    for learner in learners:
        trial.record("activated", made=learner.made, kept=learner.kept / learner.made)
    return Artifacts(trial.tables())


# --- the lemmas ----------------------------------------------------------------------------------


def lemmas(settings: Lemmas, trial: Trial) -> Artifacts:
    """Gradients of both sides at random parameters; how far they are from each other."""
    data = trial.data
    if not isinstance(data, Mixture) or data.means.shape[1] != 1:
        raise BadInput(f"data {data.name}: this part needs a density on the line")
    for pair in trial.steps(settings.pairs):
        with torch.enable_grad():
            trial.record("gan", pair=pair, **of_a_gan(settings, trial, data.to(trial.device)))
            trial.record("vae", pair=pair, **of_a_vae(settings, trial))
    return Artifacts(trial.tables())


def of_a_gan(settings: Lemmas, trial: Trial, data: Mixture) -> dict[str, float]:
    """Lemma 1 at a random generator and discriminator, and with the best discriminator."""
    generator = MonotoneGenerator(settings.units, mean=0.0, slope=0.7).to(trial.device)
    d = nn.Sequential(
        nn.Linear(1, settings.critic_units), nn.Tanh(), nn.Linear(settings.critic_units, 1)
    ).to(trial.device, torch.float64)
    for net, spread in ((generator, 0.5), (d, 1.0)):
        for p in net.parameters():
            p.data.add_(spread * normal(trial, *p.shape))
    ends = generator(torch.tensor([[-FAR], [FAR]], dtype=torch.float64, device=trial.device))
    low, high = min(ends.min().item(), -FAR), max(ends.max().item(), FAR)
    over, over_z = (grid([a], [b], FINE, trial.device) for a, b in ((low, high), (-FAR, FAR)))
    log_data = data.log_density(over.points)
    at_start = copy.deepcopy(generator).requires_grad_(False)

    def logit(x: Tensor) -> Tensor:
        logits: Tensor = d(x)[:, 0]
        return logits

    def best(x: Tensor) -> Tensor:
        """The logit of p_data / (p_g + p_data), in which p_g stays as it is."""
        return data.log_density(x) - at_start.log_density(x)

    def gradient(value: Tensor) -> Tensor:
        parameters = list(generator.parameters())
        return flat(torch.autograd.grad(value, parameters, retain_graph=True))

    log_g, logits = generator.log_density(over.points), logit(over.points).detach()
    form = partial(one_family.lemma1, log_g, log_data, logits, over)
    left = gradient(one_family.generator_loss(logit, generator, over_z))
    left_of_best = gradient(one_family.generator_loss(best, generator, over_z))
    return {
        "gradient": left.norm().item(),
        "by_density": away(gradient(one_family.loss_by_density(log_g, logits, over)), left),
        "lemma1": away(gradient(form()), left),
        "half_jsd": away(gradient(form(share=0.5)), left),
        "moving": away(gradient(form(frozen=False)), left),
        "optimal_d": away(gradient(one_family.at_the_best(log_g, log_data, over)), left_of_best),
    }


def of_a_vae(settings: Lemmas, trial: Trial) -> dict[str, float]:
    """Lemma 2 at random p(x|z) and q(z|x) of binary units, with random data."""
    sizes = settings.visible, settings.latent
    x, z = (states(torch.arange(2**n), n).to(trial.device).double() for n in sizes)
    W, V = (normal(trial, *shape).requires_grad_() for shape in (sizes[::-1], sizes))
    b, c = (normal(trial, n).requires_grad_() for n in sizes)
    data = normal(trial, len(x)).softmax(0)
    log_z = normal(trial, len(z)).log_softmax(0)[:, None]
    log_joint = log_bernoulli(z @ W + b, x) + log_z
    tables = log_joint, log_bernoulli(x @ V + c, z).t(), data
    generated = log_joint.detach().exp().sum(0)
    other = normal(trial, len(z), len(x)).log_softmax(0)
    known = one_family.Known(generated, data.log() + log_z, other)
    theta, eta = [W, b], [V, c]

    def gradient(value: Tensor, of: list[Tensor]) -> Tensor:
        return flat(torch.autograd.grad(value, of, retain_graph=True))

    evidence, gap = one_family.evidence(log_joint, data), one_family.posterior_gap(*tables)
    left = {name: gradient(evidence - gap, of) for name, of in (("t", theta), ("e", eta))}
    joint, posterior = (one_family.lemma2(*tables, known, normalised=n) for n in (False, True))
    elsewhere = known._replace(generated=normal(trial, len(x)).softmax(0))
    moved = one_family.lemma2(*tables, elsewhere, normalised=True)
    return {
        "gradient": left["t"].norm().item(),
        "bound": abs((evidence - gap - one_family.bound(*tables)).item()),
        "lemma2": max(away(gradient(joint, of), left[k]) for k, of in (("t", theta), ("e", eta))),
        "posterior": away(gradient(posterior, theta), left["t"]),
        "elsewhere": away(gradient(moved, theta), left["t"]),
        "literal": away(gradient(-gap, theta), left["t"]),
    }


def normal(trial: Trial, *shape: int) -> Tensor:
    """N(0, 1), double precision."""
    kinds = {"generator": trial.generator, "device": trial.device}
    return torch.randn(shape, dtype=torch.float64, **kinds)  # type: ignore[call-overload,no-any-return]


def flat(gradients: tuple[Tensor, ...]) -> Tensor:
    return torch.cat([each.flatten() for each in gradients])


def away(found: Tensor, from_this: Tensor) -> float:
    """The distance of two gradients as a share of the second's length."""
    return ((found - from_this).norm() / from_this.norm()).item()
