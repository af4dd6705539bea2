"""Figure 5 of Kingma & Welling (2014): random samples, and how likely test images are."""

from collections.abc import Iterator, Mapping

import numpy as np
from matplotlib.figure import Figure

from dgm.recipe.schema import Expectation
from dgm.report import plotting
from dgm.report.summary import Metric
from dgm.report.tables import Cell, Results, metric_name, own_axes

AXES = ["variant", "latent_dim"]
PAPER = "paper"  # the variant that names leave out


def summarise(results: Results) -> Iterator[Metric]:
    """Test likelihood and its effective samples, bound, and the entropy of the samples' labels."""
    for cell, rows in results.rows("likelihood"):
        images = rows["images"]
        values = {
            "test_log_likelihood": np.average(rows["log_likelihood"], weights=images),
            "mean_effective_samples": np.average(rows["mean_effective_samples"], weights=images),
            "least_effective_samples": rows["least_effective_samples"].min(),
        }
        for stem, value in values.items():
            yield Metric(named(stem, cell), cell["seed"], float(value))
    for cell, rows in results.rows("estimators"):
        by_estimator = rows.set_index("estimator")["log_likelihood"]
        gap = by_estimator["fitted"] - by_estimator["encoder"]
        yield Metric(named("estimator_gap", cell), cell["seed"], gap)
    for cell, rows in results.rows("bounds"):
        test = rows.loc[rows["split"] == "test", "elbo"].item()
        yield Metric(named("test_elbo", cell), cell["seed"], test)
    for cell, rows in results.rows("labels"):
        bits = entropy(rows["samples"].to_numpy())
        yield Metric(named("sample_entropy", cell), cell["seed"], bits)


def entropy(counts: np.ndarray) -> float:
    """-sum_i p_i log2 p_i in bits, of the histogram with these counts."""
    p = counts[counts > 0] / counts.sum()
    return float(-(p * np.log2(p)).sum())


def named(stem: str, cell: Cell) -> str:
    """ "test_elbo/latent20" of the paper's models, "test_elbo/modern" of another variant."""
    variant = cell["variant"]
    model = f"latent{cell['latent_dim']}" if variant == PAPER else variant
    return metric_name(stem, model, cell=cell, axes=AXES)


def draw(results: Results, expect: Mapping[str, Expectation]) -> dict[str, Figure]:
    """Samples of the first seed of each cell, ten by ten."""
    panels: dict[str, np.ndarray] = {}
    for cell, samples in results.each("samples"):
        variant = "" if cell["variant"] == PAPER else f"{cell['variant']}, "
        title = f"{variant}{cell['latent_dim']}-D latent{own_axes(cell, AXES, ', ')}"
        panels.setdefault(title, samples)
    figure = plotting.rows_of(len(panels), columns=3, width=3.0, height=3.2)
    for axes, (title, samples) in zip(figure.axes, panels.items(), strict=True):
        plotting.show_images(axes, samples, columns=10)
        axes.set_title(title)
    return {"figure5": figure}
