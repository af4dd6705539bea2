"""Stub."""

from collections.abc import Iterator, Mapping

from matplotlib.figure import Figure

from dgm.recipe.schema import Expectation
from dgm.report.summary import Metric
from dgm.report.tables import Results

AXES = ["data", "part", "variant", "method", "layers"]


def summarise(results: Results) -> Iterator[Metric]:
    yield from ()


def draw(results: Results, expect: Mapping[str, Expectation]) -> dict[str, Figure]:
    return {}
