"""Metrics, their summary over seeds, and two kinds of verdict, which are never mixed.

A metric's mean m over n seeds, its standard deviation s (n - 1 degrees of freedom), standard
error s / sqrt(n), and Student's 95 % interval m -+ t(0.975; n - 1) s / sqrt(n). The half-width
also has the finite test set's share (`dgm.report.reproduction`), if it is known.

The verdict is on the band, which is what we ask of ourselves; the reproduction is of what was
reported.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from dgm.errors import DgmError
from dgm.files import read_csv, write_csv
from dgm.recipe.schema import Expectation, competitor
from dgm.report import reproduction
from dgm.report.reproduction import Reproduction
from dgm.text import as_given, columns, number

SUMMARY = (
    ["metric", "mean", "std", "n", "stderr", "ci_low", "ci_high", "test_stderr", "half_width"]
    + ["unit", "measures", "reported", "better", "source", "claim", "low", "high", "verdict"]
    + ["reproduction", "note"]
)  # fmt: skip


class Metric(NamedTuple):
    """One number that one seed gave, and its standard error over the images of a test set."""

    metric: str
    seed: int
    value: float
    test_stderr: float = math.nan  # sigma / sqrt(N) of a mean over N images; NaN: not known


def write_metrics(path: Path, metrics: Iterable[Metric]) -> None:
    """metrics.csv, in the order given; floats in full, so that reading gives the same values.

    DgmError where two cells have one name.
    """
    rows = [
        Metric(metric, int(seed), float(value), float(stderr))
        for metric, seed, value, stderr in metrics
    ]
    for (metric, seed), times in Counter(row[:2] for row in rows).items():
        if times > 1:  # or else their mean would pass for one over seeds
            raise DgmError(f"{path}: two cells of the grid give {metric} with seed {seed}")
    write_csv(pd.DataFrame(rows, columns=list(Metric._fields)), path)


def read_metrics(path: Path) -> pd.DataFrame:
    """What `write_metrics` wrote, now or before there were standard errors; BadInput when it is
    not there."""
    frame = read_csv(path)
    types = {"metric": str, "seed": int, "value": float, "test_stderr": float}
    try:
        return frame.assign(test_stderr=frame.get("test_stderr", math.nan))[[*types]].astype(types)
    except (KeyError, ValueError, OverflowError, TypeError) as error:
        raise DgmError(f"{path}: is not a table of metric, seed, value: {error}") from error


def summary(
    metrics: pd.DataFrame, expect: list[Expectation], preset: str, overridden: bool = False
) -> pd.DataFrame:
    """One row a metric, expected ones first; columns as in SUMMARY.

    The verdict is on the mean: `pass` or `fail` its band in this preset, `info` where there is
    none, `missing` where there is one but no value. One seed has no std, stderr or interval.
    Bands and reported values are for the recipe's own settings: `overridden` ones are not judged.
    """
    seeds = {
        str(metric): rows
        for metric, rows in metrics.reindex(columns=Metric._fields).groupby("metric", sort=False)
    }
    rows = []
    own = [entry.metric for entry in expect if not entry.is_pattern]
    for metric in dict.fromkeys([*own, *seeds]):
        entries = [entry for entry in expect if entry.describes(metric)]
        entries.sort(key=lambda entry: entry.is_pattern)  # its own before patterns, as they stand
        entry = next((e for e in entries if e.applies_to(preset)), None)
        low, high = entry.band if entry and not overridden else (None, None)
        unit = (entry or entries[0]).unit if entries else None
        row = {"metric": metric, **_statistics(seeds.get(metric, metrics.iloc[:0]), unit)}
        row |= {"low": low, "high": high, "verdict": _verdict(row["mean"], row["n"], low, high)}
        if entry:
            row |= {key: getattr(entry, key) for key in ("reported", "better", "claim")}
        if entry and not overridden:
            found = _reproduction(row, entry, competitor(expect, entry, preset))
            row |= {"reproduction": found.verdict or None, "note": found.note or None}
        if entries:
            described = entry or entries[0]
            row |= {key: getattr(described, key) for key in ("unit", "measures", "source")}
        if row["n"] or row["verdict"] == "missing" or row.get("reproduction"):
            rows.append(row)
    numbers = ["mean", "std", "stderr", "ci_low", "ci_high", "test_stderr", "half_width"]
    numbers += ["reported", "low", "high"]
    return pd.DataFrame(rows, columns=SUMMARY).astype(dict.fromkeys(numbers, float) | {"n": int})


def _statistics(rows: pd.DataFrame, unit: str | None) -> dict[str, Any]:
    """Of the seeds of one metric. Seeds are tested on the same images: `test_stderr` is the mean
    of those that know theirs."""
    from scipy.special import stdtrit  # slow to import

    values = rows["value"].to_numpy(dtype=float)
    n = len(values)
    known = rows["test_stderr"].dropna() if n else rows["value"]
    test_stderr = float(known.mean()) if len(known) else math.nan
    row: dict[str, Any] = {"n": n, "mean": float(values.mean()) if n else None}
    row |= {"test_stderr": test_stderr}
    if n > 1:
        mean, std = row["mean"], float(values.std(ddof=1))
        stderr = std / math.sqrt(n)
        half = float(stdtrit(n - 1, 0.975)) * stderr
        row |= {"std": std, "stderr": stderr, "ci_low": mean - half, "ci_high": mean + half}
    row["interval"] = reproduction.interval(values.tolist(), test_stderr, unit == "percent")
    row["half_width"] = row["interval"].half_width if row["interval"] else None
    return row


def _reproduction(
    row: Mapping[str, Any], entry: Expectation, against: float | None
) -> Reproduction:
    """The verdict on an entry's reported value or claim; a blank one where it has neither."""
    if entry.claim is not None:
        return reproduction.judge_claim(row["verdict"])
    if entry.reported is None or entry.better is None:
        return Reproduction("")
    return reproduction.judge(
        entry.reported,
        entry.better,
        math.nan if row["mean"] is None else row["mean"],
        row["n"],
        row["interval"],
        recalled=entry.recalled,
        deterministic=entry.deterministic,
        effect=math.nan if against is None else abs(entry.reported - against),
        share_known=not math.isnan(row["test_stderr"]),
    )


