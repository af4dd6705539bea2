"""How far the lemmas' sides are apart, what InfoGAN's code tells, and what either side lends."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from dgm.experiments.gan_vae_unification.settings import COLUMNS, GANS, ROWS, VAES
from dgm.recipe.schema import Expectation
from dgm.report import plotting
from dgm.report.summary import Metric
from dgm.report.tables import Cell, Results, metric_name

AXES = ["data", "part", "model", "share"]
TIE = 0.02  # nats: runs whose bound is nearer than that to the highest are equally good
# The metrics of the lemmas' columns: an error is the largest of all pairs, a gap their median.
ERRORS = {
    "lemma1": "lemma1_error",
    "by_density": "lemma1_error/by_density",
    "optimal_d": "optimal_d_error",
    "lemma2": "lemma2_error",
    "posterior": "lemma2_error/posterior",
    "bound": "bound_error",
}
GAPS = {
    "half_jsd": "lemma1_gap/half_jsd",
    "moving": "lemma1_gap/moving",
    "elsewhere": "lemma2_gap/elsewhere",
    "literal": "lemma2_gap/literal",
}
LABELS = {
    "lemma1": "Lemma 1",
    "by_density": "its left side by the density",
    "optimal_d": "Lemma 1, best D",
    "lemma2": "Lemma 2, joint",
    "posterior": "Lemma 2, posterior",
    "half_jsd": "Lemma 1, half the JSD",
    "moving": "Lemma 1, $p_0$ moving",
    "elsewhere": "Lemma 2, posterior, elsewhere",
    "literal": "KL to p(z|x) alone",
}


# --- metrics -----------------------------------------------------------------------------------


def summarise(results: Results) -> Iterator[Metric]:
    """Errors of the lemmas; InfoGAN's runs and the one that is chosen; gains of each pair."""
    for table in ("gan", "vae"):
        for cell, rows in results.rows(table):
            for column, name in (ERRORS | GAPS).items():
                if column in rows:
                    value = rows[column].max() if column in ERRORS else rows[column].median()
                    yield Metric(named(name, cell), cell["seed"], value)
    for chosen, runs in of_info_gan(results):
        for seed, run in runs.items():
            for name in ("bound", "about_images"):
                yield Metric(named(f"infogan_{name}", run["cell"]), seed, run[name])
            yield accuracy_metric("infogan_accuracy/mean", run)
        yield accuracy_metric("infogan_accuracy/chosen", runs[chosen])
    for cell, rows in results.rows("accuracy"):
        if cell["part"] == "vae":
            run = {"cell": cell, **of_test(rows)}
            yield accuracy_metric("vae_accuracy", run)
    for cell, rows in results.rows("judged"):
        for what in ("score", "frechet"):
            name = metric_name(what, cell["model"], cell=cell, axes=AXES)
            yield Metric(name, cell["seed"], rows[what].item())
    for cell, elbo in elbos(results):
        if cell["part"] == "vae":
            yield Metric(named("vae_test_elbo", cell), cell["seed"], elbo)
        else:
            name = metric_name("test_elbo", cell["model"], percent(cell), cell=cell, axes=AXES)
            yield Metric(name, cell["seed"], elbo)
    for cell, rows in results.rows("activated"):
        name = metric_name("samples_kept", percent(cell), cell=cell, axes=AXES)
        yield Metric(name, cell["seed"], rows["kept"].item())
    for name, gains in paired(results).items():
        yield from (Metric(name, seed, gain) for seed, gain in gains.items())
        if len(gains) > 1:
            yield Metric(f"{name}/low", min(gains), low_end(list(gains.values())))


def named(name: str, cell: Cell) -> str:
    return metric_name(name, cell=cell, axes=AXES)


def percent(cell: Cell) -> str:
    """ "percent1" of the training images."""
    return f"percent{100 * cell['share']:g}"


def of_test(rows: pd.DataFrame) -> dict[str, float]:
    row = rows[rows["split"] == "test"].iloc[0]
    return {"accuracy": row["accuracy"], "cases": row["cases"]}


def accuracy_metric(name: str, run: Mapping[str, Any]) -> Metric:
    a = run["accuracy"]
    stderr = float(np.sqrt(a * (1 - a) / run["cases"]))
    return Metric(named(name, run["cell"]), run["cell"]["seed"], a, stderr)


def of_info_gan(results: Results) -> Iterator[tuple[int, dict[int, dict[str, Any]]]]:
    """The seed that is chosen, and what each seed gave, for all cells but for the seed."""
    groups: dict[str, dict[int, dict[str, Any]]] = {}
    told = {str(cell): rows for cell, rows in results.rows("information")}
    about = {str(cell): rows for cell, rows in results.rows("about_images")}
    for cell, rows in results.rows("accuracy"):
        if cell["part"] == "infogan":
            key = str(cell)
            of_c = told[key].loc[told[key]["number"] == 0, "bound"].item()
            images = about[key]["information"].item()
            run = {"cell": cell, "bound": of_c, "about_images": images, **of_test(rows)}
            others = str({name: value for name, value in cell.items() if name != "seed"})
            groups.setdefault(others, {})[cell["seed"]] = run
    for runs in groups.values():
        yield choose(runs), runs


