"""Metrics: statistics against scipy, verdicts, and what `check` prints."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from dgm.errors import DgmError
from dgm.files import read_csv, write_csv
from dgm.recipe.schema import Expectation
from dgm.report.summary import (
    SUMMARY,
    Metric,
    check_table,
    measured_text,
    read_metrics,
    summary,
    write_metrics,
)


def expect(metric: str, **keys: Any) -> Expectation:
    return Expectation.model_validate({"metric": metric, "measures": "per image", **keys})


def table(*metrics: tuple[str, int, float]) -> pd.DataFrame:
    return pd.DataFrame(metrics, columns=["metric", "seed", "value"])


def test_metrics_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "new" / "metrics.csv"
    metrics = [
        Metric("score/b", 1, 0.1 + 0.2, 1 / 3),
        Metric("score/a", 0, float(np.float32(1 / 3))),
        Metric("score/a, with a comma", 0, -1e-300),
        Metric("tiny", 2, float("nan")),
        Metric("huge", 2, float("-inf")),
    ]
    write_metrics(path, metrics)
    first = path.read_bytes()
    assert first.startswith(
        b"metric,seed,value,test_stderr\n"
        b"score/b,1,0.30000000000000004,0.3333333333333333\nscore/a,0,0.3333333432674408,\n"
    )
    read = read_metrics(path)
    assert [tuple(row)[:3] for row in read.itertuples(index=False)][:3] == [m[:3] for m in metrics][
        :3
    ]
    assert read["test_stderr"][0] == 1 / 3
    assert read["test_stderr"][1:].isna().all()
    assert np.isnan(read["value"][3])
    assert read["value"][4] == -np.inf
    write_metrics(path, (Metric(*row) for row in read.itertuples(index=False)))
    assert path.read_bytes() == first
    write_metrics(path, [])
    assert len(read_metrics(path)) == 0
    assert list(summary(read_metrics(path), [expect("a", at_least=0)], "paper")["verdict"]) == [
        "missing"
    ]


def test_metrics_of_before_there_were_standard_errors(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("metric,seed,value\na,0,0.5\n")
    assert read_metrics(path)["value"].tolist() == [0.5]
    assert read_metrics(path)["test_stderr"].isna().tolist() == [True]


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
    assert row["half_width"] == pytest.approx((high - low) / 2, rel=1e-12)
    assert row["verdict"] == "info"


def test_one_seed_has_no_spread(tmp_path: Path) -> None:
    frame = summary(
        table(("score", 0, 1.5)), [expect("score", reported=2, better="lower")], "paper"
    )
    assert list(frame.columns) == SUMMARY
    write_csv(frame, tmp_path / "summary.csv")
    assert (tmp_path / "summary.csv").read_text().splitlines()[1] == (
        "score,1.5,,1,,,,,,nats,per image,2.0,lower,,,,,info,about,"
        "one seed; test set's share unknown"
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
        ([3.0], {"reported": 3, "better": "lower"}, "info"),
        ([], {"at_least": 0}, "missing"),
        ([], {"reported": 3, "better": "lower"}, "info"),
    ],
)
def test_verdicts(values: list[float], band: dict[str, Any], verdict: str) -> None:
    metrics = table(*(("score", seed, value) for seed, value in enumerate(values)))
    metrics = metrics.astype({"value": float})
    (row,) = summary(metrics, [expect("score", **band)], "paper").to_dict("records")
    assert row["verdict"] == verdict


def test_a_band_holds_for_its_presets_only() -> None:
    entries = [
        expect(
            "score",
            at_least=-134,
            reported=-130,
            better="higher",
            source="Figure 3",
            presets=["paper"],
        ),
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
    assert paper["score"]["reproduction"] == "about"  # better, but one seed
    assert pd.isna(embedded["score"]["reproduction"])
    assert quick["score"]["verdict"] == "info"
    assert np.isnan(quick["score"]["low"])
    assert (quick["score"]["source"], quick["score"]["measures"]) == ("Figure 3", "per image")
    assert "gap" not in quick  # neither expected here nor measured


def test_both_kinds_of_verdict() -> None:
    """The test set's share is in the half-width, and an error of one seed has the exact interval;
    a claim follows its band, and what was not measured is open."""
    metrics = pd.DataFrame(
        [
            Metric("error/net", 0, 1.2, 0.1),
            Metric("error/net", 1, 1.3),  # a trial of before
            Metric("error/knn", 0, 2.82, 100 * (0.0282 * 0.9718 / 10_000) ** 0.5),
            Metric("lead", 0, 1.0),
        ]
    )
    entries = [
        expect("error/net", reported=0.9, better="lower", unit="percent"),
        expect("error/knn", reported=2.8, better="lower", unit="percent", deterministic=True),
        expect("error/svm", reported=1.4, better="lower", unit="percent"),
        expect("lead", claim="the net is ahead", at_least=1),
        expect("gain", claim="it gains", at_least=0),
    ]
    frame = summary(metrics, entries, "paper").set_index("metric")
    assert frame["reproduction"].to_dict() == {
        "error/net": "agrees",
        "error/knn": "agrees",
        "error/svm": "open",
        "lead": "holds",
        "gain": "open",
    }
    assert frame["verdict"].tolist() == ["info", "info", "info", "pass", "missing"]
    assert frame["test_stderr"]["error/net"] == 0.1
    of_seeds = 12.706204736432095 * 0.05
    assert frame["half_width"]["error/net"] == pytest.approx(
        np.hypot(of_seeds, 1.96 * 0.1), rel=1e-9
    )
    low, high = scipy.stats.binomtest(282, 10_000).proportion_ci(0.95, "exact")
    assert frame["half_width"]["error/knn"] == pytest.approx(50 * (high - low), rel=1e-9)
    overridden = summary(metrics, entries, "paper", overridden=True)
    assert overridden["reproduction"].isna().all()


def test_an_interval_wider_than_half_the_effect_says_about_at_most() -> None:
    metrics = pd.DataFrame([Metric("a", seed, 1.2, 0.1) for seed in (0, 1)])
    entry = {"reported": 1.25, "better": "lower", "against": "b"}
    for competitor, verdict in ((2.0, "about"), (2.05, "agrees")):  # an interval of 0.39
        entries = [expect("a", **entry), expect("b", reported=competitor, better="lower")]
        row = summary(metrics, entries, "paper").iloc[0]
        assert row["reproduction"] == verdict


def test_check_table() -> None:
    metrics = table(
        ("score", 0, -133.0),
        ("score", 1, -134.0),
        ("rate", 0, 0.9),
        ("lead", 0, 1.0),
        ("a", 0, 2.0),
    )
    entries = [
        expect("score", at_least=-134, reported=-130, better="higher"),
        expect("gap", at_most=0.5),
        expect("rate", at_least=0.95, at_most=1),
        expect("lead", claim="it leads", at_least=1),
    ]
    judged = summary(metrics, entries, "paper")
    text = check_table({"toy": judged, "b": summary(metrics[:3], [], "x")})
    assert text.splitlines() == [
        "  metric  measured      seeds  reported      band",
        "toy",
        "  score   -133.5 ± 6.4  2      -130: agrees  at least -134: pass",
        "  gap     not measured                       at most 0.5: missing",
        "  rate    0.9           1                    0.95 to 1: fail",
        "  lead    1             1      claim: holds  at least 1: pass",
        "  a       2             1",
        "b",
        "  score   -133.5 ± 6.4  2",
        "  rate    0.9           1",
        "bands: 2 pass, 1 fail, 1 missing, 3 info",
        "reproduction: 1 agrees, 1 holds",
    ]
    assert "  a " not in check_table({"toy": judged}, every=False)


def test_values_that_are_no_numbers_are_shown() -> None:
    metrics = table(("a", 0, np.nan), ("b", 0, np.inf), ("c", 0, np.nan), ("c", 1, 1.0))
    rows = summary(metrics, [expect("a", at_least=0)], "paper").to_dict("records")
    assert [measured_text(row) for row in rows] == [
        "nan",
        "inf",
        "nan",
    ]
    assert rows[0]["verdict"] == "fail"


def test_other_settings_than_the_recipes_are_not_judged() -> None:
    entries = [expect("score", at_least=0, reported=2, better="higher"), expect("gap", at_most=1)]
    (row,) = summary(table(("score", 0, -1.0)), entries, "paper", overridden=True).to_dict(
        "records"
    )
    assert (row["metric"], row["verdict"], row["reported"]) == ("score", "info", 2)
    assert np.isnan(row["low"])


def test_a_file_that_is_no_table(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    for content in (b"", b"metric,seed\na,0\n", b"metric,seed,value\na,x,1\n", b"\xff\xfe\n1,2\n"):
        path.write_bytes(content)
        with pytest.raises(DgmError, match=r"metrics\.csv: is not a table"):
            read_metrics(path)


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
