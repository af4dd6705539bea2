"""Samples of GANs and how they are judged."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import Tensor

from dgm import data
from dgm.data.folder import Folder
from dgm.errors import BadInput
from dgm.experiments.gan_samples import report
from dgm.experiments.gan_samples import trial as gan_samples
from dgm.experiments.gan_samples.settings import DBN, DCGAN, GAN, TENTHS, VAE, Images, Settings
from dgm.report.tables import Artifacts, Results
from dgm.trial.checkpoint import flatten
from dgm.trial.loop import Trial
from tests.small import small_dbn

SMALL: dict[str, Any] = {"judged_samples": 100, "chosen_on": 50, "compared": 40}
SMALL |= {"classifier_steps": 3}
GAME: dict[str, Any] = {"latent_dim": 5, "batch": 350, "epochs": 1, "frames": 3}


def small_gan(**values: Any) -> GAN:
    return GAN(**{**SMALL, **GAME, "hidden": 8, "units": 4, "pieces": 2, **values})


def small_dcgan(**values: Any) -> DCGAN:
    return DCGAN.model_validate({**SMALL, **GAME, "model": "dcgan", "filters": 3, **values})


def a_trial(folder: Path, name: str = "digits", seed: int = 0, every: float = 30.0) -> Trial:
    return Trial("t", data.load(name), seed, folder, checkpoint_every=every)


def run(folder: Path, settings: Settings, name: str = "digits") -> Artifacts:
    with torch.no_grad():
        return gan_samples.run_trial(settings, a_trial(folder, name))


# --- learning ----------------------------------------------------------------------------------


def played(folder: Path, settings: GAN | DCGAN, stop: int | None = None) -> dict[str, Tensor]:
    """A game, perhaps killed in the middle: the bits of both nets and optimisers, and the film."""
    trial = a_trial(folder, every=0.0)
    games = []
    start = gan_samples.start

    def watched(*given: Any) -> Any:
        game = start(*given)
        play = game.play
        done: list[int] = []

        def killed(real: Tensor, z: Tensor) -> Any:
            if stop is not None and len(done) == stop:
                raise ZeroDivisionError
            done.append(1)
            return play(real, z)

        game.play = killed  # type: ignore[method-assign]
        games.append(game)
        return game

    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        patch.setattr(gan_samples, "start", watched)
        _, film = gan_samples.play(settings, trial)
    found: dict[str, Tensor] = {"film": torch.from_numpy(film)}
    flatten(games[0].state_dict(), found)
    return found


@pytest.mark.parametrize("settings", [small_gan(), small_dcgan()], ids=["gan", "dcgan"])
def test_a_killed_game_goes_on_to_the_byte(tmp_path: Path, settings: GAN | DCGAN) -> None:
    """Oracle: the same game, uninterrupted. Dropout, momentum and batch statistics included."""
    with pytest.raises(ZeroDivisionError):
        played(tmp_path / "a", settings, stop=2)
    again, whole = played(tmp_path / "a", settings), played(tmp_path / "b", settings)
    kept = {
        "gan": ["of_discriminator/state/0/momentum_buffer", "of_generator/state/0/momentum_buffer"],
        "dcgan": ["of_discriminator/state/0/exp_avg", "of_generator/state/0/exp_avg_sq",
                  "generator/norms.0.running_var", "generator/norms.0.running_mean"],
    }  # fmt: skip
    assert {*kept[settings.model], "film"} <= again.keys() == whole.keys()
    assert [place for place in whole if not torch.equal(again[place], whole[place])] == []


def test_the_rate_falls_and_momentum_rises(tmp_path: Path) -> None:
    settings = small_gan(rate=0.5, decay=1.1, momentum=(0.5, 0.7), momentum_epochs=4)
    game = gan_samples.start(settings, a_trial(tmp_path))
    gan_samples.pace(settings, game, step=3, epoch=2.0)
    for optimizer in (game.of_generator, game.of_discriminator):
        (group,) = optimizer.param_groups
        assert group["lr"] == pytest.approx(0.5 / 1.1**3)
        assert group["momentum"] == pytest.approx(0.6)
    gan_samples.pace(settings, game, step=3, epoch=40.0)
    assert game.of_generator.param_groups[0]["momentum"] == pytest.approx(0.7)


def test_the_settings_of_the_papers(tmp_path: Path) -> None:
    assert (TENTHS[0], TENTHS[-1], len(TENTHS)) == (0.1, 1.0, 10)
    ratios = np.diff(np.log(TENTHS))
    assert ratios.max() - ratios.min() < 1e-3
    game = gan_samples.start(DCGAN.model_validate({"model": "dcgan"}), a_trial(tmp_path, "digits"))
    (group,) = game.of_generator.param_groups
    assert (group["lr"], group["betas"]) == (2e-4, (0.5, 0.999))


# --- what is left ------------------------------------------------------------------------------


def test_a_game_leaves_pictures_tables_and_its_generator(tmp_path: Path) -> None:
    left = run(tmp_path, small_dcgan())
    assert left.arrays["film"].shape == (3, gan_samples.FILMED, 8, 8)
    assert left.arrays["samples"].shape == (100, 8, 8)
    assert left.arrays["between"].shape == (gan_samples.ROWS * gan_samples.BETWEEN, 8, 8)
    assert len(left.tables["bandwidths"]) == len(TENTHS)
    best = left.tables["bandwidths"].set_index("bandwidth")["log_likelihood"].idxmax()
    assert left.tables["parzen"]["bandwidth"].item() == best
    again = gan_samples.made(left.models["dcgan"], torch.zeros(1, 5))
    assert again.shape == (1, 64)


def test_ways_keep_the_length_of_latents(tmp_path: Path) -> None:
    """Each way begins and ends at a latent, and what lies between is as long on average."""
    z = gan_samples.ways(small_dcgan(latent_dim=4000), a_trial(tmp_path)).view(6, 10, 4000)
    lengths = z.norm(dim=2) / 4000**0.5
    assert (lengths - 1).abs().max() < 0.06
    assert (z[:, 0] * z[:, -1]).mean().abs() < 0.05


@pytest.mark.parametrize(
    ("settings", "of"),
    [
        (VAE.model_validate({**SMALL, "model": "vae", "samples": 500, "pilot_samples": 500,
                             "hidden": 8, "latent_dim": 2, "evaluations": 2}), ["", "draws"]),
        (Images.model_validate({**SMALL, "model": "kmeans", "passes": 2}), [""]),
        (Images.model_validate({**SMALL, "model": "real"}), [""]),
    ],
    ids=["vae", "kmeans", "real"],
)  # fmt: skip
def test_other_models_are_judged_alike(tmp_path: Path, settings: Settings, of: list[str]) -> None:
    tables = run(tmp_path, settings).tables
    assert tables["parzen"]["of"].tolist() == of == tables["classified"]["of"].tolist()
    if of == ["", "draws"]:
        assert tables["parzen"]["log_likelihood"].is_monotonic_decreasing
    assert ("copies" in tables) == (settings.model != "real")


def test_real_images_and_centres_of_clusters(tmp_path: Path) -> None:
    """Training images are found among them; a centre is the mean of several."""
    train = data.load("digits").train
    settings = Images.model_validate({**SMALL, "model": "real"})
    drawn = gan_samples.of_images(settings, a_trial(tmp_path / "a"))
    assert all((train == row).all(1).any() for row in drawn)
    assert len(drawn.unique(dim=0)) == 100
    settings = Images.model_validate({**SMALL, "model": "kmeans", "passes": 2})
    with torch.no_grad():
        centres = gan_samples.of_images(settings, a_trial(tmp_path / "b"))
    near = torch.cdist(train, centres).amin(1).mean()
    assert near < torch.cdist(train, drawn).amin(1).mean()


@torch.no_grad()
def test_chains_keep_their_labels_and_give_means(tmp_path: Path) -> None:
    net, _ = small_dbn()
    settings = DBN.model_validate({**SMALL, "model": "dbn", "chains": 30, "between": 2})
    found = gan_samples.samples_of(settings, a_trial(tmp_path), net)
    means, drawn = found[""], found["draws"]
    assert means.shape == drawn.shape == (100, 6)
    assert set(drawn.unique().tolist()) == {0.0, 1.0} and len(means.unique()) > 30
    assert (drawn - means).mean().abs() < 0.1


# --- a folder ----------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """Coloured images of many sizes, and a broken file."""
    where = tmp_path / "images"
    where.mkdir()
    draws = np.random.RandomState(0)
    for i in range(14):
        pixels = draws.randint(256, size=(40 + i, 70 - i, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(where / f"{i}.png")
    (where / "broken.jpg").write_bytes(b"no image")
    return f"folder:{where}"


def test_a_folder_is_learned_at_64_by_64(tmp_path: Path, folder: str) -> None:
    left = run(tmp_path, small_dcgan(batch=2, filters=1, frames=2), folder)
    assert left.arrays["samples"].shape == (100, 64, 64, 3)
    assert left.arrays["film"].shape == (2, gan_samples.FILMED, 64, 64, 3)
    assert left.tables.keys() == {"skipped", "copies"}
    assert left.tables["skipped"]["file"].str.startswith("broken.jpg: ").tolist() == [True]
    cell = {"model": "dcgan", "seed": 0}
    kept = {name: {"k": array} for name, array in left.arrays.items()}
    figures = report.draw(Results({}, kept, {"k": cell}), {})
    assert figures.keys() == {"samples", "nearest", "interpolation", "film_dcgan"}


def test_bytes_are_pixels_from_0_to_1(folder: str) -> None:
    train = Folder(folder).load().train
    scaled = gan_samples.pixels(train)
    assert torch.equal((scaled * 255).round().byte(), train) and scaled.max() <= 1
    assert gan_samples.pixels(scaled) is scaled


def test_a_folder_is_for_dcgan_alone(tmp_path: Path, folder: str) -> None:
    with pytest.raises(BadInput, match="gan is for images with classes, dcgan for others$"):
        run(tmp_path, small_gan(batch=2), folder)


# --- metrics and figures -----------------------------------------------------------------------


def a_table(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"trial": "k", **columns})


def test_metrics_by_model() -> None:
    """The DCGAN is compared with the better of the VAE's means and draws, seed by seed."""
    classified = a_table(
        model=["dcgan", "dcgan", "vae", "vae"],
        seed=[0, 1, 0, 0],
        of=[np.nan, np.nan, np.nan, "draws"],
        frechet=[3.0, 9.0, 5.0, 4.5],
        score=8.0, entropy=3.1, sure=0.9,
    )  # fmt: skip
    parzen = a_table(model="vae", seed=[0, 0], of=["", "draws"], bandwidth=0.2,
                     log_likelihood=[200.0, 90.0], stderr=2.0)  # fmt: skip
    copies = a_table(model="gan", seed=[0], of="", of_samples=0.5, of_test=0.2, copies=0.3)
    tables = {"classified": classified, "parzen": parzen, "copies": copies}
    found = {(m.metric, m.seed): m for m in report.summarise(Results(tables))}
    values = {key: metric.value for key, metric in found.items()}
    assert values["frechet_below_vae/dcgan", 0] == pytest.approx(1.5)
    assert ("frechet_below_vae/dcgan", 1) not in values
    assert values["dcgan_digits_entropy", 0] == 3.1
    assert values["vae_digits_sure/draws", 0] == 0.9
    assert values["parzen/vae/draws", 0] == 90.0
    assert found["parzen/vae", 0].test_stderr == 2.0
    assert values["copies/gan", 0] == 0.3


