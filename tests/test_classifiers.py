"""Learners of classes: gradients, minibatches, nearest neighbours, and the counting of errors."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pydantic
import pytest
import torch
from scipy import stats
from torch import Tensor

from dgm import data
from dgm.data.batches import Minibatches
from dgm.data.dataset import Dataset
from dgm.data.labelled import labelled, percent_wrong
from dgm.errors import BadInput
from dgm.experiments.dbn_mnist_error import trial as dbn_mnist_error
from dgm.experiments.dbn_mnist_error.trial import count, mcnemar
from dgm.learning.backprop import Backprop
from dgm.learning.up_down import UpDown
from dgm.learning.weight_prior import NO_PRIOR, WeightPrior
from dgm.models.classifier import Classifier
from dgm.models.dbn import DBN
from dgm.models.neighbours import classify, neighbours, vote
from dgm.models.rbm import RBM, one_hot
from dgm.protocols import fit_classifier, fit_dbn, fit_rbm
from dgm.protocols.baselines import BaselineSettings, support_vectors
from dgm.report.tables import Artifacts
from dgm.trial.loop import Trial


@pytest.mark.parametrize("units", ["logistic", "tanh"])
def test_the_classifiers_gradient_is_autograds(units: str) -> None:
    generator = torch.Generator().manual_seed(0)
    net = Classifier([6, 5, 4, 3], units)  # type: ignore[arg-type]
    net.initialise(generator)
    x = torch.rand(7, 6, generator=generator)
    labels = torch.tensor([0, 1, 2, 2, 1, 0, 0])
    loss = net.backward(x, labels)

    squash = {"logistic": torch.sigmoid, "tanh": torch.tanh}[units]
    parts = [(layer.W.clone(), layer.b.clone()) for layer in net.mlp.layers]
    for part in parts:
        for tensor in part:
            tensor.requires_grad_()
    h = x
    for W, b in parts[:-1]:
        h = squash(h @ W + b)
    W, b = parts[-1]
    expected = torch.nn.functional.cross_entropy(h @ W + b, labels)
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    for layer, (W, b) in zip(net.mlp.layers, parts, strict=True):
        assert W.grad is not None and b.grad is not None
        torch.testing.assert_close(layer.dW, -W.grad, atol=1e-6, rtol=1e-4)
        torch.testing.assert_close(layer.db, -b.grad, atol=1e-6, rtol=1e-4)


def test_backprop_is_the_two_recursions() -> None:
    generator = torch.Generator().manual_seed(0)
    net = Classifier([4, 5, 3])
    net.initialise(generator)
    x, labels = torch.rand(6, 4, generator=generator), torch.tensor([2, 0, 1, 1, 2, 0])
    learner = Backprop(net, labels, rate=0.3, momentum=0.8, decay=0.01)
    theta, velocity = net.flat.clone(), torch.zeros_like(net.flat)
    for rows in (torch.tensor([0, 1, 2]), torch.tensor([3, 4, 5])):
        learner.update(x[rows], rows)
        velocity = 0.8 * velocity + 0.3 * (net.parameters.gradient - 0.01 * theta)
        theta = theta + velocity
        torch.testing.assert_close(net.flat, theta)


def test_a_prior_pulls_at_the_first_layer_alone() -> None:
    """Oracle: the gradient without it, and that of the prior, which has a test of its own."""
    generator = torch.Generator().manual_seed(0)
    x, labels = torch.rand(6, 6, generator=generator), torch.tensor([2, 0, 1, 1, 2, 0])
    prior, steps = WeightPrior(smoothness=0.1, shape=(2, 3)), []
    net = Classifier([6, 5, 3])
    net.initialise(generator)
    start = net.flat.clone()
    pull = torch.zeros(6, 5)
    prior.add_gradient(net.mlp.layers[0].W, pull)
    for of in (NO_PRIOR, prior):
        net.flat.copy_(start)
        Backprop(net, labels, rate=1.0, momentum=0.0, decay=0.0, prior=of).update(
            x, torch.arange(6)
        )
        steps.append(net.flat - start)
    difference = steps[1] - steps[0]
    torch.testing.assert_close(difference[:30].view(6, 5), pull, atol=1e-6, rtol=1e-4)
    assert pull.abs().min() > 1e-4 and (difference[30:] == 0).all()


def test_outputs_learn_alone_at_first_and_so_on_after_a_halt() -> None:
    generator = torch.Generator().manual_seed(0)
    nets = [Classifier([4, 5, 3]) for _ in range(2)]
    nets[0].initialise(generator)
    nets[1].flat.copy_(nets[0].flat)
    x, labels = torch.rand(6, 4, generator=generator), torch.tensor([2, 0, 1, 1, 2, 0])
    options = {"rate": 0.3, "momentum": 0.8, "decay": 0.01, "outputs_alone": 2}
    learner, other = (Backprop(net, labels, **options) for net in nets)  # type: ignore[arg-type]
    rows = torch.arange(6)
    hidden = nets[0].mlp.layers[0].W.clone()
    outputs = nets[0].mlp.layers[1]
    theta = torch.cat([outputs.W.flatten(), outputs.b])
    velocity = torch.zeros_like(theta)
    for _ in range(2):
        learner.update(x, rows)
        gradient = torch.cat([outputs.dW.flatten(), outputs.db])
        velocity = 0.8 * velocity + 0.3 * (gradient - 0.01 * theta)
        theta = theta + velocity
        torch.testing.assert_close(torch.cat([outputs.W.flatten(), outputs.b]), theta)
        assert torch.equal(nets[0].mlp.layers[0].W, hidden)
    nets[1].flat.copy_(nets[0].flat)
    other.load_state_dict(learner.state_dict())
    for each in (learner, other):
        each.update(x, rows)
    assert not torch.equal(nets[0].mlp.layers[0].W, hidden)
    assert torch.equal(nets[0].flat, nets[1].flat)


def test_a_stack_fills_the_hidden_layers_alone() -> None:
    generator = torch.Generator().manual_seed(0)
    net = Classifier([6, 5, 4, 3])
    net.initialise(generator)
    outputs = net.mlp.layers[-1].W.clone()
    rbms = [RBM(6, 5), RBM(5, 4)]
    for rbm in rbms:
        rbm.flat.normal_(generator=generator)
    net.stack(rbms)
    x = torch.rand(3, 6, generator=generator)
    h = rbms[1].hidden_mean(rbms[0].hidden_mean(x))
    torch.testing.assert_close(net.mlp.hidden(x)[-1], h)
    assert torch.equal(net.mlp.layers[-1].W, outputs)


def test_balanced_minibatches_have_every_class_alike() -> None:
    classes = torch.tensor([0] * 70 + [1] * 20 + [2] * 10)
    x = torch.arange(100.0)[:, None]
    batches = Minibatches(x, 30, torch.Generator().manual_seed(0), classes=classes)
    assert batches.per_epoch == 3
    seen: list[int] = []
    for _ in range(batches.per_epoch):
        rows, indices = batches.draw()
        assert torch.equal(rows[:, 0], indices.float())
        assert torch.bincount(classes[indices]).tolist() == [10, 10, 10]
        seen += indices.tolist()
    of_class = [[i for i in seen if classes[i] == c] for c in range(3)]
    assert len(set(of_class[0])) == 30  # of a frequent class no image twice
    assert set(of_class[2]) == set(range(90, 100))  # of a rare one all, each three times
    assert {of_class[2].count(i) for i in range(90, 100)} == {3}
    first = list(seen)
    seen = [int(i) for _ in range(3) for i in batches.draw()[1]]
    assert seen != first


def test_more_classes_than_labels_are_refused() -> None:
    assert one_hot(torch.tensor([1, 0]), 3).tolist() == [[0, 1, 0], [1, 0, 0]]
    with pytest.raises(ValueError, match="class 3 with 3 label units"):
        one_hot(torch.tensor([1, 3]), 3)


@pytest.mark.parametrize("power", [1, 2, 3])
def test_neighbours_are_scipys(power: int) -> None:
    from scipy.spatial.distance import cdist

    generator = torch.Generator().manual_seed(0)
    train, x = torch.rand(600, 9, generator=generator), torch.rand(130, 9, generator=generator)
    found = neighbours(train, x, 4, power)
    distances = cdist(x.numpy().astype(float), train.numpy().astype(float), "minkowski", p=power)
    assert np.array_equal(found.numpy(), distances.argsort(1)[:, :4])
    with pytest.raises(BadInput, match="601 neighbours among 600 images"):
        neighbours(train, x, 601, power)


def test_the_judge_votes_as_scikit_learns() -> None:
    from sklearn.neighbors import KNeighborsClassifier

    digits = data.load("digits")
    labels = digits.labels["train"]
    theirs = KNeighborsClassifier(3, algorithm="brute").fit(digits.train.numpy(), labels.numpy())
    ours = classify(digits.train, labels, digits.test)
    assert np.array_equal(ours.numpy(), theirs.predict(digits.test.numpy()))
    assert vote(torch.tensor([[2, 1, 1], [2, 0, 1]]), 3).tolist() == [1, 0]


@pytest.mark.parametrize("kernel", [("poly", 4.5), ("unit_poly", 0), ("rbf", -0.1)])
def test_kernels_that_there_are_not(kernel: tuple[str, float]) -> None:
    with pytest.raises(pydantic.ValidationError, match="has no such gamma or degree"):
        BaselineSettings.model_validate({"kernels": [kernel]})


@pytest.mark.parametrize("kernel, value", [("rbf", 0.5), ("poly", 4), ("unit_poly", 9)])
def test_support_vectors_are_of_the_stated_kernel(kernel: str, value: float) -> None:
    """Oracle: scikit-learn's machine, given the matrix of the kernel's equation."""
    from sklearn.svm import SVC

    digits = data.load("digits")
    train, test = (x.numpy().astype(float) for x in (digits.train[:300], digits.test))
    classes = digits.labels["train"][:300].numpy()

    def matrix(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        if kernel == "rbf":
            return np.exp(-value * ((x[:, None] - y) ** 2).sum(2))
        if kernel == "poly":
            return (x @ y.T / (train.shape[1] * train.var()) + 1) ** value
        lengths = [np.sqrt((of**2).sum(1)) for of in (x, y)]
        return ((x @ y.T / np.outer(*lengths) + 1) / 2) ** value

    ours = support_vectors(kernel, value, 3.0).fit(train, classes).decision_function(test)
    theirs = SVC(C=3.0, kernel="precomputed").fit(matrix(train, train), classes)
    np.testing.assert_allclose(ours, theirs.decision_function(matrix(test, train)), atol=5e-3)


def test_counting() -> None:
    """Oracle: the quantiles of the beta distribution; and the binomial test by hand."""
    found = count(125, 10_000)
    assert found["error"] == 1.25
    assert found["low"] == pytest.approx(100 * stats.beta.ppf(0.025, 125, 9876))
    assert found["high"] == pytest.approx(100 * stats.beta.ppf(0.975, 126, 9875))
    a = np.array([True] * 6 + [False] * 94)
    b = np.array([False] * 5 + [True] * 2 + [False] * 93)
    # 5 images only a gets wrong, 1 only b: 2 (1 + 6) / 2^6
    assert mcnemar(a, b) == pytest.approx(14 / 64)
    assert mcnemar(a, a) == 1.0


def test_percent_wrong() -> None:
    assert percent_wrong(torch.tensor([1, 2, 3, 4]), torch.tensor([1, 2, 3, 0])) == 25


def test_bad_images_are_refused() -> None:
    def images(pixels: Tensor, classes: int = 2) -> Dataset:
        labels = {split: torch.tensor([0, 1]) for split in ("train", "validation", "test")}
        return Dataset("x", pixels, pixels, pixels, (1, 2), labels, classes)

    cpu = torch.device("cpu")
    good = labelled(images(torch.rand(2, 2)), cpu)
    assert len(good.all[0]) == len(good.all[1]) == 4
    with pytest.raises(BadInput, match=r"x/train: pixels from 0 to 2, not in \[0, 1\]"):
        labelled(images(torch.tensor([[0.0, 1.0], [2.0, 0.0]])), cpu)
    with pytest.raises(BadInput, match="x: has no classes"):
        labelled(images(torch.rand(2, 2), classes=0), cpu)


def test_every_two_rows_are_compared_on_the_same_images() -> None:
    """Rows without chance have one seed and stand beside every seed of the others."""
    truth = np.zeros(8, np.uint8)
    guesses = {
        "row=svm,seed=0": np.array([1, 0, 0, 0, 0, 0, 0, 0], np.uint8),
        "row=backprop_1000,seed=0": np.array([0, 1, 1, 1, 1, 1, 1, 0], np.uint8),
        "row=backprop_1000,seed=1": np.array([0, 1, 1, 1, 1, 1, 0, 0], np.uint8),
        "row=knn,seed=0": np.array([1, 0, 0, 0, 0, 0, 0, 0], np.uint8),
        "row=dbn_backprop,seed=0": np.array([0, 1, 0, 0, 0, 0, 0, 1], np.uint8),
        "row=dbn_backprop,seed=1": np.array([0, 1, 1, 0, 0, 0, 0, 0], np.uint8),
    }
    columns = {"data": "mnist", "row": "svm", "seed": 0, "stage": "final", "error": 12.5}
    found = dbn_mnist_error.summarise(
        Artifacts(
            {"errors": pd.DataFrame([columns])},
            {"predicted_final": guesses, "truth": dict.fromkeys(guesses, truth)},
        )
    )
    values = {(metric, seed): value for metric, seed, value in found}
    assert values["test_error/svm", 0] == 12.5
    # The least sure of the seeds: svm errs on 1 image more and 6 fewer than one, 5 than the other.
    name = "mcnemar_p/svm/backprop_1000"
    assert values[name, 0] == pytest.approx(2 * (1 + 6) / 2**6)
    assert (name, 1) not in values
    # Two rows of two seeds, seed by seed: on 1 image more and 5 fewer, on none more and 3 fewer.
    # The first seed of one and the second of the other, 1 and 4, would be less sure.
    name = "mcnemar_p/dbn_backprop/backprop_1000"
    assert values[name, 0] == pytest.approx(2 / 2**3)


LITTLE: dict[str, dict[str, object]] = {
    "generative": {
        "hidden": [12, 12, 20],
        "train_size": 300,
        "greedy_epochs": 2,
        "gibbs_steps": [1, 2],
        "up_down_epochs": 2,
        "up_down_persistent": True,
        "last_epochs": 3,
    },
    "backprop": {
        "layers": [12, 9],
        "pretrained": True,
        "greedy_epochs": 1,
        "rates": [0.05, 0.2],
        "backprop_epochs": 2,
    },
}


@pytest.mark.parametrize(("on_all", "last"), [([1.5, 1.0, 0.5], 2), ([1.5, 1.4, 1.3], 3)])
@pytest.mark.parametrize("fresh", [0.3, 1.0])
def test_the_generative_nets_protocol(
    on_all: list[float], last: int, fresh: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With errors that are made up: the epoch best on validation images goes on, as the average
    that it was, and stops where the training error is what it had been, or at the cap."""
    on_validation, aim = [5.0, 4.0, 2.0, 3.0, 2.5], 1.0  # before up-down and after its 4 epochs
    made_up = iter([*on_validation, aim, *on_all])
    judged: list[Tensor] = []  # each net that classified something
    learned: list[Tensor] = []  # the net that learns, at each epoch's end
    classify, update = DBN.classify, UpDown.update

    def classified(net: DBN, x: Tensor) -> Tensor:
        judged.append(net.flat.clone())
        return classify(net, x)

    def updated(learner: UpDown, x: Tensor, indices: Tensor) -> Tensor:
        error = update(learner, x, indices)
        learned.append(learner.dbn.flat.clone())
        return error

    monkeypatch.setattr(DBN, "classify", classified)
    monkeypatch.setattr(UpDown, "update", updated)
    monkeypatch.setattr(fit_dbn, "percent_wrong", lambda *_: next(made_up))
    images = labelled(data.load("digits"), torch.device("cpu"))
    size, everything = 300, len(images.all[0])
    values = LITTLE["generative"] | {"batch": 150, "fresh": fresh}
    settings = dbn_mnist_error.Settings.model_validate(values)
    trial = Trial("t", data.load("digits"), 3, tmp_path)
    net, predicted = fit_dbn.fit_dbn(settings, trial, images)

    _, start, *averages = judged[:6]
    ends = learned[size // 150 - 1 :: size // 150][:4]
    for before, after, end in zip([start, *averages], averages, ends, strict=False):
        torch.testing.assert_close(after, before.lerp(end, fresh))
    selected, of_aim, *last_averages, final = judged[6:]
    assert torch.equal(selected, averages[1])
    assert torch.equal(of_aim, selected)
    assert len(last_averages) == last
    updates = everything // 150
    first_end = learned[4 * (size // 150) + updates - 1]
    torch.testing.assert_close(last_averages[0], selected.lerp(first_end, fresh))
    assert torch.equal(final, last_averages[-1])
    assert torch.equal(net.flat, final)
    assert set(predicted) == {"greedy", "selected", "up_down"}
    assert trial.chosen == {"chosen_epoch": 2, "training_error": aim, "last_epochs": last}
    curves = trial.tables()["curves"]
    assert list(curves["error"]) == [*on_validation, *on_all[:last]]


def test_rate_and_decay_are_chosen_by_the_last_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With errors that are made up; and a stack's layers see what `greedy_drawn` says."""
    by_choice = [[9.0, 4.0], [1.0, 3.0], [2.0, 2.5], [8.0, 5.0]]  # of two epochs each
    made_up = iter([e for first, end in by_choice for e in (first, end, end)] + [0.5, 0.4])
    monkeypatch.setattr(fit_classifier, "percent_wrong", lambda *_: next(made_up))
    drawn = []
    greedy = fit_rbm.greedy

    def seen(*args: Any, **options: Any) -> None:
        drawn.append(options["drawn"])
        greedy(*args, **options)

    monkeypatch.setattr(fit_classifier, "greedy", seen)
    learned = []

    class Seen(Backprop):
        def __init__(self, net: Classifier, labels: Tensor, *settings: Any) -> None:
            learned.append((len(labels), settings[0], settings[2]))
            super().__init__(net, labels, *settings)

    monkeypatch.setattr(fit_classifier, "Backprop", Seen)
    values = LITTLE["backprop"] | {"batch": 50, "decays": [0.0, 1e-3], "greedy_drawn": False}
    settings = dbn_mnist_error.Settings.model_validate(values)
    images = labelled(data.load("digits"), torch.device("cpu"))
    trial = Trial("t", data.load("digits"), 3, tmp_path)
    fit_classifier.fit_classifier(settings, trial, images)
    assert trial.chosen == {"rate": 0.2, "decay": 0.0}  # the third, though the second had 1
    assert drawn == [False, False]
    train, every = len(images.x["train"]), len(images.all[0])
    tried = [(0.05, 0.0), (0.05, 1e-3), (0.2, 0.0), (0.2, 1e-3)]
    assert learned == [(train, *each) for each in tried] + [(every, 0.2, 0.0)]


@pytest.mark.parametrize("learner", list(LITTLE))
def test_a_killed_protocol_goes_on_to_the_same_end(learner: str, tmp_path: Path) -> None:
    """Killed at every so many updates, in every phase in turn; to the last prediction and row."""
    values = LITTLE[learner] | {"learner": learner, "batch": 50}
    settings = dbn_mnist_error.Settings.model_validate(values)

    class Killed(Exception):
        pass

    def run(folder: str, patience: float) -> Artifacts:
        steps = 0

        def alive(phase: str, step: int, n: int) -> None:
            nonlocal steps
            steps += 1
            if steps > patience:
                raise Killed

        trial = Trial(
            "t",
            data.load("digits"),
            3,
            tmp_path / folder,
            checkpoint_every=0.0,
            progress=alive,
        )
        return dbn_mnist_error.run_trial(settings, trial)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dgm.trial.loop.PROGRESS_EVERY", 0.0)
        whole, killed, again = run("whole", np.inf), 0, None
        while again is None:
            try:
                again = run("killed", 11)
            except Killed:
                killed += 1
    assert killed > 5
    assert set(again.tables) == set(whole.tables)
    for name, table in whole.tables.items():
        pd.testing.assert_frame_equal(again.tables[name], table)
    for name, array in whole.arrays.items():
        assert np.array_equal(again.arrays[name], array)
