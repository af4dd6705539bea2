"""Enumerated machines, learning in epochs, and the experiments that show an RBM at work."""

import itertools
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor

from dgm import data
from dgm.data.batches import Minibatches
from dgm.errors import Diverged
from dgm.experiments.infinite_dbn import trial as infinite_dbn
from dgm.experiments.rbm_contrastive_divergence import trial as rbm_contrastive_divergence
from dgm.inference.enumeration import Enumerated, fit_exactly
from dgm.learning.contrastive_divergence import ContrastiveDivergence
from dgm.models.rbm import RBM, LabelRBM
from dgm.protocols.epochs import epochs
from dgm.protocols.fit_rbm import GreedySettings, fit_rbm, greedy
from dgm.report.tables import Artifacts
from dgm.trial.loop import Trial


def random_rbm(visible: int = 4, hidden: int = 3, std: float = 1.0, seed: int = 0) -> RBM:
    rbm = RBM(visible, hidden)
    rbm.flat.normal_(0.0, std, generator=torch.Generator().manual_seed(seed))
    return rbm


def all_states(n: int) -> Tensor:
    """In the order of `Enumerated`: the first unit varies fastest."""
    states = [bits[::-1] for bits in itertools.product([0.0, 1.0], repeat=n)]
    return torch.tensor(states, dtype=torch.float64)


def a_trial(tmp_path: Path, name: str = "digits", **more: object) -> Trial:
    return Trial("t", data.load(name), 0, tmp_path, **more)  # type: ignore[arg-type]


# --- enumeration -------------------------------------------------------------------------------


def test_distributions_are_those_of_the_energy() -> None:
    rbm = random_rbm()
    W, a, b = (rbm.parameters[name].double() for name in ("W", "a", "b"))
    exact = Enumerated(rbm)
    v, h = all_states(4), all_states(3)
    assert torch.equal(exact.v, v) and torch.equal(exact.h, h)
    weight = torch.exp(
        torch.tensor([[(x @ W @ y + a @ x + b @ y).item() for y in h] for x in v]).double()
    )
    joint = weight / weight.sum()
    torch.testing.assert_close(exact.log_p_v.exp(), joint.sum(1), atol=1e-7, rtol=0)
    torch.testing.assert_close(exact.log_p_h.exp(), joint.sum(0), atol=1e-7, rtol=0)
    torch.testing.assert_close(exact.up, joint / joint.sum(1, keepdim=True), atol=1e-6, rtol=0)
    down = (joint / joint.sum(0)).t()
    torch.testing.assert_close(exact.down, down, atol=1e-6, rtol=0)
    p = exact.log_p_v.exp()
    torch.testing.assert_close(exact.gibbs(p, 5), p)  # which it leaves as it is
    rows = v[[3, 3, 9, 0]].float()
    assert exact.of(rows).nonzero()[:, 0].tolist() == [0, 3, 9]
    assert exact.of(rows)[3] == 0.5


def test_the_exact_gradient_is_the_derivative() -> None:
    """Oracle: central differences of the log-likelihood."""
    rbm = random_rbm()
    exact = Enumerated(rbm)
    p = exact.of(all_states(4)[[1, 5, 6, 6]].float())
    gradient = exact.gradient(p)
    for i in range(0, len(rbm.flat), 3):
        values = []
        for shift in (0.01, -0.01):
            moved = random_rbm()
            moved.flat[i] += shift
            values.append((p @ Enumerated(moved).log_p_v).item())
        assert gradient[i].item() == pytest.approx((values[0] - values[1]) / 0.02, abs=2e-4)


def test_the_expectation_of_cd() -> None:
    """Oracle: the sampler itself, many times from the same data; and the exact gradient for k
    so large that the chain has forgotten them."""
    rbm = random_rbm(std=0.7)
    exact = Enumerated(rbm)
    x = all_states(4)[[1, 5, 6, 6]].float()
    expected = exact.contrastive_divergence(exact.of(x), 2)
    before = rbm.flat.clone()
    learner = ContrastiveDivergence(rbm, 2, 1.0, torch.Generator().manual_seed(0))
    learner.update(x.repeat(20_000, 1), torch.empty(0))
    torch.testing.assert_close((rbm.flat - before).double(), expected, atol=0.01, rtol=0)
    p = exact.of(x)
    torch.testing.assert_close(exact.contrastive_divergence(p, 500), exact.gradient(p))


def test_fitting_exactly_never_falls() -> None:
    rbm = random_rbm(4, 3, std=0.1)
    p = Enumerated(rbm).of(all_states(4)[[0, 15]].float())
    path = fit_exactly(rbm, p, 30)
    values = []
    for parameters in path:
        rbm.flat.copy_(parameters)
        values.append((p @ Enumerated(rbm).log_p_v).item())
    assert len(path) > 5
    assert all(later >= earlier for earlier, later in itertools.pairwise(values))
    assert values[-1] == pytest.approx(-math.log(2), abs=0.05)  # two states


