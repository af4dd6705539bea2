"""Features of digits, in which generated images are judged: those of a classifier trained here.

The Inception net, in whose features Frechet distances are usually reported, is of photographs and
is not trained here. So numbers in these features are for comparison with one another alone.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from dgm.data.batches import Minibatches
from dgm.data.labelled import error_percent, labelled
from dgm.models.conv_classifier import ConvClassifier
from dgm.trial.loop import Trial

SEED = 0  # of the classifier, whatever the trial's: all trials are judged by the same one
STEPS, BATCH, RATE = 2000, 100, 2e-3  # the rate at first; it falls to 0
BLOCK = 1000  # images that pass the net at once


class Features(NamedTuple):
    """What a classifier makes of images."""

    hidden: Tensor  # (n, features), double precision
    log_p: Tensor  # (n, classes), of each class


class DigitFeatures:
    """A classifier trained on a data set with classes; BadInput where there are none.

    Records "classifier" (test_error in percent). It is trained once a trial.
    """

    def __init__(self, trial: Trial, steps: int = STEPS) -> None:
        data = labelled(trial.data, trial.device)
        x, classes = data.x["train"], data.classes["train"]
        with torch.random.fork_rng(devices=[]):  # the trial's own draws stay as they are
            torch.manual_seed(SEED)
            net = ConvClassifier(trial.data.shape, trial.data.classes).to(trial.device)
        self.net = net
        generator = torch.Generator(trial.device).manual_seed(SEED)
        optimizer = torch.optim.Adam(net.parameters(), RATE, fused=True)
        batches = Minibatches(x, BATCH, generator)
        state: dict[str, Any] = {
            "net": net,
            "optimizer": optimizer,
            "batches": batches,
            "draws": _Draws(generator),
        }
        for step in trial.steps(steps, phase="classifier", **state):
            for group in optimizer.param_groups:
                group["lr"] = RATE * (1 - step / steps)
            images, rows = batches.draw()
            with torch.enable_grad():
                loss = cross_entropy(net(images), classes[rows])
                optimizer.zero_grad()
                loss.backward()
            optimizer.step()
        net.eval()
        found = self(data.x["test"]).log_p.argmax(1)
        trial.record("classifier", test_error=error_percent(found, data.classes["test"]))

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Features:
        """Of images (n, pixels) in [0, 1]."""
        parts = [self.net.features(part) for part in x.split(BLOCK)]
        logits = [self.net.output(part) for part in parts]
        log_p = torch.cat(logits).double().log_softmax(1)
        return Features(torch.cat(parts).double(), log_p)


class _Draws:
    """A generator of its own, saved with the loop."""

    def __init__(self, generator: torch.Generator) -> None:
        self.generator = generator

    def state_dict(self) -> dict[str, Tensor]:
        return {"state": self.generator.get_state()}

    def load_state_dict(self, state: dict[str, Tensor], /) -> None:
        self.generator.set_state(state["state"])