def choose(runs: Mapping[int, Mapping[str, float]]) -> int:
    """The seed of the run to take, without labels.

    That with the highest bound on what the code tells of generated images. The bound saturates at
    log(codes), so that of all runs within TIE of the highest the one is taken whose code tells most
    about validation images.
    """
    highest = max(run["bound"] for run in runs.values())
    equal = {seed: run for seed, run in runs.items() if run["bound"] >= highest - TIE}
    return max(equal, key=lambda seed: (equal[seed]["about_images"], -seed))


def elbos(results: Results) -> Iterator[tuple[Cell, float]]:
    for cell, rows in results.rows("bounds"):
        yield cell, rows.loc[rows["split"] == "test", "elbo"].item()


def paired(results: Results) -> dict[str, dict[int, float]]:
    """By metric and seed, by how much the second of two models is better than the first."""
    values: dict[str, dict[int, dict[str, float]]] = {}
    for cell, rows in results.rows("judged"):
        for what, sign in (("score", 1.0), ("frechet", -1.0)):
            name = named(f"iwgan_gain/{what}", cell)
            by_seed = values.setdefault(name, {}).setdefault(cell["seed"], {})
            by_seed[cell["model"]] = sign * rows[what].item()
    for cell, elbo in elbos(results):
        if cell["part"] == "aavae":
            name = named(f"aavae_gain/{percent(cell)}", cell)
            values.setdefault(name, {}).setdefault(cell["seed"], {})[cell["model"]] = elbo
    gains: dict[str, dict[int, float]] = {}
    for name, pairs in values.items():
        plain, other = GANS if name.startswith("iwgan") else VAES
        whole = {seed: pair for seed, pair in pairs.items() if {plain, other} <= pair.keys()}
        if whole:
            gains[name] = {seed: pair[other] - pair[plain] for seed, pair in whole.items()}
    return gains


def low_end(values: Sequence[float]) -> float:
    """The lower end of Student's 95 % interval of the mean."""
    return float(np.mean(values)) - half_width(values)


def half_width(values: Sequence[float]) -> float:
    from scipy.special import stdtrit  # slow to import

    n = len(values)
    return float(stdtrit(n - 1, 0.975) * np.std(values, ddof=1) / np.sqrt(n))


# --- figures -----------------------------------------------------------------------------------


def draw(results: Results, expect: Mapping[str, Expectation]) -> dict[str, Figure]:
    """What was run: the lemmas, the codes, the choice of a run, samples and gains."""
    figures: dict[str, Figure] = {}
    if "gan" in results.tables:
        figures["lemmas"] = lemmas_figure(results)
    runs = next(of_info_gan(results), None)
    shown = [] if runs is None else [runs[1][runs[0]]["cell"]]
    shown += [cell for cell, _ in results.each("varied") if cell["part"] == "vae"][:1]
    if shown:
        figures |= {
            "codes": codes_figure(results, shown),
            "classes": classes_figure(results, shown),
        }
    if runs is not None:
        figures["choice"] = choice_figure(*runs)
    if "judged" in results.tables:
        figures["samples"] = samples_figure(results)
    if gains := paired(results):
        figures["gains"] = gains_figure(gains)
    return figures


def lemmas_figure(results: Results) -> Figure:
    """Distances of gradients: forms that hold, and forms that do not."""
    figure = plotting.panels(columns=1, width=8.6, height=4.2)
    (axes,) = figure.axes
    shown = [name for name in LABELS if any(name in results.tables[t] for t in ("gan", "vae"))]
    for y, name in enumerate(shown):
        table = results.tables["gan"]
        table = table if name in table else results.tables["vae"]
        values = np.maximum(table[name], 1e-17)
        holds = name in ERRORS
        look: dict[str, Any] = {"color": plotting.GREEN if holds else plotting.RED, "alpha": 0.6}
        axes.plot(values, np.full(len(values), y), "o" if holds else "s", markersize=5, **look)
    axes.set_yticks(range(len(shown)), [LABELS[name] for name in shown])
    axes.invert_yaxis()
    axes.set(xscale="log", xlabel="distance of the two sides' gradients, relative")
    return figure


def codes_figure(results: Results, cells: Sequence[Cell]) -> Figure:
    """A line of panels for each model, a panel for each code or latent that is varied."""
    varied = {str(cell): images for cell, images in results.each("varied")}
    panels = [named_blocks(results, cell, varied[str(cell)]) for cell in cells]
    columns = max(map(len, panels))
    figure = plotting.panels(columns=columns, rows=len(panels), width=3.2 * columns, height=1.9)
    for row, of_model in enumerate(panels):
        for i, (title, images) in enumerate(of_model.items()):
            axes = figure.axes[row * columns + i]
            plotting.show_images(axes, images, COLUMNS)
            axes.set_title(title, fontsize=10)
        for axes in figure.axes[row * columns + len(of_model) : (row + 1) * columns]:
            axes.set_axis_off()
    return figure