def test_too_many_units_are_refused() -> None:
    with pytest.raises(ValueError, match="enumerating 21 units"):
        Enumerated(RBM(10, 11))


# --- learning in epochs ------------------------------------------------------------------------


class Counting:
    """A learner that notes what it was given."""

    def __init__(self) -> None:
        self.rate, self.momentum = 0.8, 0.9
        self.seen: list[tuple[float, float]] = []
        self.steps = torch.zeros(())

    def update(self, x: Tensor, indices: Tensor) -> Tensor:
        self.seen.append((self.rate, self.momentum))
        self.steps += 1
        return self.steps.clone()

    def state_dict(self) -> dict[str, Tensor]:
        return {"steps": self.steps}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.steps.copy_(state["steps"])


@pytest.mark.parametrize("falling", [True, False])
def test_epochs_average_and_slow_down(tmp_path: Path, falling: bool) -> None:
    trial, learner = a_trial(tmp_path), Counting()
    batches = Minibatches(torch.rand(10, 2), 3, trial.generator)  # three steps an epoch
    found = list(epochs(trial, "train", learner, batches, 8, falling))
    assert found == [(n, 3 * n - 1.0) for n in range(1, 9)]
    rates, momenta = zip(*learner.seen, strict=True)
    wanted = [0.8 * (1 - step / 24) if falling else 0.8 for step in range(24)]
    assert list(rates) == pytest.approx(wanted)
    assert momenta == (0.5,) * 15 + (0.9,) * 9
    assert (learner.rate, learner.momentum) == (0.8, 0.9)


def test_epochs_go_on_where_they_were(tmp_path: Path) -> None:
    """Put down in the middle of an epoch, whose mean is over all of it."""

    class Killed(Exception):
        pass

    class Mortal(Counting):
        def update(self, x: Tensor, indices: Tensor) -> Tensor:
            if self.steps == 4:
                raise Killed
            return super().update(x, indices)

    def run(learner: Counting) -> list[tuple[int, float]]:
        trial = a_trial(tmp_path, checkpoint_every=0.0)
        batches = Minibatches(torch.rand(10, 2), 3, trial.generator)
        return list(epochs(trial, "train", learner, batches, 3))

    with pytest.raises(Killed):
        run(Mortal())
    assert run(Counting()) == [(2, 5.0), (3, 8.0)]


def test_a_rising_reconstruction_error_is_divergence(tmp_path: Path) -> None:
    trial = a_trial(tmp_path)
    rbm = RBM(64, 20)
    rbm.initialise(0.01, trial.generator, trial.data.train)
    learner = ContrastiveDivergence(rbm, 1, 50.0, trial.generator)
    batches = Minibatches(trial.data.train, 20, trial.generator)
    said = r"layer2, epoch 1, rate=50: the reconstruction error is [\d.]+, risen from [\d.]+"
    with pytest.raises(Diverged, match=said):
        list(fit_rbm(trial, "layer2", learner, batches, 3))


def test_hardly_learning_is_no_divergence(tmp_path: Path) -> None:
    """Nor is the noise of units drawn at each visit."""
    trial = a_trial(tmp_path)
    rbm = RBM(64, 20)
    rbm.initialise(0.01, trial.generator, trial.data.train)
    learner = ContrastiveDivergence(rbm, 1, 1e-9, trial.generator)
    batches = Minibatches(trial.data.train, 20, trial.generator, dynamic=True)
    assert len(list(fit_rbm(trial, "train", learner, batches, 2))) == 2


@pytest.mark.parametrize("drawn", [False, True])
def test_data_and_reconstructions_are_both_drawn_or_both_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, drawn: bool
) -> None:
    """A reconstruction's own variance beside data without it would pull at all weights."""
    seen = []

    class Watched(ContrastiveDivergence):
        def update(self, x: Tensor, indices: Tensor) -> Tensor:
            seen.append((bool(((x == 0) | (x == 1)).all()), self.grey))
            return super().update(x, indices)

    monkeypatch.setattr("dgm.protocols.fit_rbm.ContrastiveDivergence", Watched)
    trial = a_trial(tmp_path)
    settings = GreedySettings.model_validate({"batch": 20, "greedy_epochs": 1})
    rbms = [RBM(64, 10), LabelRBM(10, 10, 5)]
    greedy(settings, trial, trial.data.train, rbms, trial.data.labels["train"], drawn=drawn)
    assert set(seen) == {(drawn, not drawn)}


