"""Results: statistics against scipy, verdicts, and files that are whole or not there."""

import errno
import io
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from dgm.engine.results import rows_of
from dgm.errors import BadInput, DgmError
from dgm.files import atomic_write, read_csv, read_npz, write_csv, write_npz
from dgm.recipe.schema import Expectation
from dgm.report.summary import (
    SUMMARY,
    Metric,
    check_table,
    diff,
    read_metrics,
    summary,
    write_metrics,
)
from dgm.report.tables import by_cell, own_axes, read_label


def expect(metric: str, **keys: Any) -> Expectation:
    return Expectation.model_validate({"metric": metric, "measures": "per image", **keys})


def table(*metrics: tuple[str, int, float]) -> pd.DataFrame:
    return pd.DataFrame(metrics, columns=["metric", "seed", "value"])


def test_metrics_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "new" / "metrics.csv"
    metrics = [
        Metric("score/b", 1, 0.1 + 0.2),
        Metric("score/a", 0, float(np.float32(1 / 3))),
        Metric("score/a, with a comma", 0, -1e-300),
        Metric("tiny", 2, float("nan")),
        Metric("huge", 2, float("-inf")),
    ]
    write_metrics(path, metrics)
    first = path.read_bytes()
    assert first.startswith(b"metric,seed,value\nscore/b,1,0.30000000000000004\n")
    read = read_metrics(path)
    assert [tuple(row) for row in read.itertuples(index=False)][:3] == metrics[:3]
    assert np.isnan(read["value"][3])
    assert read["value"][4] == -np.inf
    write_metrics(path, (Metric(*row) for row in read.itertuples(index=False)))
    assert path.read_bytes() == first
    write_metrics(path, [])
    assert len(read_metrics(path)) == 0
    assert list(summary(read_metrics(path), [expect("a", at_least=0)], "paper")["verdict"]) == [
        "missing"
    ]


def test_two_cells_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DgmError, match="two cells of the grid give a with seed 1"):
        write_metrics(tmp_path / "m.csv", [Metric("a", 1, 0.5), Metric("a", 1, 0.7)])


def test_statistics_are_scipys() -> None:
    values = np.random.default_rng(0).normal(-130, 2, size=7)
    metrics = table(*(("score", seed, value) for seed, value in enumerate(values)))
    (row,) = summary(metrics, [], "paper").to_dict("records")
    low, high = scipy.stats.t.interval(0.95, 6, values.mean(), scipy.stats.sem(values))
    assert row["n"] == 7
    assert row["mean"] == pytest.approx(values.mean(), rel=1e-14)
    assert row["std"] == pytest.approx(scipy.stats.tstd(values), rel=1e-12)
    assert row["stderr"] == pytest.approx(scipy.stats.sem(values), rel=1e-12)
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((low, high), rel=1e-12)
    assert row["verdict"] == "info"


def test_one_seed_has_no_spread(tmp_path: Path) -> None:
    frame = summary(table(("score", 0, 1.5)), [expect("score", reported=2, unit="nats")], "paper")
    assert list(frame.columns) == SUMMARY
    write_csv(frame, tmp_path / "summary.csv")
    assert (tmp_path / "summary.csv").read_text().splitlines()[1] == (
        "score,1.5,,1,,,,nats,per image,2.0,,,,info"
    )
    pd.testing.assert_frame_equal(
        read_csv(tmp_path / "summary.csv")[["metric", "mean", "n", "reported", "verdict"]],
        frame[["metric", "mean", "n", "reported", "verdict"]],
    )


@pytest.mark.parametrize(
    ("values", "band", "verdict"),
    [
        ([-133.0, -134.9], {"at_least": -134}, "pass"),  # the mean, not each seed
        ([-134.1], {"at_least": -134}, "fail"),
        ([0.5], {"at_most": 0.5}, "pass"),
        ([0.51], {"at_most": 0.5}, "fail"),
        ([1.9], {"equals": 2, "tolerance": 0.125}, "pass"),
        ([2.2], {"equals": 2, "tolerance": 0.125}, "fail"),
        ([0.0], {"at_least": 1, "at_most": 2}, "fail"),
        ([1.0, float("nan")], {"at_least": 0}, "fail"),
        ([float("inf")], {"at_least": 0}, "fail"),
        ([3.0], {"reported": 3}, "info"),
        ([], {"at_least": 0}, "missing"),
    ],
)
def test_verdicts(values: list[float], band: dict[str, float], verdict: str) -> None:
    metrics = table(*(("score", seed, value) for seed, value in enumerate(values)))
    metrics = metrics.astype({"value": float})
    (row,) = summary(metrics, [expect("score", **band)], "paper").to_dict("records")
    assert row["verdict"] == verdict


