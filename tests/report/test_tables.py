"""Tables and arrays of a run by the cells of its grid."""

import numpy as np
import pandas as pd

from dgm.report.tables import Results, by_cell, metric_name, own_axes


def test_rows_by_cell() -> None:
    """Axes are the columns up to the seed, a user's own among them."""
    table = pd.DataFrame(
        {
            "method": ["a", "b", "a", "a"],
            "hidden": [5, 5, 5, 7],
            "seed": [0, 0, 1, 0],
            "value": [1.0, 2.0, 3.0, 4.0],
        }
    )
    cells = [(cell, rows["value"].tolist()) for cell, rows in by_cell(table)]
    assert cells == [
        ({"method": "a", "hidden": 5, "seed": 0}, [1.0]),
        ({"method": "b", "hidden": 5, "seed": 0}, [2.0]),
        ({"method": "a", "hidden": 5, "seed": 1}, [3.0]),
        ({"method": "a", "hidden": 7, "seed": 0}, [4.0]),
    ]
    assert [own_axes(cell, ["method"]) for cell, _ in cells][::3] == ["/hidden=5", "/hidden=7"]
    merged = [(cell, len(rows)) for cell, rows in by_cell(table, without=["method", "seed"])]
    assert merged == [({"hidden": 5}, 3), ({"hidden": 7}, 1)]
    blank = table.assign(hidden=[None, 5.0, None, 7.0])  # a setting of None, as read back
    own = [(cell["hidden"], len(rows)) for cell, rows in by_cell(blank, without=["seed"])]
    assert own == [(None, 2), (5, 1), (7, 1)]


def test_tables_and_arrays_by_trial() -> None:
    table = pd.DataFrame({"trial": ["t1", "t1", "t2"], "k": [1, 1, 3], "seed": [0, 0, 0]})
    cells = {"t1": {"k": 1, "seed": 0}, "t2": {"k": 3, "seed": 0}}
    results = Results({"a": table.assign(value=[1.0, 2.0, 3.0])}, {"b": {"t2": np.ones(2)}}, cells)
    rows = [(cell, of["value"].tolist()) for cell, of in results.rows("a")]
    assert rows == [(cells["t1"], [1.0, 2.0]), (cells["t2"], [3.0])]
    ((cell, array),) = results.each("b")
    assert (cell, array.tolist()) == (cells["t2"], [1.0, 1.0])
    assert list(results.rows("none")) == list(results.each("none")) == []


def test_a_metrics_name_has_the_axes_of_a_users_grid() -> None:
    cell = {"method": "cd", "hidden": 20, "seed": 0}
    assert (
        metric_name("test_elbo", "", "cd", cell=cell, axes=["method"])
        == "test_elbo/cd/hidden=20"
        == metric_name("test_elbo", "cd", cell=cell | {"noise": None}, axes=["method"])
    )
