"""A deep belief net generates digits of a clamped label, and recognises digits far from any seen.

Hinton, Osindero & Teh (2006), Figure 8 and the figures of section 7, from the net that
`dbn_mnist_error` trained. The chains: `dgm.inference.top_chains`.
"""

import numpy as np
import torch
from torch import Tensor

from dgm.data.labelled import labelled
from dgm.experiments.dbn_samples.settings import A_LINE, FRAMES, Settings
from dgm.inference.top_chains import TopChains
from dgm.models.dbn import DBN
from dgm.models.neighbours import classify, nearest_distance
from dgm.models.rbm import one_hot
from dgm.report.pixels import grey
from dgm.report.tables import Artifacts
from dgm.trial.loop import Trial
from dgm.trial.measured import IMAGES, Rows
from dgm.trial.snapshots import Seen

UNUSUAL = 100  # digits shown that are recognised though far from all that the net learned from


MEASURED = {
    "judged": Rows(("sample", "label"), ("agree",), within=0.1),
    "judge": Rows((), ("errors",), within=IMAGES),
    "recognised": Rows((), ("errors",), within=IMAGES),
}


def run_trial(settings: Settings, trial: Trial) -> Artifacts:
    """Samples of every label with a judge's verdict, a film, and digits recognised or mistaken."""
    return measure(settings, trial, trial.model("dbn"))


def measure(settings: Settings, trial: Trial, net: DBN, full: bool = True) -> Artifacts:
    """The same, of the net that the trial starts from, and how often the judge itself errs. Not
    `full`: the first samples alone, and no pictures."""
    images, shape = labelled(trial.data, trial.device), trial.data.shape
    n = settings.chains * net.top.labels
    wanted = torch.arange(net.top.labels, device=trial.device).repeat_interleave(settings.chains)

    clamped = TopChains(net, n, trial.generator, one_hot(wanted, net.top.labels))
    samples = watch(trial, "clamped", clamped, A_LINE if full else 1, settings.between)
    judge = images.x["train"], images.classes["train"].cpu()
    for number, seen in enumerate(samples, start=1):
        agree = classify(*judge, seen) == wanted.cpu()
        for label in range(net.top.labels):
            share = agree[wanted.cpu() == label].float().mean().item()
            trial.record("judged", sample=number, label=label, agree=share)

    x, truth = images.x["test"], images.classes["test"]
    mistaken = (classify(*judge, x) != truth.cpu()).sum().item()
    trial.record("judge", errors=mistaken, images=len(x))
    found = net.classify(x)
    right, wrong = (torch.nonzero(mask)[:, 0] for mask in (found == truth, found != truth))
    distance = nearest_distance(images.all[0], x[right])
    unusual = right[distance.argsort(descending=True)[:UNUSUAL]]
    trial.record(
        "recognised",
        errors=len(wrong),
        images=len(x),
        least_distance_shown=distance.sort(descending=True)[0][:UNUSUAL].min().item(),
        mean_distance=distance.mean().item(),
    )
    if not full:
        return Artifacts(trial.tables())
    free = TopChains(net, 1, trial.generator)
    film = watch(trial, "free", free, FRAMES, settings.film_steps)
    arrays = {
        "clamped": grey(samples[:, :: settings.chains].transpose(0, 1).flatten(0, 1), shape),
        "film": grey(film[:, 0], shape),
        "unusual": grey(x[unusual], shape),
        "unusual_truth": truth[unusual].cpu().numpy().astype(np.uint8),
        "mistaken": grey(x[wrong], shape),
        "mistaken_for": found[wrong].cpu().numpy().astype(np.uint8),
        "mistaken_truth": truth[wrong].cpu().numpy().astype(np.uint8),
    }
    return Artifacts(trial.tables(), arrays)


def watch(trial: Trial, phase: str, chains: TopChains, moments: int, between: int) -> Tensor:
    """The chains' images after every `between` steps: (moments, n, visible)."""
    seen = Seen(moments, len(chains.v), chains.net.visible, trial.device)
    for step in trial.steps(moments * between, phase, chains=chains, seen=seen):
        chains.step()
        if (step + 1) % between == 0:
            seen.images[step // between] = chains.images()
    return seen.images
