"""What differs between results folders."""

from pathlib import Path

import numpy as np
import pytest

from dgm.errors import BadInput
from dgm.report.diff import diff
from dgm.report.summary import Metric, write_metrics


def test_the_means_that_differ(tmp_path: Path) -> None:
    a, b, c = (tmp_path / name for name in "abc")
    one = [Metric("same", 0, 1.0), Metric("moved", 0, 1.0), Metric("moved", 1, 2.0)]
    write_metrics(a / "metrics.csv", [*one, Metric("nan", 0, np.nan), Metric("old", 0, 0.0)])
    moved = [Metric("same", 0, 1.0), Metric("moved", 0, 1.0), Metric("moved", 1, 2.5)]
    write_metrics(b / "metrics.csv", [*moved, Metric("nan", 0, np.nan), Metric("new", 0, 0.0)])
    write_metrics(c / "metrics.csv", [*moved[:2], Metric("nan", 0, 3.0)])
    assert diff([a, a]) == "no differences"
    lines = [line.split() for line in diff([a, b]).splitlines()]
    assert lines == [
        ["metric", str(a), str(b), "difference"],
        ["moved", "1.5", "1.75", "+0.25"],
        ["old", "0", "-"],
        ["new", "-", "0"],
    ]
    assert diff([a, b, c], markdown=True).splitlines() == [
        f"| metric | {a} | {b} | {c} | difference |",
        "| --- | --- | --- | --- | --- |",
        "| `moved` | 1.5 | 1.75 | 1 | -0.5 |",
        "| `nan` | nan | nan | 3 |  |",
        "| `old` | 0 | - | - |  |",
        "| `new` | - | 0 | - |  |",
    ]
    with pytest.raises(BadInput, match=r"d.metrics\.csv: no such results"):
        diff([a, tmp_path / "d"])
