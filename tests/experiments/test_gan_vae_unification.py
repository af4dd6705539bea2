"""GANs and VAEs as one family: the parts, what they record, and how a run is chosen."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from dgm import data
from dgm.errors import BadInput
from dgm.experiments.gan_vae_unification import report
from dgm.experiments.gan_vae_unification import trial as unification
from dgm.experiments.gan_vae_unification.settings import (
    Activated,
    Beside,
    InfoGAN,
    Lemmas,
    Settings,
    Weighted,
)
from dgm.report.tables import Artifacts, Results
from dgm.trial.loop import Trial
from dgm.trial.measured import compare

NETS: dict[str, Any] = {"filters": 4, "batch": 20, "judged": 100}
VAE_SETTINGS: dict[str, Any] = {
    "binarization": "dynamic",
    "latent_dim": 3,
    "hidden": 8,
    "optimiser": "adam",
    "rates": [0.01],
    "initial_std": None,
    "batch": 20,
    "samples": 1000,
    "first_evaluation": 500,
    "evaluations": 2,
    "pilot_samples": 100,
}


def run(tmp_path: Path, settings: Settings, name: str = "digits", seed: int = 0) -> Artifacts:
    trial = Trial("t", data.load(name), seed, tmp_path)
    with torch.no_grad():
        return unification.run_trial(settings, trial)


def info(**values: Any) -> InfoGAN:
    return InfoGAN(**(NETS | {"noise": 6, "hidden": 8, "steps": 12, "evaluations": 4} | values))


def activated(model: Any, **values: Any) -> Activated:
    return Activated(part="aavae", model=model, share=0.1, critic_hidden=[8],
                     **(VAE_SETTINGS | values))  # fmt: skip


def lemmas(**values: Any) -> Lemmas:
    return Lemmas.model_validate({"part": "lemmas", **values})


def test_the_lemmas_hold_to_rounding_and_other_forms_do_not(tmp_path: Path) -> None:
    tables = run(tmp_path, lemmas(pairs=3), "two_bumps").tables
    gan, vae = tables["gan"], tables["vae"]
    assert len(gan) == len(vae) == 3
    assert gan[["lemma1", "by_density", "optimal_d"]].max(axis=None) < 1e-8
    assert vae[["lemma2", "posterior", "bound"]].max(axis=None) < 1e-8
    assert gan[["half_jsd", "moving"]].min(axis=None) > 1e-3
    assert vae[["elsewhere", "literal"]].min(axis=None) > 1e-2


def test_info_gan_leaves_what_its_metrics_need(tmp_path: Path) -> None:
    left = run(tmp_path, info())
    tables = left.tables
    assert tables["game"]["step"].tolist() == [3, 6, 9, 12]
    assert tables["information"]["number"].tolist() == [0, 1, 2]
    assert tables["information"]["bound"][0] <= np.log(10)
    confusion = tables["confusion"]
    assert confusion["cases"].sum() == 300
    right = confusion.loc[confusion["class"] == confusion["matched"], "cases"].sum() / 300
    accuracy = tables["accuracy"].set_index("split")
    assert accuracy.loc["test", "accuracy"] == pytest.approx(right)
    assert accuracy["cases"].to_dict() == {"validation": 97, "test": 300}
    labels = data.load("digits").labels["test"].numpy()
    assert (left.arrays["predicted"] == labels).mean() == pytest.approx(right)
    assert left.arrays["varied"].shape == (3 * 5 * 10, 8, 8)


def test_one_code_changes_from_column_to_column(tmp_path: Path) -> None:
    """Rows of the code's block differ within; the codes of a continuous block stay."""
    net = run(tmp_path, info(steps=2)).models["infogan"]
    seen: list[Any] = []
    generate = net.generate

    def noted(z: Any) -> Any:
        seen.append(z)
        return generate(z)

    net.generate = noted
    with torch.no_grad():
        unification.varied_codes(net, Trial("t", data.load("digits"), 0, tmp_path / "again"))
    first, second, third = seen
    assert first.code.view(5, 10).tolist() == [list(range(10))] * 5
    assert second.code.view(5, 10).tolist() == [[row] * 10 for row in range(5)]
    for z in seen:
        rows = z.noise.view(5, 10, -1)
        assert torch.equal(rows, rows[:, :1].expand_as(rows))
    across = torch.linspace(-2, 2, 10).expand(5, -1)
    assert torch.equal(second.u[:, 0].view(5, 10), across) and (second.u[:, 1] == 0).all()
    assert torch.equal(third.u[:, 1].view(5, 10), across) and (third.u[:, 0] == 0).all()