def test_greedy_layers_see_the_layer_below_and_the_labels(tmp_path: Path) -> None:
    trial = a_trial(tmp_path)
    settings = GreedySettings.model_validate(
        {"batch": 20, "greedy_epochs": 8, "greedy_rate": 0.2, "greedy_std": 0.05}
    )
    first, top = RBM(64, 40), LabelRBM(40, 10, 60)
    classes = trial.data.labels["train"]
    greedy(settings, trial, trial.data.train, [first, top], classes)
    table = trial.tables()["greedy"]
    assert table["phase"].tolist() == ["layer1"] * 8 + ["layer2"] * 8
    for _, rows in table.groupby("phase"):
        assert rows["error"].iloc[-1] < rows["error"].iloc[0]
    right = top.label_log_odds(first.hidden_mean(trial.data.train)).argmax(1) == classes
    assert right.float().mean() > 0.6  # chance is 0.1
    with pytest.raises(ValueError, match="needs the classes"):
        greedy(settings, trial, trial.data.train, [LabelRBM(64, 10, 5)])


# --- the infinite net --------------------------------------------------------------------------


def test_a_deep_tied_net_is_the_rbm() -> None:
    """Oracle: the directed net's sum over every layer's states, at three layers."""
    rbm = random_rbm(std=0.8)
    exact = Enumerated(rbm)
    first, second, *_, last = infinite_dbn.truncated(rbm, exact, 201)
    b = rbm.parameters["b"].double()
    p_h = torch.where(exact.h > 0, b.sigmoid(), (-b).sigmoid()).prod(1)
    torch.testing.assert_close(first, p_h @ exact.down)
    torch.testing.assert_close(second, p_h @ exact.down @ exact.up @ exact.down)
    torch.testing.assert_close(last, exact.log_p_v.exp())
    assert sum(1 for _ in infinite_dbn.truncated(rbm, exact, 7)) == 4  # 1, 3, 5 and 7 layers


def test_turning_an_rbm_over_changes_nothing() -> None:
    rbm = random_rbm()
    turned = Enumerated(infinite_dbn.transposed(rbm))
    exact = Enumerated(rbm)
    torch.testing.assert_close(turned.log_p_v, exact.log_p_h)
    torch.testing.assert_close(
        torch.tensor(infinite_dbn.log_likelihood(exact.log_p_v.exp(), [exact, turned])),
        (exact.log_p_v.exp() @ exact.log_p_v).float(),
        check_dtype=False,
    )


