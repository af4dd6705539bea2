"""A deep autoencoder reconstructs digits from few numbers better than logistic PCA and PCA.

Hinton & Salakhutdinov (2006), Figure 2B. The net: `dgm.models.autoencoder`; its learning:
`dgm.protocols.fit_autoencoder`; PCA: `dgm.models.pca`.

All 60,000 images that are not for testing are learned from, as in the paper. A run chooses nothing;
settings were chosen with `judged: validation`, on validation images that were then left out.
"""

from collections.abc import Callable
from functools import partial

from torch import Tensor

from dgm.data.labelled import labelled
from dgm.data.shifted import shifted
from dgm.experiments.autoencoder_vs_pca.settings import AutoencoderRow, PCARow, Settings
from dgm.models.autoencoder import Autoencoder
from dgm.models.pca import PCA
from dgm.protocols.fit_autoencoder import best_codes, fit_autoencoder, squared_errors
from dgm.report.pixels import grey
from dgm.report.tables import Artifacts
from dgm.trial.loop import Trial
from dgm.trial.measured import Rows

BEST_CODES = "best_codes"  # the stage in which judged images' codes have been improved on
MEASURED = {"errors": Rows(("stage", "split"), ("squared_error",))}
Reconstruct = Callable[[Tensor], Tensor]  # of images (n, visible), as many


def run_trial(settings: Settings, trial: Trial) -> Artifacts:
    """Fit one row's learner, measure its error, and reconstruct an image of each class."""
    x, judged, _ = images(settings, trial)
    model: Autoencoder | PCA
    if isinstance(settings, PCARow):
        model = PCA(x.shape[1], settings.code, trial.device)
        model.fit(x)
    else:
        model = learn_autoencoder(settings, trial, x, judged)
    left = measure(settings, trial, model)
    return Artifacts(left.tables, left.arrays, {settings.learner: model})


def measure(
    settings: Settings, trial: Trial, model: Autoencoder | PCA, full: bool = True
) -> Artifacts:
    """The errors of a fitted model, and its reconstructions; not `full`: without better codes.

    Beside a split's mean error stand its images' number and standard deviation, and the errors of
    all judged images are kept ("test_values"): the mean has a standard error for being of so many.
    """
    x, judged, shown = images(settings, trial)
    arrays = {"original": grey(shown, trial.data.shape)}
    for stage, reconstruct in stages_of(model, settings if full else None).items():
        for split, of in (("train", x), (settings.judged, judged)):
            errors = squared_errors(of, reconstruct)
            row = {"squared_error": errors.mean().item(), "test_std": errors.std().item()}
            trial.record("errors", stage=stage, split=split, **row, images=len(of))
        ending = f"_{stage}" if stage else ""
        arrays[f"reconstructed{ending}"] = grey(reconstruct(shown), trial.data.shape)
        arrays[f"{settings.judged}{ending}_values"] = errors.float().cpu().numpy()
    return Artifacts(trial.tables(), arrays)


def images(settings: Settings, trial: Trial) -> tuple[Tensor, Tensor, Tensor]:
    """The images to learn from, those to judge by, and the first of these of each class."""
    found = labelled(trial.data, trial.device)
    x = found.all[0] if settings.judged == "test" else found.x["train"]
    judged, classes = found.x[settings.judged], found.classes[settings.judged]
    return x, judged, judged[[int((classes == c).nonzero()[0]) for c in classes.unique()]]


def learn_autoencoder(
    settings: AutoencoderRow, trial: Trial, x: Tensor, judged: Tensor
) -> Autoencoder:
    """A net fitted to x (N, visible); with a shift, images are moved anew at each visit."""
    varied = None
    if settings.shift:
        shape, generator = trial.data.shape, trial.generator
        varied = partial(shifted, shape=shape, most=settings.shift, generator=generator)
    return fit_autoencoder(settings, trial, x, {"train": x, settings.judged: judged}, varied=varied)


def stages_of(model: Autoencoder | PCA, settings: Settings | None) -> dict[str, Reconstruct]:
    """A model's reconstructions: from the encoder's codes, and from codes improved on in steps."""
    stages: dict[str, Reconstruct] = {"": model.reconstruct}
    if isinstance(model, Autoencoder) and isinstance(settings, AutoencoderRow):
        net, steps = model, settings.code_steps

        def from_best_codes(x: Tensor) -> Tensor:
            return net.decode(best_codes(net, x, steps)).sigmoid_()

        if steps:
            stages[BEST_CODES] = from_best_codes
    return stages