def test_a_band_holds_for_its_presets_only() -> None:
    entries = [
        expect("score", at_least=-134, reported=-130, source="Figure 3", presets=["paper"]),
        expect("score", at_least=-20, source="our own", presets=["embedded"]),
        expect("gap", at_most=1, presets=["paper"]),
    ]
    metrics = table(("other", 0, 1.0), ("score", 0, -25.0))

    def rows(preset: str) -> dict[str, Any]:
        frame = summary(metrics, entries, preset)
        return {row["metric"]: row for row in frame.to_dict("records")}

    paper, quick, embedded = rows("paper"), rows("quick"), rows("embedded")
    assert [row["verdict"] for row in paper.values()] == ["pass", "missing", "info"]
    assert list(paper) == ["score", "gap", "other"]
    assert (paper["score"]["low"], paper["score"]["reported"]) == (-134, -130)
    assert (embedded["score"]["verdict"], embedded["score"]["low"]) == ("fail", -20)
    assert np.isnan(embedded["score"]["reported"])  # the paper's number is for the paper's data
    assert quick["score"]["verdict"] == "info"
    assert np.isnan(quick["score"]["low"])
    assert (quick["score"]["source"], quick["score"]["measures"]) == ("Figure 3", "per image")
    assert "gap" not in quick  # neither expected here nor measured


def test_check_table() -> None:
    metrics = table(("score", 0, -133.0), ("score", 1, -134.0), ("rate", 0, 0.9))
    entries = [
        expect("score", at_least=-134, reported=-130),
        expect("gap", at_most=0.5),
        expect("rate", at_least=0.95, at_most=1),
    ]
    text = check_table({"toy": summary(metrics, entries, "paper"), "b": summary(metrics, [], "x")})
    assert text.splitlines() == [
        "recipe  metric  measured                reported  band           verdict",
        "toy     score   -133.5 ± 0.5 (2 seeds)  -130      at least -134  pass",
        "toy     gap     not measured                      at most 0.5    missing",
        "toy     rate    0.9 (1 seed)                      0.95 to 1      fail",
        "b       score   -133.5 ± 0.5 (2 seeds)                           info",
        "b       rate    0.9 (1 seed)                                     info",
        "1 pass, 1 fail, 1 missing, 2 info",
    ]


