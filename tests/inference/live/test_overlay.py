"""Words on pictures of any size."""

from __future__ import annotations

import numpy as np
import pytest

from impasto.inference.live.overlay import put_line, put_table
from impasto.inference.live.show import KEYS


def test_a_line_stands_in_its_corner_and_nowhere_else() -> None:
    picture = np.full((360, 640, 3), 200, np.uint8)
    put_line(picture, "wave    strength 1    24 frames/s")
    assert picture[:50, :350].max() == 255 and picture[10:40, 10:14].min() < 100
    assert (picture[60:] == 200).all() and (picture[:, 400:] == 200).all()
    below = np.full((360, 640, 3), 200, np.uint8)
    put_line(below, "saved", at_bottom=True)
    assert (below[:300] == 200).all() and below[300:].max() == 255


@pytest.mark.parametrize("size", [(2, 2), (40, 60), (360, 640), (1080, 1920), (900, 300)])
def test_pictures_of_any_size_take_words(size: tuple[int, int]) -> None:
    picture = np.full((*size, 3), 120, np.uint8)
    put_line(picture, "a name that is too long for this picture " * 3)
    put_line(picture, "below", at_bottom=True)
    put_table(picture, KEYS)
    assert picture.shape == (*size, 3) and (picture != 120).any()


def test_the_help_fits_a_usual_picture() -> None:
    picture = np.full((360, 640, 3), 120, np.uint8)
    put_table(picture, KEYS)
    rows, columns = np.nonzero((picture != 120).any(2))
    assert rows.min() > 0 and rows.max() < 359 and columns.min() > 0 and columns.max() < 639