def test_a_model_is_measured_again(tmp_path: Path) -> None:
    """As `dgm verify` does: every number agrees, those of random images within their errors."""
    settings = info(judged=2000)
    left = run(tmp_path / "one", settings)
    trial = Trial("t", data.load("digits"), 0, tmp_path / "two")
    with torch.no_grad():
        again = unification.measure(settings, trial, left.models["infogan"])
    found = list(compare(left, again, unification.MEASURED))
    assert len(found) == 2 + 1 + 3 + 1
    assert all(one.agrees for one in found), [one.text for one in found]


def test_labels_do_not_reach_training(tmp_path: Path) -> None:
    """Other labels give the same net."""
    settings, digits = info(steps=3), data.load("digits")
    other = replace(digits, labels={k: (v + 1) % 10 for k, v in digits.labels.items()})
    nets = []
    for name, of in (("one", digits), ("two", other)):
        with torch.no_grad():
            left = unification.run_trial(settings, Trial("t", of, 0, tmp_path / name))
        nets.append(left.models["infogan"].state_dict())
    assert all(torch.equal(nets[0][place], nets[1][place]) for place in nets[0])


def test_a_vaes_latents_are_clustered(tmp_path: Path) -> None:
    left = run(tmp_path, Beside(part="vae", **VAE_SETTINGS))
    assert left.tables["confusion"]["cases"].sum() == 300
    assert 0.1 < left.tables["accuracy"]["accuracy"].min() < 1
    assert left.arrays["varied"].shape == (3 * 5 * 10, 8, 8)


def test_both_gans_start_alike_and_are_judged_alike(tmp_path: Path) -> None:
    shared = NETS | {"part": "gans", "latent_dim": 5, "epochs": 1, "classifier_steps": 20}
    tables = {
        model: run(tmp_path / model, Weighted.model_validate(shared | {"model": model})).tables
        for model in ("gan", "iwgan")
    }
    errors = {model: found["classifier"]["test_error"].item() for model, found in tables.items()}
    assert errors["gan"] == errors["iwgan"]
    judged = {model: found["judged"].iloc[0] for model, found in tables.items()}
    assert judged["gan"]["frechet"] != judged["iwgan"]["frechet"]
    for row in judged.values():
        assert 1 <= row["score"] <= 10 and row["frechet"] > 0


def test_both_vaes_learn_from_the_same_few_images(tmp_path: Path) -> None:
    """With an adversary the VAE goes another way, and how many samples pass is recorded."""
    seen = {}
    for model in ("vae", "aavae"):
        left = run(tmp_path / model, activated(model), seed=3)
        seen[model] = left.tables
    assert "activated" not in seen["vae"]
    row = seen["aavae"]["activated"].iloc[0]
    assert row["made"] == 1000 and 0 < row["kept"] < 1
    bounds = [tables["bounds"].set_index("split")["elbo"] for tables in seen.values()]
    assert (bounds[0] != bounds[1]).all()


# --- metrics -----------------------------------------------------------------------------------


def a_run(bound: float, about: float) -> dict[str, float]:
    return {"bound": bound, "about_images": about}


def test_a_run_is_chosen_by_its_bound_and_ties_by_what_it_tells_of_images() -> None:
    assert report.choose({0: a_run(2.0, 2.2), 1: a_run(2.25, 1.0), 2: a_run(2.1, 2.2)}) == 1
    assert report.choose({0: a_run(2.295, 1.5), 1: a_run(2.300, 1.0), 2: a_run(2.27, 2.2)}) == 0
    assert report.choose({3: a_run(2.3, 1.5), 1: a_run(2.3, 1.5)}) == 1


def frame(part: str, **columns: Any) -> pd.DataFrame:
    first = {"trial": "k", "data": "mnist", "part": part}
    return pd.DataFrame({**first, **columns})


def test_metrics_of_runs_without_labels_in_the_choice() -> None:
    """The chosen run need not be the most accurate."""
    shared = {"model": None, "share": None}
    accuracy = [
        frame("infogan", **shared, seed=s, split=["validation", "test"], accuracy=[0.5, a],
              cases=[100, 400])
        for s, a in enumerate((0.9, 0.6, 0.7))
    ]  # fmt: skip
    information = [
        frame("infogan", **shared, seed=s, number=[0, 1], bound=[b, 9.0], stderr=0.0)
        for s, b in enumerate((2.1, 2.30, 2.29))
    ]
    about = [
        frame("infogan", **shared, seed=[s], information=[i]) for s, i in enumerate((2.2, 1.5, 1.8))
    ]
    tables = {"accuracy": accuracy, "information": information, "about_images": about}
    results = Results({name: pd.concat(rows) for name, rows in tables.items()})
    found = list(report.summarise(results))
    chosen = [m for m in found if m.metric == "infogan_accuracy/chosen"]
    assert [(m.seed, m.value) for m in chosen] == [(2, 0.7)]
    assert chosen[0].test_stderr == pytest.approx((0.7 * 0.3 / 400) ** 0.5)
    means = [(m.seed, m.value) for m in found if m.metric == "infogan_accuracy/mean"]
    assert means == [(0, 0.9), (1, 0.6), (2, 0.7)]


