"""Tables of a run by the cells of its grid."""

import io

import pandas as pd

from dgm.engine.results import rows_of
from dgm.report.tables import by_cell, own_axes, read_label


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


def test_a_label_is_read_back() -> None:
    label = "data=mnist,rates=[0.01, 0.02],name=a=b,seed=3"
    assert read_label(label) == {
        "data": "mnist",
        "rates": "[0.01, 0.02]",
        "name": "a=b",
        "seed": "3",
    }


def test_a_trials_part_of_a_runs_table() -> None:
    """Axes that are blank, or numbers beside words; and columns that are blank in all rows."""
    table = pd.read_csv(
        io.StringIO(
            "std,rate,seed,step,stage\n,0.1,0,1,\n,0.1,0,2,\n0.5,0.1,0,1,\n,auto,0,1,\n,0.1,1,1,\n"
        )
    )
    for cell, steps in (
        ({"std": None, "rate": 0.1, "seed": 0}, [1, 2]),
        ({"std": 0.5, "rate": 0.1, "seed": 0}, [1]),
        ({"std": None, "rate": "auto", "seed": 0}, [1]),
        ({"std": None, "rate": 0.1, "seed": 1}, [1]),
    ):
        own = rows_of(table, cell)
        assert own["step"].tolist() == steps
        assert list(own.columns) == ["step", "stage"]
