"""Reproduction: does a measured mean agree with the number that was reported?

The interval. With n seeds of mean m and sample variance s^2, all measured on the same N test
images (or documents) over which one net's mean has the standard error sigma / sqrt(N),

    var(m) = s^2 / n + sigma^2 / N,

for more seeds do not make the test set larger (averaging over nets may make sigma a little smaller
than one net's, which is taken). The half-width of the 95 % interval is

    sqrt( (t(0.975; n - 1) s / sqrt(n))^2 + (1.96 sigma / sqrt(N))^2 ),

a little wider than 95 % asks for where neither part is small. The bootstrap over images of a mean
has the standard error sigma / sqrt(N) too, so that no image is drawn. An error of one seed has the
exact interval of Clopper and Pearson (1934) instead. Where sigma is not known the second part is
taken as 0, and the verdict's note says so. With one seed the first part is 0: the randomness of
training is not in the interval, and the verdict is at most `about`, unless nothing in it is random.

The verdict. It is limited where the reported value was recalled and not read in its source, where a
learner that is random has one seed, and where the interval is longer than half of the effect: than
half of the reported value's distance to that of its competitor.

    the reported value lies                    not limited    limited
    inside the interval                        agrees         about
    outside, and the mean is better            better         about
    outside, and the mean is worse             worse          worse, or about (*)
    (there is no measured value)               open           open

(*) about where it is recalled or of one seed, and within twice the half-width: then the interval
may miss it for what it leaves out. A wide interval excuses nothing that lies outside of it. Of a
value that is to be `closer`, neither side is better: outside the interval it is worse. A mean that
is no number is worse.

A claim without a number `holds` where its band is met, `fails` where it is missed, and is `open`
where nothing is measured.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

REPRODUCED = ("agrees", "better", "holds")
DISSENTING = ("worse", "fails")  # a page says why
VERDICTS = ("agrees", "better", "holds", "about", "worse", "fails", "open")
UNKNOWN = "test set's share unknown"


class Interval(NamedTuple):
    """The 95 % interval of a mean."""

    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Half of its length: of an exact binomial interval, the mean of its two sides."""
        return (self.high - self.low) / 2


class Reproduction(NamedTuple):
    """A verdict, and what limits it."""

    verdict: str
    note: str = ""


def interval(
    values: Sequence[float], test_stderr: float = math.nan, percent: bool = False
) -> Interval | None:
    """Of the mean of these seeds' values; None where neither part of it is known.

    `test_stderr` is sigma / sqrt(N), NaN where it is not known. `percent`: the values are shares of
    N images in percent, and sigma is binomial.
    """
    from scipy.special import stdtrit  # slow to import

    n, known = len(values), math.isfinite(test_stderr)
    mean = sum(values) / n if n else math.nan
    if not math.isfinite(mean) or (n == 1 and not known):
        return None
    if n == 1 and percent and test_stderr > 0 and 0 < mean < 100:
        return exact(mean, test_stderr)
    of_seeds = 0.0
    if n > 1:
        s = math.sqrt(sum((value - mean) ** 2 for value in values) / (n - 1))
        of_seeds = float(stdtrit(n - 1, 0.975)) * s / math.sqrt(n)
    half = math.hypot(of_seeds, 1.96 * test_stderr if known else 0.0)
    return Interval(mean - half, mean + half)


def exact(percent: float, stderr: float) -> Interval:
    """Clopper and Pearson's of a share of N images, in percent.

    N is that of the binomial standard error, sqrt(p (1 - p) / N) in percent.
    """
    from scipy.stats import binomtest

    p = percent / 100
    images = round(p * (1 - p) / (stderr / 100) ** 2)
    low, high = binomtest(round(p * images), images).proportion_ci(0.95, "exact")
    return Interval(100 * low, 100 * high)


def binomial_stderr(wrong: int, images: int) -> float:
    """sqrt(p (1 - p) / N) of a share of errors, in percent."""
    p = wrong / images
    return 100 * math.sqrt(p * (1 - p) / images)


def stderr_of_images(row: Mapping[Any, Any]) -> float:
    """sigma / sqrt(N) of a mean over N images, from the standard deviation `test_std` beside it in
    a table's row; NaN where the trial did not record it yet."""
    return float(row["test_std"]) / math.sqrt(row["images"]) if "test_std" in row else math.nan


def judge(
    reported: float,
    better: str,
    mean: float,
    n: int,
    spread: Interval | None,
    *,
    recalled: bool = False,
    deterministic: bool = False,
    effect: float = math.nan,
    share_known: bool = True,
) -> Reproduction:
    """The verdict on a reported value; the module says how."""
    if n == 0:
        return Reproduction("open")
    if not math.isfinite(mean):
        return Reproduction("worse")
    low, high = spread or (mean, mean)
    half = (high - low) / 2
    lower = better == "lower" and mean < reported
    higher = better == "higher" and mean > reported
    verdict = "agrees" if low <= reported <= high else "better" if lower or higher else "worse"
    one = n == 1 and not deterministic
    wide = verdict != "worse" and high - low > effect / 2
    near = abs(mean - reported) <= 2 * half
    limited = (recalled or one or wide) and (verdict != "worse" or near)
    reasons = {
        "recalled": recalled,
        "one seed": one,
        "interval wider than half the effect": wide,
        UNKNOWN: not share_known,
    }
    note = "; ".join(reason for reason, holds in reasons.items() if holds)
    return Reproduction("about" if limited else verdict, note)


def judge_claim(band_verdict: str) -> Reproduction:
    """The verdict on a claim, by that of its band."""
    verdicts = {"pass": "holds", "fail": "fails", "missing": "open"}
    return Reproduction(verdicts[band_verdict])


def reproduced_text(verdicts: Mapping[Any, int]) -> str:
    """ "7 of 11, 3 about, 1 not": agrees, better and holds, of all that were reported; else
    blank."""
    kinds = {"about": ("about",), "not": DISSENTING, "open": ("open",)}
    counts = {kind: sum(verdicts.get(each, 0) for each in of) for kind, of in kinds.items()}
    reproduced = sum(verdicts.get(verdict, 0) for verdict in REPRODUCED)
    reported = reproduced + sum(counts.values())
    parts = [f"{reproduced} of {reported}"] if reported else []
    return ", ".join(parts + [f"{count} {kind}" for kind, count in counts.items() if count])


def counts_text(verdicts: Counter[str]) -> str:
    """ "7 agrees, 3 about", in the order of VERDICTS, without those that no number has."""
    return ", ".join(f"{verdicts[each]} {each}" for each in VERDICTS if verdicts[each]) or "none"
