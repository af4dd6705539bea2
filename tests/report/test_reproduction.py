"""Reproduction: intervals against hand, simulation and scipy; each case of the verdict."""

import math
from collections import Counter

import numpy as np
import pytest
import scipy.stats

from dgm.report.reproduction import (
    Interval,
    Reproduction,
    binomial_stderr,
    counts_text,
    interval,
    judge,
    judge_claim,
    reproduced_text,
    stderr_of_images,
)

NAN = math.nan


def test_an_interval_by_hand() -> None:
    """Three seeds: s = 0.1, t(0.975; 2) = 4.302653; the test set's part is 1.96 * 0.2."""
    found = interval([1.0, 1.1, 1.2], 0.2)
    assert found is not None
    half = math.sqrt((4.302652729911275 * 0.1 / math.sqrt(3)) ** 2 + (1.96 * 0.2) ** 2)
    assert found.half_width == pytest.approx(half, rel=1e-9)
    assert (found.low, found.high) == pytest.approx((1.1 - half, 1.1 + half), rel=1e-9)


def test_the_test_sets_share_does_not_shrink_with_seeds() -> None:
    few, many = interval([1.0, 1.0], 0.2), interval([1.0] * 50, 0.2)
    assert few is not None and many is not None
    assert few.half_width == pytest.approx(1.96 * 0.2, rel=1e-12)
    assert many.half_width == pytest.approx(few.half_width, rel=1e-12)


def test_what_is_not_known_is_left_out() -> None:
    seeds = interval([1.0, 2.0, 4.0])
    assert seeds == pytest.approx(
        scipy.stats.t.interval(0.95, 2, 7 / 3, scipy.stats.sem([1.0, 2.0, 4.0])), rel=1e-12
    )
    one = interval([3.0], 0.5)
    assert one == pytest.approx((3 - 0.98, 3 + 0.98), rel=1e-12)
    assert interval([3.0]) is None
    assert interval([]) is None


@pytest.mark.parametrize(("wrong", "images"), [(125, 10_000), (1, 300), (282, 10_000)])
def test_an_error_of_one_seed_has_the_exact_interval(wrong: int, images: int) -> None:
    found = interval([100 * wrong / images], binomial_stderr(wrong, images), percent=True)
    low = scipy.stats.beta.ppf(0.025, wrong, images - wrong + 1)
    high = scipy.stats.beta.ppf(0.975, wrong + 1, images - wrong)
    assert found is not None
    assert found == pytest.approx((100 * low, 100 * high), rel=1e-6)


def test_an_error_of_none_does_not_tell_the_images() -> None:
    assert interval([0.0], binomial_stderr(0, 300), percent=True) == (0, 0)


def test_standard_errors() -> None:
    assert binomial_stderr(125, 10_000) == pytest.approx(100 * math.sqrt(0.0125 * 0.9875 / 1e4))
    assert stderr_of_images({"test_std": 3.0, "images": 900}) == pytest.approx(0.1)
    assert math.isnan(stderr_of_images({"squared_error": 3.0}))
    assert math.isnan(stderr_of_images({"test_std": NAN, "images": NAN}))


def test_the_bootstrap_has_the_standard_error_that_stands_for_it() -> None:
    generator = np.random.default_rng(0)
    values = generator.gamma(2.0, size=500)
    draws = values[generator.integers(0, 500, size=(4000, 500))].mean(1)
    row = {"test_std": values.std(ddof=1), "images": 500}
    assert draws.std() == pytest.approx(stderr_of_images(row), rel=0.05)


@pytest.mark.parametrize(("of_seeds", "of_images"), [(1.0, 0.0), (0.01, 10.0), (1.0, 10.0)])
def test_coverage(of_seeds: float, of_images: float) -> None:
    """Of 4000 experiments some 95 % hold the truth, or more where both parts matter.

    All seeds of one experiment are tested on the same 100 images, which are drawn anew for each.
    """
    generator = np.random.default_rng(1)
    truth, held, times, seeds, images = 7.0, 0, 4000, 3, 100
    for _ in range(times):
        hard = generator.normal(0, of_images, images)
        nets = truth + generator.normal(0, of_seeds, seeds) + hard.mean()
        found = interval(nets.tolist(), hard.std(ddof=1) / math.sqrt(images))
        assert found is not None
        held += found.low <= truth <= found.high
    least = 0.95 - 4 * math.sqrt(0.95 * 0.05 / times)
    assert least <= held / times <= 0.99
    if 0 in (of_seeds, of_images):
        assert held / times == pytest.approx(0.95, abs=0.015)