def test_diff(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    one = [Metric("same", 0, 1.0), Metric("moved", 0, 1.0), Metric("moved", 1, 2.0)]
    write_metrics(a / "metrics.csv", [*one, Metric("nan", 0, np.nan), Metric("old", 0, 0.0)])
    moved = [Metric("same", 0, 1.0), Metric("moved", 0, 1.0), Metric("moved", 1, 2.5)]
    write_metrics(b / "metrics.csv", [*moved, Metric("nan", 0, np.nan), Metric("new", 0, 0.0)])
    assert diff(a, a) == "no differences"
    assert diff(a, b).splitlines() == [
        "moved: 1.5 and 1.75, difference +0.25",
        f"old: only in {a}",
        f"new: only in {b}",
    ]
    with pytest.raises(BadInput, match=r"c.metrics\.csv: no such results"):
        diff(a, tmp_path / "c")


def test_a_file_that_is_no_table(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    for content in (b"", b"metric,seed\na,0\n", b"metric,seed,value\na,x,1\n", b"\xff\xfe\n1,2\n"):
        path.write_bytes(content)
        with pytest.raises(DgmError, match=r"metrics\.csv: is not a table"):
            read_metrics(path)


def test_arrays_come_back_and_their_bytes_do_not_depend_on_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrays: dict[str, np.ndarray] = {
        "method=aevb,seed=0": np.arange(6, dtype=np.float32).reshape(2, 3),
        "b/c": np.asfortranarray(np.eye(3)),
        "empty": np.empty((0, 4), np.int64),
        "scalar": np.array(2.5),
    }
    write_npz(tmp_path / "a.npz", arrays)
    monkeypatch.setattr("time.time", lambda: 2_000_000_000.0)
    write_npz(tmp_path / "b.npz", arrays)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    read = read_npz(tmp_path / "a.npz")
    assert list(read) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array, strict=True)


def test_nothing_is_pickled_or_unpickled(tmp_path: Path) -> None:
    objects = np.array([{"a": 1}], dtype=object)
    with pytest.raises(ValueError, match="pickle"):
        write_npz(tmp_path / "a.npz", {"a": objects})
    assert list(tmp_path.iterdir()) == []
    np.savez(tmp_path / "a.npz", a=objects)
    with pytest.raises(DgmError, match=r"a\.npz: is not readable as arrays"):
        read_npz(tmp_path / "a.npz")
    (tmp_path / "b.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:100])
    with pytest.raises(DgmError, match=r"b\.npz: is not readable as arrays"):
        read_npz(tmp_path / "b.npz")
    with pytest.raises(BadInput, match="no such results"):
        read_npz(tmp_path / "c.npz")


def test_a_write_replaces_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "x.txt"
    atomic_write(path, "a long first line\n")
    atomic_write(path, "π\n")
    assert path.read_bytes() == "π\n".encode()
    assert [p.name for p in path.parent.iterdir()] == ["x.txt"]
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_a_write_that_fails_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    path = tmp_path / "metrics.csv"
    path.write_text("old")
    monkeypatch.setattr(os, call, fail)
    with pytest.raises(DgmError) as caught:
        write_metrics(path, [Metric("a", 0, 1.0)])
    assert str(caught.value) == f"{path}: cannot be written: {os.strerror(number)}"
    assert caught.value.exit_code == 3
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["metrics.csv"]


def test_a_file_that_may_not_grow_further(tmp_path: Path) -> None:
    """A real refusal of the kernel's amid writing, as when the disk is full."""
    path = tmp_path / "big.npz"
    path.write_bytes(b"old")
    code = (
        "import resource, sys, numpy as np; from dgm.files import write_npz\n"
        "from dgm.errors import DgmError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: write_npz(sys.argv[1], {'a': np.random.default_rng(0).random(10000)})\n"
        "except DgmError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{path}: cannot be written: File too large\n"
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DgmError, match=r"x\.csv: cannot be written: File exists"):
        atomic_write(tmp_path / "file" / "x.csv", "a")


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(DgmError, match=r"x\.csv: cannot be written: Permission denied"):
        atomic_write(tmp_path / "x.csv", "a")
    tmp_path.chmod(0o700)


def test_a_pattern_describes_what_has_no_entry_of_its_own() -> None:
    entries = [
        expect("score/a", at_least=0.0, presets=["paper"]),
        expect("score/*/binary", unit="bits"),
        expect("score/*", unit="shares"),
    ]
    metrics = table(("score/b", 0, 1.0), ("score/a", 0, 2.0), ("score/b/binary", 0, 3.0))
    frame = summary(metrics, entries, "paper")
    assert frame[["metric", "unit", "verdict"]].to_numpy().tolist() == [
        ["score/a", "nats", "pass"],
        ["score/b", "shares", "info"],
        ["score/b/binary", "bits", "info"],
    ]
    quick = summary(metrics, entries, "quick").set_index("metric")
    assert (quick["unit"]["score/a"], quick["verdict"]["score/a"]) == ("shares", "info")


def test_rows_by_cell() -> None:
    """Axes are the columns up to the seed, a user's own among them."""
    table = pd.DataFrame(
        {
            "method": ["a", "b", "a", "a"],
            "hidden": [5, 5, 5, 7],
            "seed": [0, 0, 1, 0],
            "value": [1.0, 2.0, 3.0, 4.0],
        }
    )
    cells = [(cell, rows["value"].tolist()) for cell, rows in by_cell(table)]
    assert cells == [
        ({"method": "a", "hidden": 5, "seed": 0}, [1.0]),
        ({"method": "b", "hidden": 5, "seed": 0}, [2.0]),
        ({"method": "a", "hidden": 5, "seed": 1}, [3.0]),
        ({"method": "a", "hidden": 7, "seed": 0}, [4.0]),
    ]
    assert [own_axes(cell, ["method"]) for cell, _ in cells][::3] == ["/hidden=5", "/hidden=7"]
    merged = [(cell, len(rows)) for cell, rows in by_cell(table, without=["method", "seed"])]
    assert merged == [({"hidden": 5}, 3), ({"hidden": 7}, 1)]
    blank = table.assign(hidden=[None, 5.0, None, 7.0])  # a setting of None, as read back
    own = [(cell["hidden"], len(rows)) for cell, rows in by_cell(blank, without=["seed"])]
    assert own == [(None, 2), (5, 1), (7, 1)]


def test_a_label_is_read_back() -> None:
    label = "data=mnist,rates=[0.01, 0.02],name=a=b,seed=3"
    assert read_label(label) == {
        "data": "mnist",
        "rates": "[0.01, 0.02]",
        "name": "a=b",
        "seed": "3",
    }


def test_a_trials_part_of_a_runs_table() -> None:
    """Axes that are blank, or numbers beside words; and columns that are blank in all rows."""
    table = pd.read_csv(
        io.StringIO(
            "std,rate,seed,step,stage\n,0.1,0,1,\n,0.1,0,2,\n0.5,0.1,0,1,\n,auto,0,1,\n,0.1,1,1,\n"
        )
    )
    for cell, steps in (
        ({"std": None, "rate": 0.1, "seed": 0}, [1, 2]),
        ({"std": 0.5, "rate": 0.1, "seed": 0}, [1]),
        ({"std": None, "rate": "auto", "seed": 0}, [1]),
        ({"std": None, "rate": 0.1, "seed": 1}, [1]),
    ):
        own = rows_of(table, cell)
        assert own["step"].tolist() == steps
        assert list(own.columns) == ["step", "stage"]