def _verdict(mean: float, n: int, low: float | None, high: float | None) -> str:
    if low is None and high is None:
        return "info"
    if n == 0:
        return "missing"
    above = low is None or mean >= low
    below = high is None or mean <= high
    return "pass" if math.isfinite(mean) and above and below else "fail"


def measured_text(row: Mapping[Any, Any]) -> str:
    """ "-133.21 ± 0.34", with the half-width where it is known, for a row of a summary."""
    if row["n"] == 0:
        return "not measured"
    return number(row["mean"], row["half_width"]) or "nan"


def seeds_text(row: Mapping[Any, Any]) -> str:
    return str(row["n"]) if row["n"] else ""


def reported_text(row: Mapping[Any, Any]) -> str:
    """ "1.25: agrees", "claim: holds", or nothing; without the verdict where there is none."""
    text = as_given(row["reported"]) if pd.isna(row["claim"]) else "claim"
    return text if pd.isna(row["reproduction"]) else f"{text}: {row['reproduction']}"


def band_text(row: Mapping[Any, Any]) -> str:
    """ "at least -134", "at most 0.5", "1 to 2" or nothing."""
    low, high = row["low"], row["high"]
    if pd.isna(low):
        return "" if pd.isna(high) else f"at most {as_given(high)}"
    return f"at least {as_given(low)}" if pd.isna(high) else f"{as_given(low)} to {as_given(high)}"


def check_table(summary_by_recipe: dict[str, pd.DataFrame], every: bool = True) -> str:
    """Every metric, or every one that is judged, with both verdicts; then how many have which.

    The metrics of a recipe stand below its name.
    """
    rows: list[tuple[str, ...]] = [("  metric", "measured", "seeds", "reported", "band")]
    bands: Counter[str] = Counter()
    reported: Counter[str] = Counter()
    for recipe, frame in summary_by_recipe.items():
        bands.update(frame["verdict"])
        reported.update(frame["reproduction"].dropna())
        rows.append((recipe,))
        for row in frame.to_dict("records"):
            if every or row["verdict"] != "info" or not pd.isna(row["reproduction"]):
                band = f"{band_text(row)}: {row['verdict']}" if band_text(row) else ""
                texts = (measured_text(row), seeds_text(row), reported_text(row), band)
                rows.append((f"  {row['metric']}", *texts))
    count = ", ".join(f"{bands[v]} {v}" for v in ("pass", "fail", "missing", "info"))
    return "\n".join(
        [*columns(rows), f"bands: {count}", f"reproduction: {reproduction.counts_text(reported)}"]
    )