@torch.no_grad()
def test_the_entropy_of_samples_that_the_classifier_is_sure_of(tmp_path: Path) -> None:
    """Three of four samples are sure, of two classes in shares 2/3 and 1/3."""
    trial = a_trial(tmp_path)

    class Judge:
        def __call__(self, x: Tensor) -> Any:
            from dgm.protocols.digit_features import Features

            p = torch.full((len(x), 10), 1e-3, dtype=torch.float64)
            for row, (label, top) in enumerate([(2, 0.99), (2, 0.96), (7, 0.97), (4, 0.94)]):
                p[row, label] = top
            return Features(x[:, :3].double(), p.log())

    gan_samples.classified(trial, "", torch.rand(4, 64), Judge())  # type: ignore[arg-type]
    row = trial.tables()["classified"].iloc[0]
    assert row["sure"] == 0.75
    assert row["entropy"] == pytest.approx(np.log2(3) - 2 / 3)


def test_pairs_stand_side_by_side() -> None:
    images = np.arange(4, dtype=np.uint8)[:, None, None].repeat(2, 1).repeat(2, 2)
    pairs = report.beside(images)
    assert pairs[:, 0, 0].tolist() == [0, 2, 1, 3]
    assert pairs[:, 0, -1].tolist() == [0, 255, 1, 255]


