"""Metrics, their summary over seeds, and verdicts.

A metric's mean m over n seeds, its standard deviation s (n - 1 degrees of freedom), standard
error s / sqrt(n), and Student's 95 % interval m -+ t(0.975; n - 1) s / sqrt(n).
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from dgm.errors import DgmError
from dgm.files import read_csv, write_csv
from dgm.recipe.schema import Expectation
from dgm.text import columns, counted, number

SUMMARY = (
    ["metric", "mean", "std", "n", "stderr", "ci_low", "ci_high", "unit", "measures"]
    + ["reported", "source", "low", "high", "verdict"]
)  # fmt: skip


class Metric(NamedTuple):
    """One number that one seed gave."""

    metric: str
    seed: int
    value: float


def write_metrics(path: Path, metrics: Iterable[Metric]) -> None:
    """metrics.csv, in the order given; floats in full, so that reading gives the same values.

    DgmError where two cells have one name.
    """
    rows = [Metric(metric, int(seed), float(value)) for metric, seed, value in metrics]
    for (metric, seed), times in Counter(row[:2] for row in rows).items():
        if times > 1:  # or else their mean would pass for one over seeds
            raise DgmError(f"{path}: two cells of the grid give {metric} with seed {seed}")
    write_csv(pd.DataFrame(rows, columns=list(Metric._fields)), path)


def read_metrics(path: Path) -> pd.DataFrame:
    """What `write_metrics` wrote; BadInput when it is not there."""
    frame = read_csv(path)
    try:
        return frame[list(Metric._fields)].astype({"metric": str, "seed": int, "value": float})
    except (KeyError, ValueError, OverflowError, TypeError) as error:
        raise DgmError(f"{path}: is not a table of metric, seed, value: {error}") from error


def summary(
    metrics: pd.DataFrame, expect: list[Expectation], preset: str, overridden: bool = False
) -> pd.DataFrame:
    """One row a metric, expected ones first; columns as in SUMMARY.

    The verdict is on the mean: `pass` or `fail` its band in this preset, `info` where there is
    none, `missing` where there is one but no value. One seed has no std, stderr or interval.
    Bands are for the recipe's own settings: `overridden` ones are not judged.
    """
    values = {
        str(metric): group.to_numpy(dtype=float)
        for metric, group in metrics.groupby("metric", sort=False)["value"]
    }
    rows = []
    own = [entry.metric for entry in expect if not entry.is_pattern]
    for metric in dict.fromkeys([*own, *values]):
        entries = [entry for entry in expect if entry.describes(metric)]
        entries.sort(key=lambda entry: entry.is_pattern)  # its own before patterns, as they stand
        entry = next((e for e in entries if e.applies_to(preset)), None)
        low, high = entry.band if entry and not overridden else (None, None)
        row = {"metric": metric, **_statistics(values.get(metric, np.empty(0)))}
        row |= {"low": low, "high": high, "verdict": _verdict(row["mean"], row["n"], low, high)}
        if entry:
            row |= {"reported": entry.reported}
        if entries:
            described = entry or entries[0]
            row |= {key: getattr(described, key) for key in ("unit", "measures", "source")}
        if row["n"] or row["verdict"] == "missing":
            rows.append(row)
    numbers = ["mean", "std", "stderr", "ci_low", "ci_high", "reported", "low", "high"]
    return pd.DataFrame(rows, columns=SUMMARY).astype(dict.fromkeys(numbers, float) | {"n": int})


def _statistics(values: np.ndarray) -> dict[str, Any]:
    from scipy.special import stdtrit  # slow to import

    n = len(values)
    row: dict[str, Any] = {"n": n, "mean": float(values.mean()) if n else None}
    if n > 1:
        mean, std = row["mean"], float(values.std(ddof=1))
        stderr = std / math.sqrt(n)
        half = float(stdtrit(n - 1, 0.975)) * stderr
        row |= {"std": std, "stderr": stderr, "ci_low": mean - half, "ci_high": mean + half}
    return row


def _verdict(mean: float, n: int, low: float | None, high: float | None) -> str:
    if low is None and high is None:
        return "info"
    if n == 0:
        return "missing"
    above = low is None or mean >= low
    below = high is None or mean <= high
    return "pass" if math.isfinite(mean) and above and below else "fail"


def measured_text(row: Mapping[Any, Any]) -> str:
    """ "-133.21 ± 0.34 (3 seeds)" for a row of a summary."""
    if row["n"] == 0:
        return "not measured"
    spread = f" ± {row['stderr']:.2g}" if row["n"] > 1 else ""
    return f"{row['mean']:.5g}{spread} ({counted(row['n'], 'seed')})"


def band_text(row: Mapping[Any, Any]) -> str:
    """ "at least -134", "at most 0.5", "1 to 2" or nothing."""
    low, high = row["low"], row["high"]
    if pd.isna(low):
        return "" if pd.isna(high) else f"at most {number(high)}"
    return f"at least {number(low)}" if pd.isna(high) else f"{number(low)} to {number(high)}"


def check_table(summary_by_recipe: dict[str, pd.DataFrame], every: bool = True) -> str:
    """Every metric, or every one with a band, and its verdict; then how many have which verdict.

    The metrics of a recipe stand below its name.
    """
    rows: list[tuple[str, ...]] = [("  metric", "measured", "reported", "band", "verdict")]
    verdicts: Counter[str] = Counter()
    for recipe, frame in summary_by_recipe.items():
        verdicts.update(frame["verdict"])
        rows.append((recipe,))
        for row in frame.to_dict("records"):
            if every or row["verdict"] != "info":
                texts = (measured_text(row), number(row["reported"]), band_text(row))
                rows.append((f"  {row['metric']}", *texts, row["verdict"]))
    count = ", ".join(f"{verdicts[v]} {v}" for v in ("pass", "fail", "missing", "info"))
    return "\n".join([*columns(rows), count])