def test_gains_are_paired_by_seed_and_have_an_interval() -> None:
    """Oracle: scipy's Student interval of the differences."""
    scores = {"gan": [8.0, 8.5, 9.0], "iwgan": [8.2, 8.6, 9.4]}
    judged = pd.concat(
        frame("gans", model=m, share=None, seed=range(3), score=s, frechet=[5.0, 4.0, 3.0])
        for m, s in scores.items()
    )
    bounds = pd.concat(
        frame("aavae", model=m, share=0.01, seed=range(3), split="test", elbo=e)
        for m, e in {"vae": [-120.0, -121.0, -122.0], "aavae": [-119.0, -119.5, -122.5]}.items()
    )
    found = list(report.summarise(Results({"judged": judged, "bounds": bounds})))
    by_name: dict[str, list[float]] = {}
    for m in found:
        by_name.setdefault(m.metric, []).append(m.value)
    assert by_name["iwgan_gain/score"] == pytest.approx([0.2, 0.1, 0.4])
    assert by_name["iwgan_gain/frechet"] == pytest.approx([0, 0, 0])
    assert by_name["aavae_gain/percent1"] == pytest.approx([1.0, 1.5, -0.5])
    for name in ("iwgan_gain/score", "aavae_gain/percent1"):
        values = by_name[name]
        low, _ = stats.t.interval(0.95, 2, np.mean(values), stats.sem(values))
        assert by_name[f"{name}/low"] == pytest.approx([low])
    assert by_name["test_elbo/aavae/percent1"] == [-119.0, -119.5, -122.5]


def test_columns_of_the_code_stand_in_the_order_of_digits() -> None:
    """Code 0 is digit 9, code 1 digit 8, and so on; its images come last."""
    cell = {"data": "mnist", "part": "infogan", "model": None, "share": None, "seed": 0}
    head = {"trial": "k", **{name: [value] * 10 for name, value in cell.items()}}
    confusion = pd.DataFrame({**head, "code": range(10), "class": 0, "matched": range(9, -1, -1)})
    images = np.tile(np.arange(10, dtype=np.uint8), 15)[:, None, None]
    found = report.named_blocks(Results({"confusion": confusion}), cell, images)
    first, second = (block.reshape(5, 10) for block in list(found.values())[:2])
    assert (first == np.arange(9, -1, -1)).all()
    assert (second == np.arange(10)).all()
    assert list(found) == [f"InfoGAN: {c} varies" for c in ("c", "$u_{1}$", "$u_{2}$")]


# --- what may go wrong ---------------------------------------------------------------------------


def test_codes_that_do_not_fit_the_classes(tmp_path: Path) -> None:
    said = r"^codes 8: digits has 10 classes, and each code is matched with one$"
    with pytest.raises(BadInput, match=said):
        run(tmp_path, info(codes=8))


@pytest.mark.parametrize(
    ("settings", "name", "said"),
    [
        (info(), "two_bumps", "data two_bumps: this part needs images"),
        (info(), "bars", "bars: has no classes to learn"),
        (lemmas(), "digits", "data digits: this part needs a density on the line"),
        (lemmas(), "ring", "data ring: this part needs a density on the line"),
    ],
)
def test_data_that_do_not_suit(settings: Settings, name: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=f"^{said}$"):
        run(tmp_path, settings, name)


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("batch=1", "settings.batch: should be greater than 1, not 1"),
        ("codes=1", "settings.codes: should be greater than 1, not 1"),
        ("coefficient=0", "settings.coefficient: should be greater than 0, not 0"),
    ],
)
def test_settings_that_are_none(override: str, complaint: str, here: Any) -> None:
    assert complaint in here("run", "gan_vae_unification", "--dry-run", override, code=2)


def test_the_adversary_needs_one_rate() -> None:
    with pytest.raises(ValueError, match="rates: this part learns by AEVB with a single one"):
        activated("aavae", rates=[0.1, 0.01])
