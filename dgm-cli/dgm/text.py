"""Names and numbers as a user reads them."""

import difflib
import math
from collections.abc import Iterable, Sequence

MOST_NAMES = 20  # that a message lists
MOST_PLACES = 6  # after the point, or rounded before it; else there is a power of ten


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


def number(value: float | None, half_width: float | None = None) -> str:
    """ "-84.56 ± 0.43": to the half-width's second significant digit. Without one "0.01234", four
    significant digits, "1234567", an integer or the whole part; nothing for a blank."""
    if value is None or math.isnan(value):
        return ""
    if half_width is None or not (math.isfinite(half_width) and math.isfinite(value)):
        whole = 1e4 <= abs(value) < 1e9 or (abs(value) < 1e9 and float(value).is_integer())
        return f"{value + 0.0:.0f}" if whole else f"{value:.4g}"
    if half_width == 0:
        return f"{number(value)} ± 0"
    places = 1 - _exponent(half_width)
    if abs(places) > MOST_PLACES:
        digits = max(0, _exponent(value) + places)
        return f"{value:.{digits}e} ± {half_width:.1e}"
    rounded = (round(each, places) + 0.0 for each in (value, half_width))
    return " ± ".join(f"{each:.{max(0, places)}f}" for each in rounded)


def _exponent(value: float) -> int:
    """The power of ten of the first of two significant digits."""
    return int(f"{value:.1e}".partition("e")[2])


def as_given(value: float | None) -> str:
    """A number that somebody wrote down, such as a reported one or a band's edge: all its digits;
    nothing for a blank."""
    return "" if value is None or math.isnan(value) else f"{value:.10g}"


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
