"""Moments as people type them."""

from __future__ import annotations

from fractions import Fraction

import pytest

from impasto.system.times import seconds_of


@pytest.mark.parametrize(("text", "seconds"), [
    ("0", 0), ("90", 90), ("1:30", 90), ("00:10", 10), ("00:01:30.5", Fraction(181, 2)), ("90:00", 5400),
    ("0.1", Fraction(1, 10)), ("2:00:00", 7200), ("3.3333", Fraction(33333, 10000)),
])  # fmt: skip
def test_times_are_exact(text: str, seconds: Fraction) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "-1", "1:60", "1:60:00", "1:2:3:4", "x", "1e5", "٣", "1:", ":1", "nan", ".5"])
def test_what_is_no_time_is_said(text: str) -> None:
    with pytest.raises(ValueError, match="no time"):
        seconds_of(text)
