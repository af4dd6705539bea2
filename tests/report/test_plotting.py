"""Figures: the same bytes whatever the user has set, and one that fails costs only itself."""

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pandas as pd
from matplotlib import style
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from PIL import Image

from dgm import experiments
from dgm.engine.results import manifest, origin, saved
from dgm.report import plotting
from dgm.report.plotting import Film, render_all

ROOT = Path(__file__).parents[2]
R = "infinite_dbn"


def curves() -> dict[str, Figure | Film]:
    figure = plotting.panels(columns=2)
    for axes in figure.axes:
        axes.plot([1, 10, 100], [3, 1, 2], label="a line")
        axes.set(title="$N$ = 3", xlabel="steps", xscale="log")
        axes.legend()
    plotting.legend_below(figure, columns=1)
    film = Film(np.arange(24, dtype=np.uint8).reshape(2, 3, 4))
    return {"curves": figure, "film": film}


def test_each_figure_is_saved_as_png_and_svg_and_each_film_as_gif() -> None:
    files, failures = render_all(curves)
    assert list(files) == ["curves.png", "curves.svg", "film.gif"]
    assert failures == {}
    assert files["curves.png"].startswith(b"\x89PNG")
    assert b"<svg" in files["curves.svg"]
    assert files["film.gif"].startswith(b"GIF89a")


def test_every_file_tells_its_origin() -> None:
    told = {"Title": "toy, preset paper", "Description": "dgm run toy <π>", "Source": "commit 1f"}
    files, failures = render_all(curves, told)
    assert failures == {}
    png = Image.open(io.BytesIO(files["curves.png"])).info
    assert {key: png[key] for key in told} == told
    svg = ElementTree.fromstring(files["curves.svg"])
    dublin = "{http://purl.org/dc/elements/1.1/}"
    assert {key: svg.findtext(f".//{dublin}{key.lower()}") for key in told} == told
    assert svg.find(f".//{dublin}date") is None
    comment = Image.open(io.BytesIO(files["film.gif"])).info["comment"]
    assert comment.decode() == "toy, preset paper\ndgm run toy <π>\ncommit 1f"
    assert render_all(curves, told)[0] == files


def test_few_points_have_a_marker_and_the_seeds_range_each_and_many_a_band() -> None:
    few = pd.DataFrame({"seed": [0, 0, 1, 1], "x": [1, 2, 1, 2], "y": [3.0, 5.0, 4.0, 9.0]})
    (axes,) = plotting.panels(columns=1).axes
    plotting.seeds_line(axes, few, "x", "y", "a", plotting.BLUE, "train", "s")
    (line,), (bars,) = axes.lines, axes.collections
    assert (line.get_marker(), line.get_markevery()) == ("s", None)
    np.testing.assert_array_equal(line.get_xydata(), [[1, 3.5], [2, 7]])
    assert isinstance(bars, LineCollection)
    ends = [segment.tolist() for segment in bars.get_segments()]
    assert ends == [[[1, 3], [1, 4]], [[2, 5], [2, 9]]]

    many = pd.concat([few.assign(x=few["x"] + 2 * i) for i in range(20)])
    (axes,) = plotting.panels(columns=1).axes
    plotting.seeds_line(axes, many, "x", "y", "a", plotting.BLUE, "train", "s")
    assert axes.lines[0].get_markevery() is not None
    assert not isinstance(axes.collections[0], LineCollection)


def test_settings_of_this_process_change_no_figure() -> None:
    files = render_all(curves)
    users: dict[Any, Any] = {
        "text.usetex": True,
        "lines.linewidth": 9,
        "font.size": 31,
        "axes.facecolor": "red",
    }
    with matplotlib.rc_context(users):
        assert render_all(curves) == files
        assert matplotlib.rcParams["font.size"] == 31  # and those of this process stay
    with style.context("dark_background"):
        assert render_all(curves) == files


def test_a_users_matplotlibrc_and_a_notebooks_backend_change_no_figure(tmp_path: Path) -> None:
    """A process of its own, for matplotlib reads all this when it is imported."""
    there = tmp_path / R / "embedded"
    shutil.copytree(ROOT / "results" / R / "embedded", there)
    broken = "text.usetex: True\nlines.linewidth: 9\nno.such.key: 3\nfont.size: x\n"
    (tmp_path / "matplotlibrc").write_text(broken)
    env = {**os.environ, "PYTHONPATH": str(ROOT / "dgm-cli")}
    env["MPLBACKEND"] = "module://no_such_notebook.backend_inline"
    command = [sys.executable, "-m", "dgm", "plot", R, "--preset", "embedded", "--out", "."]
    ran = subprocess.run(
        command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    results, draw = saved(there), experiments.report(R).draw
    files, _ = render_all(lambda: draw(results, {}), origin(manifest(there)))
    assert "exact.svg" in files
    for name, content in files.items():
        assert (there / name).read_bytes() == content


def test_a_figure_that_fails_is_named_and_the_others_are_drawn() -> None:
    def one_is_broken() -> dict[str, Figure | Film]:
        drawn = curves()
        broken = plotting.panels(columns=1)
        broken.axes[0].set_title(r"$\frac$")
        return {"broken": broken, **drawn}

    files, failures = render_all(one_is_broken)
    assert list(files) == ["curves.png", "curves.svg", "film.gif"]
    assert failures.keys() == {"broken"}
    assert failures["broken"].startswith("ValueError: ")
    assert "\n" not in failures["broken"]


def test_figures_that_cannot_be_made_are_one_line() -> None:
    def broken() -> dict[str, Figure | Film]:
        raise KeyError("method")

    assert render_all(broken) == ({}, {"figures": "KeyError: 'method'"})


def test_tiles_stand_in_reading_order_without_gaps() -> None:
    pictures = np.arange(6)[:, None, None] * np.ones((1, 2, 3), int)
    expected = np.kron(np.arange(6).reshape(2, 3), np.ones((2, 3), int))
    np.testing.assert_array_equal(plotting.tile(pictures, 3), expected)
