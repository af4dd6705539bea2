"""A recipe that starts from another's trained model; and what the net of digits is made to show."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from dgm.engine.load import load
from dgm.errors import BadInput
from dgm.experiments.dbn_samples.trial import TopChains
from dgm.files import read_csv, read_npz
from dgm.learning.contrastive_divergence import gibbs
from dgm.models.dbn import DBN
from dgm.models.neighbours import nearest_distance
from dgm.models.rbm import one_hot
from dgm.report.plotting import Film, render
from dgm.trial import folder as store
from dgm.trial import models

TRAINED = """\
title: a
source: nobody
experiment: dbn_mnist_error
data: digits
seeds: [0, 1]
settings:
  train_size: 1000
  hidden: [12, 12, 20]
  greedy_epochs: 1
  up_down_epochs: 1
  last_epochs: 1
grid:
  - row: [dbn]
  - settings: {learner: knn, powers: [2]}
    row: [knn]
expect: [{metric: test_error/knn, measures: percent, at_most: 5}]
"""
SHOWN = """\
title: b
source: nobody
experiment: dbn_samples
uses: trained row=dbn
data: digits
seeds: [0, 1]
settings: {chains: 2, between: 3, film_steps: 1}
expect: [{metric: clamped_label_agreement, measures: share, at_least: 0}]
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write("trained", TRAINED)
    write("shown", SHOWN)
    return tmp_path


def write(name: str, text: str) -> None:
    Path("recipes").mkdir(exist_ok=True)
    Path(f"recipes/{name}.yaml").write_text(text)


def dgm(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "dgm", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def trial(name: str) -> Path:
    return Path("results") / name


# --- recipes -----------------------------------------------------------------------------------


def test_uses_is_the_other_recipe_of_the_same_preset_and_seeds() -> None:
    used = load("shown", seeds=[1]).uses
    assert used is not None and used.name == "trained"
    assert [(spec.label, spec.seed) for spec in used.trials] == [("row=dbn,seed=1", 1)]
    assert load("shown").resolved["uses"] == "trained row=dbn"
    assert load("trained").uses is None


@pytest.mark.parametrize(
    ("uses", "said"),
    [
        ("trainde row=dbn", "recipes/shown.yaml:4: uses: trainde: no such recipe; did you mean"),
        (
            "trained row=dbm",
            "recipes/shown.yaml:4: uses: grid.row: no block of preset paper has dbm",
        ),
        ("trained", "recipes/shown.yaml:4: uses: 4 trials for 2 seeds"),
        ("shown", "recipes/shown.yaml:4: uses: recipes/shown.yaml starts from this recipe"),
    ],
)
def test_what_cannot_be_used_is_told(uses: str, said: str) -> None:
    write("shown", SHOWN.replace("trained row=dbn", uses))
    with pytest.raises(BadInput) as caught:
        load("shown")
    assert str(caught.value).startswith(said)


# --- runs --------------------------------------------------------------------------------------


def test_the_other_recipes_trials_are_run_first_and_once() -> None:
    ran = dgm("run", "shown", "--jobs", "2")
    assert ran.returncode == 0, ran.stderr
    assert "first 2 trials of trained, which this recipe starts from" in ran.stderr
    trained = trial("trained/paper/trials/row=dbn,seed=1")
    assert store.about(trained)["state"] == "finished"
    assert not trial("trained/paper/trials/row=knn,seed=0").exists()
    assert not trial("trained/paper/summary.csv").exists()  # these are for a run of its own
    net = models.load(trained / "dbn.safetensors")
    assert net.config["hidden"] == [12, 12]

    shown = trial("shown/paper")
    judged = read_csv(shown / "judged.csv")
    assert len(judged) == 2 * 10 * 10  # seeds, samples, labels
    mean = read_csv(shown / "summary.csv").set_index("metric")["mean"]
    assert mean["clamped_label_agreement"] == pytest.approx(judged["agree"].mean())
    clamped = next(iter(read_npz(shown / "clamped.npz").values()))
    assert clamped.shape == (100, 8, 8)
    assert (shown / "film.gif").read_bytes()[:6] == b"GIF89a"
    assert f"figure: {shown / 'film.gif'}" in ran.stdout

    again = dgm("run", "shown")
    assert "first" not in again.stderr
    assert "2 of 2 trials are finished already" in again.stderr
    shutil.rmtree(shown / "trials")
    for threads in ("1", "2"):
        status = dgm("status", "shown", "-v", "--threads", threads).stdout
        assert status.count("in the results, which --extend keeps") == 2
    shutil.move(trial("trained"), "trained_elsewhere")
    kept = dgm("run", "shown", "--extend")
    assert "first" not in kept.stderr  # nothing is trained for trials that are there
    assert "2 of 2 trials are finished already" in kept.stderr
    shutil.move("trained_elsewhere", trial("trained"))
    assert "before that, unless they are there, the models of trained: " in dgm(
        "run", "shown", "--dry-run"
    ).stdout  # fmt: skip
    whole = dgm("run", "trained")
    assert "2 of 4 trials are finished already" in whole.stderr

    # Trained otherwise, the net is another one, and so is what it shows.
    write("trained", TRAINED.replace("last_epochs: 1", "last_epochs: 2"))
    stale = dgm("run", "shown")
    assert stale.returncode == 2
    assert "settings.last_epochs was 1, is 2" in stale.stderr
    fresh = dgm("run", "shown", "--fresh")
    assert "remove their folders, or give another --out DIR" in fresh.stderr
    elsewhere = dgm("status", "shown", "-v")
    assert "uses.settings.last_epochs was 1, is 2" in elsewhere.stdout + elsewhere.stderr


def test_what_is_trained_to_extend_is_this_machines() -> None:
    """Results of two threads stand for those of another machine, whose models are not there."""
    for arguments in (("shown", "--seeds", "0"), ("trained",)):
        assert dgm("run", *arguments, "--threads", "2").returncode == 0
    for name in ("shown", "trained"):
        shutil.rmtree(trial(f"{name}/paper/trials"))
    ran = dgm("run", "shown", "--extend")
    assert ran.returncode == 0, ran.stderr
    assert "first 1 trials of trained" in ran.stderr
    theirs, own = (
        store.about(trial(f"shown/paper/trials/seed={seed}"))["identity"] for seed in (0, 1)
    )
    trained = store.about(trial("trained/paper/trials/row=dbn,seed=1"))["identity"]
    threads = [identity["threads"] for identity in (theirs, theirs["uses"], own, own["uses"])]
    assert threads == [2, 2, 1, 1]
    assert own["uses"] == trained
    assert not trial("trained/paper/trials/row=dbn,seed=0").exists()


def test_a_failure_there_is_told_and_ends_it() -> None:
    write("trained", TRAINED.replace("greedy_epochs: 1", "greedy_rate: 1e30"))
    ran = dgm("run", "shown", "--seeds", "0")
    assert ran.returncode == 3
    assert "row=dbn,seed=0: layer1, epoch 1, rate=1e+30: the reconstruction error" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_without_uses_there_is_no_model() -> None:
    write("shown", SHOWN.replace("uses: trained row=dbn\n", ""))
    ran = dgm("run", "shown", "--seeds", "0")
    assert ran.returncode == 3
    assert "needs a recipe with uses, for the model dbn" in ran.stderr


# --- what is shown -------------------------------------------------------------------------------


def small_net() -> DBN:
    net = DBN(6, [5, 4], 7, 3)
    net.flat.normal_(generator=torch.Generator().manual_seed(0))
    return net


def test_a_clamped_chain_keeps_its_label_and_has_the_conditional_distribution() -> None:
    """Oracle: p(layer below|label) of the top by enumeration."""
    net = small_net()
    labels = one_hot(torch.full((20_000,), 2), 3)
    chains = TopChains(net, 20_000, torch.Generator().manual_seed(1), labels)
    for _ in range(60):
        chains.step()
        assert torch.equal(chains.v[:, -3:], labels)
    codes = (chains.v[:, :4] @ torch.tensor([8.0, 4.0, 2.0, 1.0])).long()
    found = torch.bincount(codes, minlength=16).double() / len(codes)
    below = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 4)
    energy = net.top.free_energy(torch.cat([below, one_hot(torch.full((16,), 2), 3)], 1))
    torch.testing.assert_close(found, torch.softmax(-energy, 0).double(), atol=0.02, rtol=0)


