"""Moments of a film as people type them."""

from __future__ import annotations

import re
from fractions import Fraction

TIME = r"(?:(?:\d{1,4}:)?\d{1,4}:)?\d{1,6}(?:\.\d{1,9})?"
A_TIME = "seconds, MM:SS or HH:MM:SS, such as 90, 1:30 or 00:01:30.5"


def seconds_of(text: str) -> Fraction:
    """Return the seconds that 90, 1:30 or 00:01:30.5 means, exactly.

    Raises:
        ValueError: no such time, or 60 seconds or minutes where a larger unit stands before them.
    """
    if not re.fullmatch(TIME, text.strip(), re.ASCII):
        raise ValueError(f"{text} is no time; give {A_TIME}")
    *larger, seconds = (Fraction(part) for part in text.strip().split(":"))
    if larger and (seconds >= 60 or any(unit >= 60 for unit in larger[1:])):
        raise ValueError(f"{text} is no time: 60 seconds are a minute, and 60 minutes an hour")
    total = Fraction(0)
    for part in (*larger, seconds):
        total = total * 60 + part
    return total