def named_blocks(results: Results, cell: Cell, images: np.ndarray) -> dict[str, np.ndarray]:
    """The blocks of a model's varied images by title. Columns of InfoGAN's code stand in the order
    of their digits, where all codes are shown."""
    blocks = list(images.reshape(-1, ROWS * COLUMNS, *images.shape[1:]))
    if cell["part"] == "vae":
        return {f"VAE: $z_{{{i + 1}}}$ varies": block for i, block in enumerate(blocks)}
    rows = next(rows for of, rows in results.rows("confusion") if of == cell)
    matched = rows.groupby("code")["matched"].first().to_numpy()
    if len(matched) == COLUMNS:
        lines = blocks[0].reshape(ROWS, COLUMNS, *images.shape[1:])
        blocks[0] = lines[:, np.argsort(matched)].reshape(blocks[0].shape)
    titles = ["c varies", *(f"$u_{{{j + 1}}}$ varies" for j in range(len(blocks) - 1))]
    return {f"InfoGAN: {title}": block for title, block in zip(titles, blocks, strict=True)}


def classes_figure(results: Results, cells: Sequence[Cell]) -> Figure:
    """Test images by code and class; codes in the order of their classes."""
    tables = {str(cell): rows for cell, rows in results.rows("confusion")}
    figure = plotting.panels(columns=len(cells), width=4.6 * len(cells), height=4.2)
    for axes, cell in zip(figure.axes, cells, strict=True):
        rows = tables[str(cell)]
        counts = rows.pivot(index="matched", columns="class", values="cases").to_numpy()
        axes.imshow(counts / counts.sum(0), cmap="Blues", vmin=0, vmax=1)
        for (i, j), count in np.ndenumerate(counts):
            if count >= 0.005 * counts[:, j].sum():
                dark = count > 0.5 * counts[:, j].sum()
                axes.text(j, i, str(count), ha="center", va="center", fontsize=7,
                          color="white" if dark else "black")  # fmt: skip
        infogan = cell["part"] == "infogan"
        axes.set(xlabel="digit", xticks=range(len(counts)), yticks=range(len(counts)))
        axes.set_ylabel(("code" if infogan else "cluster") + ", by its digit")
        axes.set_title("InfoGAN, chosen run" if infogan else "VAE, k-means")
        axes.grid(False)
    return figure


def choice_figure(chosen: int, runs: Mapping[int, Mapping[str, Any]]) -> Figure:
    """Test accuracy against what runs are chosen by, without labels."""
    figure = plotting.panels(columns=2, width=8.6, height=3.6)
    for axes, what in zip(figure.axes, ("bound", "about_images"), strict=True):
        for seed, run in runs.items():
            mark = "*" if seed == chosen else "o"
            colour = plotting.RED if seed == chosen else plotting.BLUE
            axes.plot(run[what], run["accuracy"], mark, color=colour, markersize=9)
            axes.annotate(f" {seed}", (run[what], run["accuracy"]), fontsize=9)
    left, right = figure.axes
    left.set(xlabel="bound on what c tells of generated images, nats", ylabel="test accuracy")
    right.set(xlabel="what c tells of validation images, nats")
    left.axvspan(max(run["bound"] for run in runs.values()) - TIE, left.get_xlim()[1],
                 color="#eeeeee", zorder=0)  # fmt: skip
    return figure


def samples_figure(results: Results) -> Figure:
    """Samples of the first seed of either GAN."""
    panels: dict[str, np.ndarray] = {}
    for cell, samples in results.each("samples"):
        panels.setdefault({"gan": "GAN", "iwgan": "importance-weighted"}[cell["model"]], samples)
    figure = plotting.panels(columns=len(panels), width=3.6 * len(panels), height=4.1)
    for axes, (title, samples) in zip(figure.axes, panels.items(), strict=True):
        plotting.show_images(axes, samples, columns=10)
        axes.set_title(title)
    return figure


def gains_figure(gains: Mapping[str, Mapping[int, float]]) -> Figure:
    """The difference of each pair of runs, a point a seed, and its 95 % interval."""
    titles = {"score": "classifier score", "frechet": "Fréchet distance, less"}
    figure = plotting.panels(columns=len(gains), width=2.5 * len(gains), height=3.4)
    for axes, (name, by_seed) in zip(figure.axes, gains.items(), strict=True):
        values = list(by_seed.values())
        axes.axhline(0, color="black", linewidth=0.8)
        axes.plot(np.linspace(-0.15, 0.15, len(values)), values, "o", color=plotting.BLUE)
        if len(values) > 1:
            axes.errorbar(0.4, np.mean(values), half_width(values), fmt="s", capsize=4,
                          color=plotting.RED)  # fmt: skip
        kind, what = name.split("/")[:2]
        what = titles.get(what) or f"bound, {what.removeprefix('percent')} % of the data"
        axes.set(xlim=(-0.5, 0.7), xticks=[])
        axes.set_title(f"{kind.removesuffix('_gain')}:\n{what}", fontsize=9)
    figure.axes[0].set_ylabel("gain over the plain model")
    return figure