# --- what may go wrong -------------------------------------------------------------------------


def test_more_than_there_is(tmp_path: Path) -> None:
    few = {**SMALL, "chosen_on": 98}
    with pytest.raises(BadInput, match=r"^chosen_on 98: there are 97 validation images$"):
        run(tmp_path, Images.model_validate({**few, "model": "real"}))
    many = {**SMALL, "judged_samples": 1401}
    with pytest.raises(BadInput, match=r"^judged_samples 1401: there are 1400 training images$"):
        run(tmp_path, Images.model_validate({**many, "model": "kmeans"}))


@pytest.mark.parametrize(
    ("overrides", "complaint"),
    [
        (["model=dcgan", "batch=1"], "batch: should be greater than 1, not 1"),
        (["model=dcgan", "data=folder:/nowhere/at/all"], "/nowhere/at/all: no such folder"),
        (["momentum=[0.5, 1.0]"], "momentum: should be two numbers from 0 to less than 1"),
        (["bandwidths=[0]"], "bandwidths: should be greater than 0, not 0"),
        (["model=wgan"], "no block of preset embedded has wgan"),
    ],
)
def test_settings_that_are_none(overrides: list[str], complaint: str, here: Any) -> None:
    said = here("run", "gan_samples", "--preset", "embedded", "--dry-run", *overrides, code=2)
    assert complaint in said
