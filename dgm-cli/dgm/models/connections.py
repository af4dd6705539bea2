"""Which units of a machine are connected: pairs of numbers (i, j), i < j, each pair once.

Units are numbered from 0, visible ones first.
"""

from collections.abc import Iterable, Sequence

Pair = tuple[int, int]


def pairs_of(connections: Sequence[Sequence[float]], units: int | None = None) -> list[Pair]:
    """The pairs that are given one by one, or by the entries of a square matrix that are not 0.

    Rows of two numbers are pairs, whatever their order; others a symmetric matrix with zeros on its
    diagonal. ValueError where they are not, where a unit is connected to itself or to another
    twice, or where it is none of these `units`.
    """
    if any(len(row) != 2 for row in connections):
        connections = _of_matrix(connections)
    found = [(int(min(pair)), int(max(pair))) for pair in connections]
    for i, j in found:
        if i == j:
            raise ValueError(f"connections: unit {i} is connected to itself")
        if i < 0 or (units is not None and j >= units):
            wrong = i if i < 0 else j
            raise ValueError(f"connections: no unit {wrong}: there are {units}, numbered from 0")
    if len(set(found)) < len(found):
        i, j = next(pair for pair in found if found.count(pair) > 1)
        raise ValueError(f"connections: units {i} and {j} are connected twice")
    return sorted(found)


def _of_matrix(rows: Sequence[Sequence[float]]) -> list[Pair]:
    n = len(rows)
    if any(len(row) != n for row in rows):
        raise ValueError("connections: neither pairs of units nor a square matrix")
    for i, row in enumerate(rows):
        for j, value in enumerate(row[: i + 1]):
            if value != rows[j][i]:
                raise ValueError(
                    f"connections: not symmetric: {value:g} from unit {i} to {j}, "
                    f"{rows[j][i]:g} from {j} to {i}"
                )
    return [(i, j) for i in range(n) for j in range(i, n) if rows[i][j]]


def complete(units: Iterable[int]) -> list[Pair]:
    """Each unit with each other."""
    units = sorted(units)
    return [(i, j) for i in units for j in units if i < j]


def restricted(visible: int, hidden: int) -> list[Pair]:
    """Each visible unit with each hidden one, as in a restricted Boltzmann machine."""
    return [(i, visible + j) for i in range(visible) for j in range(hidden)]


def encoder(side: int, hidden: int) -> list[Pair]:
    """Two groups of visible units, V1 and V2, `side` units each, that are connected within; hidden
    units that are connected to all of them and not to one another; none between V1 and V2.

    Ackley, Hinton & Sejnowski (1985), section 3.
    """
    groups = complete(range(side)) + complete(range(side, 2 * side))
    return sorted(groups + restricted(2 * side, hidden))
