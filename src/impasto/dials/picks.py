"""The numbers of a preview: how strongly, with which strokes and in whose colours a style can be painted.

`impasto preview` shows them all, `impasto train --pick N` trains one. Both take them from here. Needs no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from impasto.dials.dials import Dials
from impasto.dials.strokes import resized
from impasto.errors import UsageError, printable
from impasto.images.geometry import resize, size_of
from impasto.system.choices import STYLE_SIZE

# What a preview shows of each dial.
SHOWN_STRENGTHS = (0.5, 0.75, 1.0)
SHOWN_STROKES = (0.5, 1.0, 2.0)
SHOWN_COLORS = ("style", "photo")


@dataclass(frozen=True)
class Pick:
    """One number of a preview.

    Attributes:
        dials: how the photograph is painted.
        style_size: longer side, in pixels, of the style picture that a painter with such strokes learns from.
    """

    number: int
    dials: Dials

    @property
    def stroke(self) -> float:
        return self.dials.stroke or 1.0

    @property
    def style_size(self) -> int:
        return style_size(self.stroke)

    def to_dict(self) -> dict[str, Any]:
        dials = self.dials
        return {"number": self.number, "strength": dials.strength, "stroke": dials.stroke, "color": dials.color}


def style_size(stroke: float) -> int:
    """Return the longer side, in pixels, of the style picture that gives strokes of this size."""
    return round(STYLE_SIZE * stroke)


def all_picks() -> list[Pick]:
    """Return the numbers from 1 on, as they stand on the sheet: a row for each stroke, its strengths in each colour."""
    dials = [
        Dials(strength, stroke, color)
        for stroke in SHOWN_STROKES
        for color in SHOWN_COLORS
        for strength in SHOWN_STRENGTHS
    ]
    return [Pick(number, each) for number, each in enumerate(dials, 1)]


def pick_of(number: str | int) -> Pick:
    """Return the pick of that number.

    Raises:
        UsageError: there is none.
    """
    picks = {str(pick.number): pick for pick in all_picks()}
    if str(number) not in picks:
        raise UsageError(
            f"--pick {printable(str(number))}: choose a number from 1 to {len(picks)}, as `impasto preview` shows them"
        )
    return picks[str(number)]


def paint_picks(
    paint: Callable[[np.ndarray, float], np.ndarray], photograph: np.ndarray, size: int
) -> Iterator[tuple[Pick, np.ndarray]]:
    """Yield every pick and what it makes of a photograph. Strength and colour are mixed from one painting a stroke.

    Args:
        paint: takes the photograph and the size of the strokes, and returns a painting of any size.
        photograph: (H, W, 3), uint8.
        size: longer side of the results, in pixels.
    """
    small = resize(photograph, size)
    for stroke, picks in groupby(all_picks(), key=lambda pick: pick.stroke):
        painting = resized(paint(photograph, stroke), size_of(small))
        for pick in picks:
            yield pick, pick.dials.mix(small, painting)