def test_a_free_chain_changes_its_label_as_gibbs_does() -> None:
    net = small_net()
    chains = TopChains(net, 50, torch.Generator().manual_seed(1))
    twin = torch.Generator()
    twin.set_state(chains.generator.get_state())
    before = chains.v.clone()
    chains.step()
    assert torch.equal(chains.v, gibbs(net.top, before, 1, twin))
    assert not torch.equal(chains.v[:, -3:], before[:, -3:])
    images = chains.images()
    assert images.shape == (50, 6) and images.min() >= 0 and images.max() <= 1


def test_distances_to_the_nearest() -> None:
    generator = torch.Generator().manual_seed(0)
    train, x = torch.rand(300, 5, generator=generator), torch.rand(130, 5, generator=generator)
    expected = torch.cdist(x, train).amin(1)
    torch.testing.assert_close(nearest_distance(train, x), expected, atol=1e-3, rtol=0)
    assert nearest_distance(train, train[:3]).max() < 1e-3


def test_a_film_is_a_gif_of_all_its_frames() -> None:
    import io

    from PIL import Image

    frames = np.zeros((4, 3, 2), np.uint8)
    frames[range(1, 4), 0, 0] = (40, 80, 120)  # or equal ones would be one that lasts
    frames[2, 1, 1] = 255
    with Image.open(io.BytesIO(render(Film(frames, scale=2), "gif"))) as image:
        assert (image.size, getattr(image, "n_frames", 0)) == ((4, 6), 4)
        image.seek(2)
        assert np.asarray(image.convert("L"))[2:4, 2:4].min() == 255
