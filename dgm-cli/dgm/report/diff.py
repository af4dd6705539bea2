"""How the means of metrics differ between results folders."""

import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from dgm.report.markdown import table
from dgm.report.summary import read_metrics
from dgm.text import columns


def diff(folders: Sequence[Path], markdown: bool = False) -> str:
    """A table of the metrics whose means are not the same in all folders, as text or Markdown.

    The last column is the difference to the first folder; of several folders the largest.
    """
    means = [
        read_metrics(folder / "metrics.csv").groupby("metric", sort=False)["value"].agg(_mean)
        for folder in folders
    ]
    rows = []
    for metric in dict.fromkeys(metric for mean in means for metric in mean.index):
        values = [mean.get(metric) for mean in means]
        texts = ["" if value is None else f"{value:.12g}" for value in values]  # not rounding alone
        if len({*texts}) == 1:
            continue
        first, *others = (math.nan if value is None else value for value in values)
        largest = max((value - first for value in others), key=lambda d: abs(d) if d == d else -1)
        change = "" if math.isnan(largest) else f"{largest:+.3g}"
        rows.append((metric, *("-" if v is None else f"{v:.10g}" for v in values), change))
    if not rows:
        return "no differences"
    head = ("metric", *map(str, folders), "difference")
    if markdown:
        return table(head, [(f"`{metric}`", *rest) for metric, *rest in rows]).rstrip("\n")
    return "\n".join(columns([head, *rows]))


def _mean(values: pd.Series) -> float:
    return float(values.to_numpy().mean())  # unlike pandas' own, NaN if one value is
