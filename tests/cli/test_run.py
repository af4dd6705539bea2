"""Runs: what they leave, how they resume, what stops them."""

import json
import resource
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from pandas.testing import assert_frame_equal

from dgm.data import files
from dgm.files import read_csv
from dgm.report.summary import read_metrics
from tests.cli.tiny import ONE, TINY, R, dgm


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results folder of a tiny run of all three methods; tests only read it."""
    out = tmp_path_factory.mktemp("done")
    ran = dgm("run", R, *TINY, "--out", out)
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr.count("finished: ") == 3
    assert f"results: {out / R / 'embedded'}" in ran.stdout
    assert f"figure: {out / R / 'embedded' / 'figure3.png'}" in ran.stdout
    return out / R / "embedded"


# --- what a run leaves -----------------------------------------------------------------------


def test_a_run_leaves_tables_figures_and_a_manifest(done: Path) -> None:
    metrics = read_metrics(done / "metrics.csv")
    assert set(metrics["metric"]) == {
        *(f"{split}_log_likelihood/{method}/n500"
          for split in ("train", "test") for method in ("aevb", "wake_sleep", "mcem")),
        "aevb_above_wake_sleep/n500",
        "estimator_gap",
        "estimator_gap/worst",
    }  # fmt: skip
    curves = read_csv(done / "curves.csv")
    axes = ["method", "train_size", "binarization"]
    assert list(curves.columns[:5]) == ["trial", *axes, "seed"]
    assert len(curves) == 3 * 2 * 2  # methods, evaluation points, splits
    assert sorted(curves["samples"].unique()) == [1000, 3000]

    final = curves[(curves["samples"] == 3000) & (curves["split"] == "test")]
    values = metrics.set_index("metric")["value"]
    for row in final.to_dict("records"):
        name = f"test_log_likelihood/{row['method']}/n500"
        assert values[name] == row["log_likelihood"]
    ends = read_csv(done / "estimators.csv").pivot_table(
        index=["method", "split"], columns="estimator", values="log_likelihood"
    )
    gap = (ends["hmc"] - ends["importance_sampling"]).abs()
    assert values["estimator_gap"] == pytest.approx(gap.mean(), rel=1e-12)
    assert values["estimator_gap/worst"] == pytest.approx(gap.max(), rel=1e-12)

    summary = read_csv(done / "summary.csv")
    assert set(summary["verdict"]) == {"info"}  # for bands are not meant for these settings
    assert dict(zip(summary["metric"], summary["mean"], strict=True)) == dict(values)
    run = json.loads((done / "run.json").read_text())
    assert [trial["label"] for trial in run["trials"]] == [
        f"method={method},train_size=500,binarization=none,seed=0"
        for method in ("aevb", "wake_sleep", "mcem")
    ]
    assert all(t["seconds"] > 0 and t["peak_memory_mb"] < 2000 for t in run["trials"])
    assert run["overrides"] == TINY[4:]
    assert run["versions"]["torch"] and run["device"].startswith("cpu: ")
    assert all(len(trial["code"]["data"]) == 64 for trial in run["trials"])
    assert run["grid"][0]["settings"]["hidden"] == 10
    for figure in ("figure3", "figure3_seconds"):
        assert (done / f"{figure}.png").read_bytes().startswith(b"\x89PNG")
        assert 0 < (done / f"{figure}.svg").stat().st_size < 500_000


def test_trained_models_load(done: Path) -> None:
    import dgm as package

    (path,) = done.glob("trials/method=aevb*/vae.safetensors")
    model = package.load(path)
    assert (model.config["visible"], model.config["hidden"]) == (64, 10)
    assert model.encoder(torch.zeros(2, 64)).mean.shape == (2, 3)
    assert model.about["settings"]["method"] == "aevb"
    assert model.about["chosen"]["rate"] in (0.01, 0.02, 0.1)


def test_jobs_give_the_same_tables(done: Path, here: Callable[..., str], tmp_path: Path) -> None:
    here("run", R, *TINY, "--jobs", 2, "--out", tmp_path)
    for name in ("metrics", "curves", "estimators", "pilot"):
        theirs = (tmp_path / R / "embedded" / f"{name}.csv").read_bytes()
        assert (done / f"{name}.csv").read_bytes() == theirs


def test_plot_draws_the_same_figures_from_the_tables(
    done: Path, here: Callable[..., str], tmp_path: Path
) -> None:
    copy = tmp_path / R / "embedded"
    copy.mkdir(parents=True)
    for pattern in ("*.csv", "*.npz", "run.json"):
        for path in done.glob(pattern):
            (copy / path.name).write_bytes(path.read_bytes())
    assert "figure3.png" in here("plot", R, "--preset", "embedded", "--out", tmp_path)
    for path in done.glob("*.svg"):
        assert (copy / path.name).read_bytes() == path.read_bytes()


# --- what a user may get wrong ---------------------------------------------------------------


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine without MNIST and without a network."""
    from dgm import data
    from dgm.data.images import mnist

    monkeypatch.setenv("DGM_DATA", str(tmp_path / "empty"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(mnist, "MIRRORS", ("http://127.0.0.1:9/", "http://127.0.0.1:10/"))
    data.load.cache_clear()
    yield
    data.load.cache_clear()


@pytest.mark.usefixtures("offline")
def test_without_data_the_embedded_preset_is_run_and_says_so(
    here: Callable[..., str], tmp_path: Path
) -> None:
    own = [override for override in TINY[4:] if "train_size" not in override]
    said = here("run", R, *own, "method=aevb", "--jobs", 1, "--out", tmp_path)
    assert "NOTE: mnist: no mirror answered" in said
    assert "running the embedded preset instead" in said
    assert "these are the embedded preset's, not the paper's" in said
    assert (tmp_path / R / "embedded" / "summary.csv").exists()
    assert not (tmp_path / R / "paper").exists()
    run = json.loads((tmp_path / R / "embedded" / "run.json").read_text())
    assert run["preset"] == "embedded"
    assert run["fell_back"].startswith("mnist: no mirror answered")


@pytest.mark.usefixtures("offline")
def test_no_fallback_makes_missing_data_an_error(here: Callable[..., str], tmp_path: Path) -> None:
    started = time.monotonic()
    assert "mnist: no mirror answered" in here("run", R, "--no-fallback", "--out", tmp_path, code=3)
    assert time.monotonic() - started < 10
    assert not list(tmp_path.glob("*/*"))
    assert "mnist: train-images" in here("data", "list")
    assert "mnist: not here" in here("data", "verify")


@pytest.mark.usefixtures("offline")
def test_altered_data_is_an_error_and_no_reason_to_fall_back(
    here: Callable[..., str], tmp_path: Path
) -> None:
    from dgm.data.images.mnist import FILES

    for file in FILES:
        path = tmp_path / "empty" / "mnist" / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\x1f\x8b truncated")
    said = here("run", R, *ONE, "data=mnist", "--out", tmp_path / "out", code=2)
    assert "train-images-idx3-ubyte.gz: is truncated or damaged" in said
    assert files.find("mnist", FILES[0])


def test_a_folder_that_cannot_be_written(here: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / R).write_text("in the way")
    assert f"{tmp_path / R}" in here("run", R, *ONE, "--out", tmp_path, code=3)


def test_a_full_disk_is_told_and_what_was_written_stays(
    done: Path, here: Callable[..., str], tmp_path: Path
) -> None:
    """No file may grow beyond 2 kB, which is what a write to a full disk looks like."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))

    folder = tmp_path / R / "embedded"
    shutil.copytree(done, folder)
    (lost,) = folder.glob("trials/method=aevb*")
    shutil.rmtree(lost)
    before = {path.name: path.read_bytes() for path in folder.glob("[!.]*.*")}
    full = dgm("run", R, *TINY, "--out", tmp_path, preexec_fn=limit)
    assert full.returncode == 3
    assert "cannot be written: File too large" in full.stderr
    assert all((folder / name).read_bytes() == content for name, content in before.items())
    assert not list(folder.rglob("*.tmp"))
    here("run", R, *TINY, "--out", tmp_path)
    assert_frame_equal(read_metrics(folder / "metrics.csv"), read_metrics(done / "metrics.csv"))


def test_a_trial_that_diverges_is_told_and_the_others_go_on(
    here: Callable[..., str], tmp_path: Path
) -> None:
    line = here("run", R, *ONE, "grid.rates=[[1e30], [0.1]]", "--out", tmp_path, code=3)
    failed = "method=aevb,train_size=500,binarization=none,rates=[1e+30],seed=0: train"
    assert failed in line
    assert "step 30, rate=1e+30: " in line and "is not finite" in line
    folder = tmp_path / R / "embedded"
    assert list(read_csv(folder / "curves.csv")["rates"].unique()) == ["[0.1]"]
    (folder / "figure3_rates=[0.1].png").stat()
    metrics = set(read_metrics(folder / "metrics.csv")["metric"])
    assert "test_log_likelihood/aevb/n500/rates=[0.1]" in metrics
    run = json.loads((folder / "run.json").read_text())
    assert list(run["failed"]) == [failed.partition(": ")[0]]
