"""A deep Boltzmann machine of MNIST digits: its bound, its samples, and the net tuned from it.

Salakhutdinov & Hinton (2009). The machine: `dgm.models.dbm`; its protocol: `dgm.protocols.fit_dbm`;
log Z: `dgm.inference.ais`. Given h_1 the other layers are summed out: annealing sees an RBM.
"""

import numpy as np
import torch
from torch import Tensor

from dgm.data.binarise import Binarization, binarise
from dgm.data.labelled import labelled
from dgm.experiments.dbm_mnist.settings import A_LINE, ACROSS, FILTERS_SHOWN, FRAMES, Settings
from dgm.fast.draws import bernoulli
from dgm.inference.ais import AIS, LogPartition, Reversed, from_above, schedule
from dgm.inference.deep_boltzmann import activity, classify, expected, posterior
from dgm.models.dbm import DBM, DBMClassifier, Layers
from dgm.models.rbm import MAX_UNITS, RBMPath, log_odds
from dgm.protocols.fit_dbm import fit_dbm, tune
from dgm.protocols.spacing import log_spaced
from dgm.report.pixels import grey
from dgm.report.tables import Artifacts
from dgm.state import State
from dgm.trial.loop import Trial
from dgm.trial.measured import IMAGES, Rows
from dgm.trial.snapshots import Seen

FEW = 10_000  # images learned from that the bound, the activities and the path's base are taken of
LESS = 10  # times fewer temperatures in the curve, and in a quick verification
DEAD = 0.01  # standard deviation over images below which a unit says nothing
APART = 0.3  # nats; what fewer temperatures may change

MEASURED = {
    "bound": Rows(("split",), ("bound", "gain"), within=APART),
    "partition": Rows(("direction",)),
    "units": Rows(("layer",)),
    "errors": Rows((), ("wrong",), within=IMAGES),
}


class Chains(State):
    """Gibbs chains, their layers saved."""

    def __init__(self, dbm: DBM, layers: Layers, generator: torch.Generator) -> None:
        self.dbm, self.generator = dbm, generator
        self.layers = tuple(layer.clone() for layer in layers)

    def step(self) -> None:
        self.layers, _ = self.dbm.gibbs(self.layers, 1, self.generator)

    def state_dict(self) -> dict[str, Tensor]:
        return {f"layer{number}": layer for number, layer in enumerate(self.layers)}


def run_trial(settings: Settings, trial: Trial) -> Artifacts:
    """Learn, tune the net where there are classes, and measure what came out."""
    learned, judged = images(settings, trial)
    kept = log_spaced(1, settings.joint_epochs, settings.evaluations)
    machines = fit_dbm(settings, trial, learned, kept)
    dbm = DBM([learned.shape[1], *settings.hidden], trial.device)
    for epoch, vector in zip(machines.steps, machines.vectors, strict=True):
        dbm.flat.copy_(vector)
        found = anneal(settings, trial, dbm, learned, f"ais_{epoch}", LESS)
        for split, row in bounds(settings, dbm, judged, found).items():
            trial.record("learning", epoch=epoch, split=split, **row)
    model: DBM | DBMClassifier = dbm
    if settings.tuning_epochs:
        model = tune(settings, trial, dbm, labelled(trial.data, trial.device))
    left = measure(settings, trial, model)
    return Artifacts(left.tables, left.arrays, {"dbm": model})


def measure(
    settings: Settings, trial: Trial, model: DBM | DBMClassifier, full: bool = True
) -> Artifacts:
    """The bound, the errors and the samples of a trained machine.

    Not `full`: with a tenth of the temperatures, nothing from above and no samples.
    """
    dbm = model.dbm if isinstance(model, DBMClassifier) else model
    learned, judged = images(settings, trial)
    found = anneal(settings, trial, dbm, learned, "ais", 1 if full else LESS)
    trial.record("partition", direction="below", **found._asdict())
    for split, row in bounds(settings, dbm, judged, found).items():
        trial.record("bound", split=split, **row)
    of_layers = activity(dbm, learned[:FEW], settings.judged_updates)
    for layer, (mean, std) in enumerate(of_layers, start=1):
        dead = int((std < DEAD).sum())
        trial.record("units", layer=layer, units=len(std), dead=dead, mean=mean.mean().item())
    if isinstance(model, DBMClassifier) and settings.learned == "all":
        count_errors(trial, model)
    if not full:
        return Artifacts(trial.tables())
    back = anneal_back(settings, trial, dbm, learned)
    trial.record("partition", direction="above", **back._asdict())
    if sum(map(len, dbm.b)) <= MAX_UNITS:
        compare(settings, trial, dbm, judged["train"], found)
    return Artifacts(trial.tables(), pictures(settings, trial, dbm, learned))


def images(settings: Settings, trial: Trial) -> tuple[Tensor, dict[str, Tensor]]:
    """What is learned from, and by split what is judged: some of these, and unseen ones."""
    data = trial.data
    whole = {"train": data.train, "validation": data.validation, "test": data.test}
    how: Binarization = "static" if settings.pixels == "binary" else "none"
    _, drawn = binarise(data.name, how, data.train, whole)
    x = {split: pixels.to(trial.device) for split, pixels in drawn.items()}
    everything = settings.learned == "all"
    learned = torch.cat([x["train"], x["validation"]]) if everything else x["train"]
    unseen = "test" if everything else "validation"
    return learned, {"train": learned[:FEW], unseen: x[unseen]}


