"""Numbers as a user reads them."""

import math

import pytest

from dgm.text import as_given, number


@pytest.mark.parametrize(
    ("value", "half_width", "text"),
    [
        (-84.5612, 0.4312, "-84.56 ± 0.43"),
        (85.8333, 8.7122, "85.8 ± 8.7"),
        (0.01149, 0.01312, "0.011 ± 0.013"),
        (3311.2, 315.99, "3310 ± 320"),
        (1.5, 0.0996, "1.50 ± 0.10"),  # which rounds up into the next power of ten
        (-0.004, 0.11, "0.00 ± 0.11"),
        (20.0, 0.0, "20 ± 0"),
        (9.7064e-5, 3.4607e-6, "9.71e-05 ± 3.5e-06"),
        (4.1886e-9, 3.3084e-8, "4e-09 ± 3.3e-08"),
        (7.6889e11, 3.3e12, "8e+11 ± 3.3e+12"),
        (1.25, math.nan, "1.25"),
        (math.inf, 0.5, "inf"),
        (1.25, math.inf, "1.25"),
    ],
)
def test_a_number_is_rounded_to_its_intervals_second_digit(
    value: float, half_width: float, text: str
) -> None:
    assert number(value, half_width) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (-128.5887, "-128.6"),
        (0.9874999976, "0.9875"),
        (1.4119e-05, "1.412e-05"),
        (4.0, "4"),
        (-0.0, "0"),
        (1234567.0, "1234567"),
        (12345.6, "12346"),
        (2.5e12, "2.5e+12"),
        (math.nan, ""),
        (None, ""),
    ],
)
def test_a_number_without_an_interval_has_four_digits(value: float | None, text: str) -> None:
    assert number(value) == text


def test_what_was_written_down_keeps_its_digits() -> None:
    assert [as_given(each) for each in (-125.53, 0.1, 2.0, None, math.nan)] == [
        "-125.53",
        "0.1",
        "2",
        "",
        "",
    ]