INSIDE, BETTER, NEAR, WORSE = 1.0, 1.3, 0.7, 0.5  # reported; the mean is 1 -+ 0.2, lower is better


@pytest.mark.parametrize(
    ("reported", "limits", "verdict", "note"),
    [
        # the reported value; what limits the verdict
        (INSIDE, {}, "agrees", ""),
        (1.2, {}, "agrees", ""),  # the interval's ends are in it
        (BETTER, {}, "better", ""),
        (NEAR, {}, "worse", ""),
        (WORSE, {}, "worse", ""),
        (INSIDE, {"recalled": True}, "about", "recalled"),
        (BETTER, {"recalled": True}, "about", "recalled"),
        (NEAR, {"recalled": True}, "about", "recalled"),
        (WORSE, {"recalled": True}, "worse", "recalled"),
        (INSIDE, {"n": 1}, "about", "one seed"),
        (BETTER, {"n": 1}, "about", "one seed"),
        (NEAR, {"n": 1}, "about", "one seed"),
        (WORSE, {"n": 1}, "worse", "one seed"),
        (INSIDE, {"n": 1, "deterministic": True}, "agrees", ""),
        (BETTER, {"n": 1, "deterministic": True}, "better", ""),
        (NEAR, {"n": 1, "deterministic": True}, "worse", ""),
        (INSIDE, {"effect": 0.79}, "about", "interval wider than half the effect"),
        (BETTER, {"effect": 0.79}, "about", "interval wider than half the effect"),
        (NEAR, {"effect": 0.79}, "worse", ""),  # a wide interval excuses nothing
        (INSIDE, {"effect": 0.81}, "agrees", ""),
        (INSIDE, {"share_known": False}, "agrees", "test set's share unknown"),
        (INSIDE, {"n": 1, "recalled": True}, "about", "recalled; one seed"),
        (BETTER, {"better": "higher"}, "worse", ""),
        (WORSE, {"better": "higher"}, "better", ""),
        (INSIDE, {"better": "closer"}, "agrees", ""),
        (BETTER, {"better": "closer"}, "worse", ""),
        (WORSE, {"better": "closer"}, "worse", ""),
        (INSIDE, {"n": 0, "mean": NAN, "spread": None, "share_known": False}, "open", ""),
        (BETTER, {"n": 1, "spread": None}, "about", "one seed"),
        (NEAR, {"n": 1, "spread": None}, "worse", "one seed"),  # there is no width to be near by
        (INSIDE, {"mean": NAN, "spread": Interval(NAN, NAN)}, "worse", ""),
    ],
)
def test_verdicts(reported: float, limits: dict[str, object], verdict: str, note: str) -> None:
    about = {"better": "lower", "mean": 1.0, "n": 3, "spread": Interval(0.8, 1.2), **limits}
    assert judge(reported=reported, **about) == (verdict, note)  # type: ignore[arg-type]


def test_claims() -> None:
    verdicts = [judge_claim(band) for band in ("pass", "fail", "missing")]
    assert verdicts == [Reproduction("holds"), Reproduction("fails"), Reproduction("open")]


def test_counts() -> None:
    verdicts = Counter({"agrees": 2, "better": 1, "holds": 3, "about": 4, "fails": 1, "open": 5})
    assert reproduced_text(verdicts) == "6 of 16, 4 about, 1 not, 5 open"
    assert reproduced_text({"worse": 1, "": 7, None: 2}) == "0 of 1, 1 not"
    assert reproduced_text({"": 7}) == ""
    assert counts_text(verdicts) == "2 agrees, 1 better, 3 holds, 4 about, 1 fails, 5 open"
    assert counts_text(Counter()) == "none"


@pytest.mark.parametrize("mean", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("better", ["higher", "lower", "closer"])
def test_a_mean_that_is_no_number_is_worse(mean: float, better: str) -> None:
    assert interval([mean], 0.1, percent=True) is None
    assert interval([mean, mean], 0.1) is None
    for n in (1, 2):
        assert judge(1.25, better, mean, n, None).verdict == "worse"


@pytest.mark.parametrize("percent", [0.0, 100.0, 150.0, -1.0])
def test_a_share_that_has_no_exact_interval_has_the_normal_one(percent: float) -> None:
    found = interval([percent], 0.5, percent=True)
    assert found is not None
    assert found.half_width == pytest.approx(1.96 * 0.5)