def bounds(
    settings: Settings, dbm: DBM, judged: dict[str, Tensor], found: LogPartition
) -> dict[str, dict[str, float]]:
    """By split the mean bound on log p(v), with the interval that log Z's gives it; what mean field
    gains over a pass up; and the images' number and standard deviation."""
    rows = {}
    for split, x in judged.items():
        values, at_start = expected(dbm, x, settings.judged_updates)
        mean = values.double().mean().item()
        rows[split] = {
            "bound": mean - found.log_partition,
            "low": mean - found.high,
            "high": mean - found.low,
            "gain": (values - at_start).double().mean().item(),
            "test_std": values.std().item(),
            "images": len(x),
        }
    return rows


# --- log Z ----------------------------------------------------------------------------------------


def anneal(
    settings: Settings, trial: Trial, dbm: DBM, learned: Tensor, phase: str, less: int = 1
) -> LogPartition:
    """log Z by AIS, with `less` times fewer temperatures."""
    path, betas = path_of(dbm, learned), temperatures(settings, less)
    return run(trial, phase, AIS(path, betas, settings.ais_chains, trial.generator))


def anneal_back(settings: Settings, trial: Trial, dbm: DBM, learned: Tensor) -> LogPartition:
    """log Z from above, back from chains that began at images and made `mixing_steps`.

    It would be too high on average if these were the machine's own samples. They are nearly that,
    as far as the chains mix.
    """
    v = learned[torch.arange(settings.ais_chains) % len(learned)]
    chains = begun_at(dbm, v, trial.generator)
    for _ in trial.steps(settings.mixing_steps, "mixing", chains=chains):
        chains.step()
    path = path_of(dbm, learned)
    samples = path.from_samples(torch.cat(chains.layers[1::2], 1))
    betas = temperatures(settings, 1).flip(0)
    back = AIS(Reversed(path, samples), betas, settings.ais_chains, trial.generator)
    return from_above(path, run(trial, "ais_back", back))


def run(trial: Trial, phase: str, ais: AIS) -> LogPartition:
    for step in trial.steps(ais.steps, phase, ais=ais):
        ais.update(step)
    return ais.result()


def path_of(dbm: DBM, learned: Tensor) -> RBMPath:
    """It begins where the odd layers' units are on as often as they are for images, independently;
    the even layers, v among them, are summed out."""
    means = posterior(dbm, learned[:FEW], 10)[0]
    return RBMPath(dbm.as_rbm(), log_odds(torch.cat(means[::2], 1)))


def temperatures(settings: Settings, less: int) -> Tensor:
    parts = [(max(1, n // less), start, end) for n, start, end in settings.ais_schedule]
    return schedule(*parts)


# --- what else there is to see --------------------------------------------------------------------


def count_errors(trial: Trial, model: DBMClassifier) -> None:
    """Record how many test images the net takes for another class."""
    known = labelled(trial.data, trial.device)
    wrong = int((classify(model, known.x["test"]) != known.classes["test"]).sum())
    trial.record("errors", wrong=wrong, images=len(known.x["test"]))


def compare(settings: Settings, trial: Trial, dbm: DBM, x: Tensor, found: LogPartition) -> None:
    """Record the exact log Z, log-likelihood and bound of x, and whether no image's bound is above
    its log-likelihood."""
    log_z = dbm.log_partition()
    log_likelihood = dbm.log_unnormalised(x) - log_z
    bound = expected(dbm, x, settings.judged_updates)[0].double() - log_z
    trial.record(
        "exact",
        log_partition=log_z,
        by_ais=found.log_partition,
        log_likelihood=log_likelihood.mean().item(),
        bound=bound.mean().item(),
        least_gap=(log_likelihood - bound).min().item(),
    )


def begun_at(dbm: DBM, v: Tensor, generator: torch.Generator) -> Chains:
    """Chains at v and hidden states drawn by a pass up."""
    return Chains(dbm, (v, *(bernoulli(mean, generator) for mean in dbm.up(v))), generator)


def pictures(settings: Settings, trial: Trial, dbm: DBM, learned: Tensor) -> dict[str, np.ndarray]:
    """Samples, the film of chains from noise, images of training, and what units see."""
    shape, n = trial.data.shape, A_LINE**2
    noise = bernoulli(torch.full_like(learned[:1].expand(n, -1), 0.5), trial.generator)
    chains = begun_at(dbm, noise, trial.generator)
    film = Seen(FRAMES, ACROSS**2, noise.shape[1], trial.device)
    filmed = FRAMES * settings.film_steps
    for step in trial.steps(filmed, "film", chains=chains, film=film):
        if step % settings.film_steps == 0:
            film.images[step // settings.film_steps] = dbm.mean(0, chains.layers)[: ACROSS**2]
        chains.step()
    for _ in trial.steps(settings.mixing_steps, "samples", chains=chains):
        chains.step()
    first, *others = dbm.W
    second = first @ others[0]  # what the second layer's units see through the first
    return {
        "samples": grey(dbm.mean(0, chains.layers), shape),
        "training": grey(learned[torch.arange(n) % len(learned)], shape),
        "film": grey(film.images.flatten(0, 1), shape),
        "filters_1": seen_by(first, shape),
        "filters_2": seen_by(second, shape),
    }


def seen_by(W: Tensor, shape: tuple[int, int]) -> np.ndarray:
    """Weights to the pixels, (visible, units), grey at zero, black and white at their extremes."""
    weights = W[:, :FILTERS_SHOWN].t()
    return grey(0.5 + 0.5 * weights / weights.abs().amax(1, keepdim=True).clamp_min(1e-30), shape)
