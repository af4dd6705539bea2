"""Names and numbers as a user reads them."""

import difflib
import math
from collections.abc import Iterable, Sequence

MOST_NAMES = 20  # that a message lists


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """ "; did you mean X?" when a name is near, else all names."""
    names = sorted(names)
    near = difflib.get_close_matches(word, names, 1)
    if near:
        return f"; did you mean {near[0]}?"
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return f"; choose from {', '.join(names[:MOST_NAMES])}{more}" if names else "; there is none"


def unprintable(text: str) -> str:
    """ "U+0000": the first character of a text that cannot be printed in a line, if any."""
    return next((f"U+{ord(one):04X}" for one in text if not one.isprintable()), "")


def number(value: float | None) -> str:
    """Five digits, which is what a mean in nats can claim; nothing for a blank."""
    return "" if value is None or math.isnan(value) else f"{value:.5g}"


def duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def counted(n: int, noun: str) -> str:
    """ "1 trial", "3 trials"."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def columns(rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a table, each column as wide as its widest text; a single text stands alone."""
    rows = list(rows)
    widths = [
        max(map(len, column)) for column in zip(*(r for r in rows if len(r) > 1), strict=True)
    ]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() if row[1:] else row[0] for row in rows]