def test_the_bound_is_the_bound(tmp_path: Path) -> None:
    """Oracle: E_q[log p(v, h_1, h_2) - log q(h_1, h_2|v)] of the trained net, summed outright."""
    settings = infinite_dbn.Settings.model_validate({"hidden": 4, "iterations": 6})
    trial = a_trial(tmp_path, "bars_and_stripes")
    kept: list[RBM] = []
    turn = infinite_dbn.transposed

    def keep(rbm: RBM) -> RBM:
        kept.append(turn(rbm))
        return kept[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(infinite_dbn, "transposed", keep)
        artifacts = infinite_dbn.run_trial(settings, trial)
    rbm, (second, third) = artifacts.models["rbm"], kept
    one, two, three = Enumerated(rbm), Enumerated(second), Enumerated(third)
    p = one.of(trial.data.train)
    terms = (
        one.log_down.t()[:, :, None]  # log p(v|h_1)
        + two.log_down.t()[None]  # log p(h_1|h_2)
        + three.log_p_v[None, None]  # log p(h_2)
        - one.log_up[:, :, None]
        - two.log_up[None]
    )
    q = p[:, None, None] * one.up[:, :, None] * two.up[None]
    bounds = artifacts.tables["bounds"]
    assert bounds["bound"].iloc[-1] == pytest.approx((q * terms).sum().item(), abs=1e-6)
    deep = (p @ (three.log_p_v.exp() @ two.down @ one.down).log()).item()
    assert bounds["log_likelihood"].iloc[-1] == pytest.approx(deep, abs=1e-6)
    assert bounds["bound"].is_monotonic_increasing
    assert bounds["bound"].iloc[-1] > bounds["bound"].iloc[0] + 0.01
    assert (bounds["log_likelihood"] >= bounds["bound"] - 1e-9).all()


# --- contrastive divergence --------------------------------------------------------------------


def test_bars_and_stripes() -> None:
    x = data.load("bars_and_stripes").train
    assert x.shape == (14, 9) and len(torch.unique(x, dim=0)) == 14
    for image in x.view(-1, 3, 3):
        assert (image == image[:1]).all() or (image == image[:, :1]).all()


def test_the_mean_of_the_last_epochs_and_what_is_learned_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {"hidden": 5, "epochs": 4, "batch": 20, "evaluations": 4, "method": "pcd"}
    values |= {"ais_chains": 5, "ais_schedule": [[20, 0, 1]], "lasso": 1e-3, "smoothness": 1e-3}
    experiment = rbm_contrastive_divergence
    kept = {}
    for averaged in (0.0, 0.5):
        settings = experiment.Settings.model_validate(values | {"averaged": averaged})
        trial = a_trial(tmp_path / str(averaged))
        train = trial.data.train.round()
        kept[averaged] = experiment.learn(settings, trial, RBM(64, 5), train, 4).vectors
    assert torch.equal(kept[0.5][:3], kept[0.0][:3])
    torch.testing.assert_close(kept[0.5][3], kept[0.0][2:].mean(0))

    learned = []

    class Seen(Minibatches):
        def __init__(self, x: Tensor, *more: Any) -> None:
            learned.append(x)
            super().__init__(x, *more)

    monkeypatch.setattr(experiment, "Minibatches", Seen)
    settings = experiment.Settings.model_validate(values | {"refit": True, "averaged": 0.5})
    trial = a_trial(tmp_path / "refit")
    tables = experiment.run_trial(settings, trial).tables
    first, both = learned
    assert len(first) == len(trial.data.train)
    assert len(both) == len(trial.data.train) + len(trial.data.validation)
    assert torch.equal(both[: len(first)], first)
    assert list(tables["refit"]["epoch"]) == [trial.chosen["chosen_epoch"]]
    row = tables["refit"].iloc[0]
    assert row["low"] <= row["log_likelihood"] <= row["high"] < 0


def test_the_best_of_all_is_chosen_on_validation_images() -> None:
    def rows(k: int, method: str, validation: list[float], test: list[float]) -> list[Any]:
        return [
            {"data": "mnist", "variant": "paper", "method": method, "k": k, "seed": 0}
            | {"epoch": epoch, "split": split, "log_likelihood": value}
            | {"low": value - 0.1, "high": value + 0.2}
            for split, values in (("validation", validation), ("test", test), ("train", test))
            for epoch, value in enumerate(values, start=1)
        ]

    likelihood = [
        *rows(1, "cd", [-5.0, -4.0, -6.0], [-1.0, -4.5, -2.0]),
        *rows(3, "cd", [-5.0, -3.5, -6.0], [-1.0, -3.0, -2.0]),
        *rows(1, "pcd", [-3.0], [-3.2]),
    ]
    reconstruction = pd.DataFrame(likelihood[:1]).assign(error=7.0)
    partition = pd.DataFrame(
        [
            {**row, "effective_chains": 10.0 * row["epoch"]}
            for row in likelihood
            if row["split"] == "test"
        ]
    )
    tables = {
        "likelihood": pd.DataFrame(likelihood),
        "reconstruction": reconstruction,
        "partition": partition,
    }
    found = {m: v for m, _, v in rbm_contrastive_divergence.summarise(Artifacts(tables))}
    assert found["test_log_likelihood/cd1"] == -4.5
    assert found["test_log_likelihood/pcd"] == -3.2
    assert found["test_log_likelihood/best"] == -3.2  # though cd3 has -3.0
    assert found["rising_in_k"] == 1
    assert found["ais_interval/cd3"] == pytest.approx(0.3)
    assert found["ais_effective_chains/cd3"] == 20  # of the second epoch
    assert found["reconstruction_error/cd1"] == 7

    again = [{**row, "log_likelihood": -3.1} for row in rows(1, "pcd", [-3.0], [-3.2])[:1]]
    tables["refit"] = pd.DataFrame(again)  # by the machine that is the best on validation images
    found = {m: v for m, _, v in rbm_contrastive_divergence.summarise(Artifacts(tables))}
    assert found["test_log_likelihood/pcd"] == -3.2
    assert found["test_log_likelihood/pcd/refit"] == -3.1
    assert found["test_log_likelihood/best"] == -3.1
    tables["refit"] = pd.DataFrame([{**row, "method": "cd", "k": 3} for row in again])
    found = {m: v for m, _, v in rbm_contrastive_divergence.summarise(Artifacts(tables))}
    assert found["test_log_likelihood/best"] == -3.2  # refit or not, cd3 is not the best
    del tables["refit"]

    likelihood = [*rows(1, "cd", [-3.4], [-2.9]), *rows(3, "cd", [-3.5], [-3.0])]
    tables["likelihood"] = pd.DataFrame(likelihood)
    found = {m: v for m, _, v in rbm_contrastive_divergence.summarise(Artifacts(tables))}
    assert found["rising_in_k"] == 0
