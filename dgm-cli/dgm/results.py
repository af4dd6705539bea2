"""Tables and files of results: metrics, their summary and verdicts, and writing either whole.

A metric's mean m over n seeds, its standard deviation s (n - 1 degrees of freedom), standard
error s / sqrt(n), and Student's 95 % interval m -+ t(0.975; n - 1) s / sqrt(n).
"""

import contextlib
import io
import json
import math
import os
import re
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from dgm.errors import BadInput, DgmError
from dgm.schema import Expectation

SUMMARY = (
    ["metric", "mean", "std", "n", "stderr", "ci_low", "ci_high", "unit", "measures"]
    + ["reported", "source", "low", "high", "verdict"]
)  # fmt: skip
# From 3.1 on pandas reads floats exactly by itself, and warns of the option that asks for it.
PANDAS = tuple(int(part) for part in pd.__version__.split(".")[:2])
EXACT: dict[str, Any] = {} if PANDAS >= (3, 1) else {"float_precision": "round_trip"}


class Metric(NamedTuple):
    """One number that one seed gave."""

    metric: str
    seed: int
    value: float


def by_cell(
    table: pd.DataFrame, without: Sequence[str] = ()
) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """The rows of a table of a whole run that share all axes and the seed, but those `without`.

    First comes what they share, by name; axes that only a user's grid has stand after the others.
    An axis may be blank: the trial's setting is None.
    """
    head = table.columns[: table.columns.get_loc("seed") + 1]
    names = [name for name in head if name not in without]
    for values, rows in table.groupby(names, sort=False, dropna=False):
        told = [None if pd.isna(value) else value for value in values]
        yield dict(zip(names, told, strict=True)), rows


def label_of(cell: Mapping[str, Any]) -> str:
    """The name under which a run keeps the arrays of the trial with these axes and seed."""
    return ",".join(f"{name}={value}" for name, value in cell.items())


def read_label(label: str) -> dict[str, str]:
    """A trial's axes and seed, as text, from the name that `label_of` gave it."""
    parts = (part.partition("=") for part in re.split(r",(?=\w+=)", label))
    return {name: value for name, _, value in parts}


def own_axes(cell: dict[str, Any], axes: Sequence[str], before: str = "/") -> str:
    """How a metric's name ends for axes of a user's grid beside the experiment's: "/hidden=20"; and
    a figure's label, with ", " before each."""
    own = {name: value for name, value in cell.items() if name not in (*axes, "seed")}
    return "".join(f"{before}{name}={value}" for name, value in own.items())


def write_metrics(path: Path, metrics: Iterable[Metric]) -> None:
    """metrics.csv, in the order given; floats such that they are read back as they were.

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
    except (KeyError, ValueError) as error:
        raise DgmError(f"{path}: is not a table of metric, seed, value: {error}") from error


def summary(metrics: pd.DataFrame, recipe_expect: list[Expectation], preset: str) -> pd.DataFrame:
    """One row a metric, expected ones first; columns as in SUMMARY.

    The verdict is on the mean: `pass` or `fail` its band in this preset, `info` where there is
    none, `missing` where there is one but no value. One seed has no std, stderr or interval.
    """
    values = {
        str(metric): group.to_numpy(dtype=float)
        for metric, group in metrics.groupby("metric", sort=False)["value"]
    }
    rows = []
    own = [entry.metric for entry in recipe_expect if not entry.is_pattern]
    for metric in dict.fromkeys([*own, *values]):
        entries = [entry for entry in recipe_expect if entry.describes(metric)]
        entries.sort(key=lambda entry: entry.is_pattern)  # its own before patterns, as they stand
        entry = next((e for e in entries if e.applies_to(preset)), None)
        low, high = entry.band if entry else (None, None)
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
    if row["n"] == 1:
        return f"{number(row['mean'])} (1 seed)"
    return f"{number(row['mean'])} ± {row['stderr']:.2g} ({row['n']} seeds)"


def band_text(row: Mapping[Any, Any]) -> str:
    """ "at least -134", "at most 0.5", "1 to 2" or nothing."""
    low, high = row["low"], row["high"]
    if pd.isna(low):
        return "" if pd.isna(high) else f"at most {number(high)}"
    return f"at least {number(low)}" if pd.isna(high) else f"{number(low)} to {number(high)}"


def number(value: float | None) -> str:
    """Five digits, which is what a mean in nats can claim; nothing for a blank."""
    return "" if value is None or pd.isna(value) else f"{value:.5g}"


def check_table(summary_by_recipe: dict[str, pd.DataFrame], every: bool = True) -> str:
    """Every metric, or every one with a band, and its verdict; then how many have which verdict."""
    rows = [("recipe", "metric", "measured", "reported", "band", "verdict")]
    for recipe, frame in summary_by_recipe.items():
        for row in frame.to_dict("records"):
            texts = (measured_text(row), number(row["reported"]), band_text(row), row["verdict"])
            rows.append((recipe, row["metric"], *texts))
    verdicts = [row[-1] for row in rows[1:]]
    rows = [row for row in rows if every or row[-1] != "info"]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    count = ", ".join(f"{verdicts.count(v)} {v}" for v in ("pass", "fail", "missing", "info"))
    return "\n".join([*lines, count])


def diff(a: Path, b: Path) -> str:
    """What two results folders say differently, by the means of their metrics."""
    means = [
        read_metrics(folder / "metrics.csv").groupby("metric", sort=False)["value"].agg(_mean)
        for folder in (a, b)
    ]
    lines = []
    for metric in dict.fromkeys([*means[0].index, *means[1].index]):
        left, right = (mean.get(metric) for mean in means)
        if left is None or right is None:
            lines.append(f"{metric}: only in {a if right is None else b}")
        elif left != right and not (math.isnan(left) and math.isnan(right)):
            lines.append(f"{metric}: {left:.10g} and {right:.10g}, difference {right - left:+.3g}")
    return "\n".join(lines) or "no differences"


def _mean(values: pd.Series) -> float:
    return float(values.to_numpy().mean())  # unlike pandas' own, NaN if one value is


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """A table without its index, whole or not at all; numbers in full, NaN blank."""
    atomic_write(path, frame.to_csv(index=False, lineterminator="\n"))


def read_csv(path: Path) -> pd.DataFrame:
    """A table with its numbers as they were written; BadInput when it is not there."""
    try:
        frame: pd.DataFrame = pd.read_csv(path, **EXACT)
        return frame
    except FileNotFoundError as error:
        raise BadInput(f"{path}: no such results; `dgm run` makes them") from error
    except OSError as error:
        raise DgmError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:  # pandas' parser errors and undecodable bytes
        raise DgmError(f"{path}: is not a table: {' '.join(str(error).split())}") from error


def write_npz(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Named arrays, compressed; the same arrays give the same bytes, unlike numpy's own savez."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(entry, "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.asarray(array), allow_pickle=False)
    atomic_write(path, buffer.getvalue())


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """What `write_npz` wrote; nothing is ever unpickled."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            return dict(archive)
    except FileNotFoundError as error:
        raise BadInput(f"{path}: no such results; `dgm run` makes them") from error
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DgmError(f"{path}: is not readable as arrays: {error}") from error


def read_json(path: Path) -> dict[str, Any]:
    """A file's mapping, or an empty one where there is none that can be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def atomic_write(path: Path, content: bytes | str) -> None:
    """Write a file so that at any moment there is the old one or the new one, whole.

    Makes the folder if need be. DgmError, naming path and reason, leaves the old file in place.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise DgmError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
