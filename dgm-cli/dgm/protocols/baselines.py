"""Support vectors and nearest neighbours, their settings chosen on validation images."""

from typing import TYPE_CHECKING

from torch import Tensor, from_numpy

from dgm.data.labelled import Labelled, error_percent
from dgm.errors import check_enough
from dgm.models.neighbours import neighbours, vote
from dgm.protocols.settings.baselines import NeighbourSettings, SVMSettings
from dgm.trial.loop import Trial

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline
    from sklearn.svm import SVC


def fit_svm(settings: SVMSettings, trial: Trial, images: Labelled) -> Tensor:
    """Test predictions of the best kernel and C. Records "choice" (kernel, value, cost, error)."""
    there = len(images.x["train"])
    check_enough("choice_size", settings.choice_size, there, "training images")
    x, classes = (of["train"][: settings.choice_size].cpu().numpy() for of in images)
    validation = images.x["validation"].cpu().numpy()
    tried = [(*kernel, cost) for kernel in settings.kernels for cost in settings.costs]
    for i in trial.steps(len(tried), "choice"):
        predicted = support_vectors(*tried[i]).fit(x, classes).predict(validation)
        error = error_percent(from_numpy(predicted), images.classes["validation"].cpu())
        kernel, value, cost = tried[i]
        trial.record("choice", kernel=kernel, value=value, cost=cost, error=error)
    errors = trial.tables()["choice"]["error"]
    chosen = tried[int(errors.argmin())]
    trial.choose(kernel=chosen[0], value=chosen[1], cost=chosen[2])
    return svm_as_chosen(trial, images, images.x["test"])


def svm_as_chosen(trial: Trial, images: Labelled, x: Tensor) -> Tensor:
    """Predictions for x (n, visible) of the kernel and C that a trial chose, from all images."""
    every, classes_of_every = (of.cpu().numpy() for of in images.all)
    kernel, value, cost = (trial.chosen[name] for name in ("kernel", "value", "cost"))
    fitted = support_vectors(kernel, value, cost).fit(every, classes_of_every)
    return from_numpy(fitted.predict(x.cpu().numpy()))


def support_vectors(kernel: str, value: float, cost: float) -> "SVC | Pipeline":
    """A classifier with C = `cost` and one of the kernels:

    rbf         exp(-value |x - y|^2)
    poly        (x.y / (pixels * their variance over all images) + 1)^value
    unit_poly   ((x.y / (|x| |y|) + 1) / 2)^value,   DeCoste & Schoelkopf (2002)
    """
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import Normalizer
    from sklearn.svm import SVC

    if kernel == "rbf":
        return SVC(C=cost, kernel="rbf", gamma=value, cache_size=1000)
    gamma, one = ("scale", 1.0) if kernel == "poly" else (0.5, 0.5)
    machine = SVC(C=cost, kernel="poly", degree=int(value), gamma=gamma, coef0=one, cache_size=1000)
    return machine if kernel == "poly" else make_pipeline(Normalizer(), machine)


def fit_knn(settings: NeighbourSettings, trial: Trial, images: Labelled) -> Tensor:
    """Test predictions of the best k and distance. Records "choice" (power, k, error)."""
    there = len(images.x["train"])
    check_enough("most_neighbours", settings.most_neighbours, there, "training images")
    ks = range(1, settings.most_neighbours + 1)
    classes, truth = images.classes["train"].cpu(), images.classes["validation"].cpu()
    for i in trial.steps(len(settings.powers), "choice"):
        power = settings.powers[i]
        near = neighbours(images.x["train"], images.x["validation"], max(ks), power).cpu()
        for k in ks:
            error = error_percent(vote(classes[near[:, :k]], trial.data.classes), truth)
            trial.record("choice", power=power, k=k, error=error)
    choice = trial.tables()["choice"]
    best = choice.loc[choice["error"].idxmin()]
    power, k = int(best["power"]), int(best["k"])
    trial.choose(power=power, k=k)
    return knn_as_chosen(trial, images, images.x["test"])


def knn_as_chosen(trial: Trial, images: Labelled, x: Tensor) -> Tensor:
    """Predictions for x (n, visible) of the k and distance that a trial chose, from all images."""
    every, classes_of_every = images.all
    near = neighbours(every, x, trial.chosen["k"], trial.chosen["power"]).cpu()
    return vote(classes_of_every.cpu()[near], trial.data.classes)
