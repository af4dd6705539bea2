"""Support vectors and nearest neighbours from scikit-learn, their settings chosen on validation."""

from typing import TYPE_CHECKING, Annotated, Literal

import pydantic
from pydantic import Field
from torch import Tensor, from_numpy

from dgm.data.labelled import Labelled, percent_wrong
from dgm.models.neighbours import neighbours, vote
from dgm.recipe.schema import TrialSettings
from dgm.trial.loop import Trial

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline
    from sklearn.svm import SVC


class BaselineSettings(TrialSettings):
    """What there is to choose from."""

    kernels: list[tuple[Literal["rbf", "poly", "unit_poly"], float]] = Field(
        [("rbf", 0.02), ("rbf", 0.03), ("poly", 4)],
        min_length=1,
        description="svm: rbf with its gamma; poly, or unit_poly of images of length 1, with its "
        "degree",
    )
    costs: list[Annotated[float, Field(gt=0)]] = Field(
        [3.0, 10.0, 30.0], min_length=1, description="svm: C"
    )
    choice_size: int = Field(
        10_000, gt=0, description="svm: the first so many training images, to choose by"
    )
    powers: list[Annotated[int, Field(ge=1)]] = Field(
        [1, 2, 3], min_length=1, description="knn: p of the distance sum_i |x_i - y_i|^p"
    )
    most_neighbours: int = Field(10, gt=0, description="knn: k from 1 up to this")

    @pydantic.model_validator(mode="after")
    def _kernels_there_are(self) -> "BaselineSettings":
        for kernel, value in self.kernels:
            if value <= 0 or (kernel != "rbf" and value != int(value)):
                raise ValueError(f"kernels: [{kernel}, {value:g}] has no such gamma or degree")
        return self


def fit_svm(settings: BaselineSettings, trial: Trial, images: Labelled) -> Tensor:
    """Test predictions of the best kernel and C. Records "choice" (kernel, value, cost, error)."""
    x, classes = (of["train"][: settings.choice_size].cpu().numpy() for of in images)
    validation = images.x["validation"].cpu().numpy()
    tried = [(*kernel, cost) for kernel in settings.kernels for cost in settings.costs]
    for i in trial.steps(len(tried), "choice"):
        predicted = support_vectors(*tried[i]).fit(x, classes).predict(validation)
        error = percent_wrong(from_numpy(predicted), images.classes["validation"].cpu())
        kernel, value, cost = tried[i]
        trial.record("choice", kernel=kernel, value=value, cost=cost, error=error)
    errors = trial.tables()["choice"]["error"]
    chosen = tried[int(errors.argmin())]
    trial.choose(kernel=chosen[0], value=chosen[1], cost=chosen[2])
    every, every_class = (of.cpu().numpy() for of in images.all)
    fitted = support_vectors(*chosen).fit(every, every_class)
    return from_numpy(fitted.predict(images.x["test"].cpu().numpy()))


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


def fit_knn(settings: BaselineSettings, trial: Trial, images: Labelled) -> Tensor:
    """Test predictions of the best k and distance. Records "choice" (power, k, error)."""
    ks = range(1, settings.most_neighbours + 1)
    classes, truth = images.classes["train"].cpu(), images.classes["validation"].cpu()
    for i in trial.steps(len(settings.powers), "choice"):
        power = settings.powers[i]
        near = neighbours(images.x["train"], images.x["validation"], max(ks), power).cpu()
        for k in ks:
            error = percent_wrong(vote(classes[near[:, :k]], trial.data.classes), truth)
            trial.record("choice", power=power, k=k, error=error)
    choice = trial.tables()["choice"]
    best = choice.loc[choice["error"].idxmin()]
    power, k = int(best["power"]), int(best["k"])
    trial.choose(power=power, k=k)
    every, every_class = images.all
    near = neighbours(every, images.x["test"], k, power).cpu()
    return vote(every_class.cpu()[near], trial.data.classes)
