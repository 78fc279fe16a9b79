"""Words on a picture: light letters on darkened panels."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_DARK = 90  # of 256: what is left of the picture below a panel
_GAP = 3  # letters between two columns


def letter_for(height: int, width: int) -> int:
    """Return the size of letters, in pixels, that suits a picture."""
    return max(9, min(height // 24, width // 40, 30))


def put_line(picture: np.ndarray, text: str, *, at_bottom: bool = False) -> None:
    """Write a line into the upper left corner of a picture (H, W, 3), uint8, or into the lower one."""
    letter = letter_for(picture.shape[0], picture.shape[1])
    letters = _letters(((text,),), letter)
    top = picture.shape[0] - len(letters) - letter // 2 if at_bottom else letter // 2
    _put(picture, letters, top, letter // 2)


def put_table(picture: np.ndarray, rows: Sequence[tuple[str, ...]]) -> None:
    """Write rows of the same number of columns into the middle of a picture (H, W, 3), uint8."""
    letters = _letters(tuple(rows), letter_for(picture.shape[0], picture.shape[1]))
    _put(picture, letters, (picture.shape[0] - len(letters)) // 2, (picture.shape[1] - letters.shape[1]) // 2)


@lru_cache(maxsize=32)
def _letters(rows: tuple[tuple[str, ...], ...], letter: int) -> np.ndarray:
    """Return how much of each pixel of a panel is letter: (h, w, 1), of 255."""
    font = ImageFont.load_default(size=letter)
    widths = [max(round(font.getlength(cell)) for cell in column) for column in zip(*rows, strict=True)]
    edge, line = letter * 2 // 3, letter * 3 // 2
    size = sum(widths) + letter * _GAP * (len(widths) - 1) + 2 * edge, line * (len(rows) - 1) + letter + 2 * edge
    panel = Image.new("L", size)
    draw = ImageDraw.Draw(panel)
    for y, row in enumerate(rows):
        x = edge
        for cell, width in zip(row, widths, strict=True):
            draw.text((x, edge + y * line + letter // 2), cell, fill=255, font=font, anchor="lm")
            x += width + letter * _GAP
    return np.asarray(panel)[..., None]


def _put(picture: np.ndarray, letters: np.ndarray, top: int, left: int) -> None:
    """Lay a panel on a picture, as far as it fits."""
    top, left = max(0, top), max(0, left)
    below = picture[top : top + len(letters), left : left + letters.shape[1]]
    light = letters[: below.shape[0], : below.shape[1]].astype(np.uint16)
    below[:] = ((below.astype(np.uint16) * _DARK >> 8) * (255 - light) + 255 * light) // 255
