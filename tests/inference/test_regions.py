"""Regions: each painter sees its own, strokes keep their size, empty and covered ones cost nothing."""

from __future__ import annotations

import numpy as np
import pytest

from impasto.dials.dials import Dials
from impasto.inference.regions import Painted, paint_regions, paint_with
from impasto.synthetic.contents import procedural_image

SIDE = 160
PHOTOGRAPH = procedural_image(5, SIDE)
PLAIN = Dials()


class Recorder:
    """A painter that paints one colour and remembers the sizes that it was given."""

    def __init__(self, level: int, deviation: float = 0.0):
        self.level, self.deviation, self.sizes = level, deviation, []

    def __call__(self, batch: np.ndarray) -> Painted:
        self.sizes.append(batch.shape[1:3])
        return Painted(np.full_like(batch, self.level), (self.deviation, 2 * self.deviation))


def where(rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), np.float32)
    mask[rows, columns] = 1
    return mask


def test_a_painter_sees_the_box_around_its_region_alone() -> None:
    base, other = Recorder(10), Recorder(200)
    mask = where(slice(64, 96), slice(64, 96))
    painted, _ = paint_regions(PHOTOGRAPH, (None, base, PLAIN), [(mask, other, PLAIN)])
    assert base.sizes == [(SIDE, SIDE)] and other.sizes == [(96, 96)]
    assert (painted[mask == 0] == 10).all() and (painted[70:90, 70:90] == 200).all()


def test_a_mask_of_the_base_leaves_the_photograph_and_regions_lie_above_it() -> None:
    right, top = where(slice(None), slice(80, None)), where(slice(0, 80), slice(None))
    painted, _ = paint_regions(PHOTOGRAPH, (right, Recorder(10), PLAIN), [(top, Recorder(200), PLAIN)])
    assert (painted[80:, :80] == PHOTOGRAPH[80:, :80]).all()
    assert (painted[80:, 80:] == 10).all() and (painted[:70] == 200).all()


def test_who_has_nothing_to_paint_does_not_paint() -> None:
    nowhere, everywhere = np.zeros((SIDE, SIDE), np.float32), np.ones((SIDE, SIDE), np.float32)
    idle, busy = Recorder(10), Recorder(200)
    painted, _ = paint_regions(PHOTOGRAPH, (nowhere, idle, PLAIN), [(nowhere, idle, PLAIN)])
    assert (painted == PHOTOGRAPH).all() and not idle.sizes
    same, _ = paint_with(idle, PHOTOGRAPH[None], PLAIN, nowhere[None])
    assert (same == PHOTOGRAPH).all() and not idle.sizes
    whole, _ = paint_regions(PHOTOGRAPH, (nowhere, idle, PLAIN), [(everywhere, busy, PLAIN)])
    assert not idle.sizes and (whole[SIDE // 2, SIDE // 2] == 200).all()


@pytest.mark.parametrize("stroke", [0.5, 2.0])
def test_strokes_of_a_region_have_the_size_that_they_have_in_the_picture(stroke: float) -> None:
    other = Recorder(200)
    mask = where(slice(64, 96), slice(64, 96))
    paint_regions(PHOTOGRAPH, (None, Recorder(1), PLAIN), [(mask, other, Dials(stroke=stroke))])
    assert other.sizes[0] == (round(96 * 1024 / stroke / SIDE),) * 2


def test_the_largest_deviation_is_told() -> None:
    mask = where(slice(64, 96), slice(64, 96))
    _, deviation = paint_regions(PHOTOGRAPH, (None, Recorder(1, 0.1), PLAIN), [(mask, Recorder(2, 0.3), PLAIN)])
    assert deviation == (0.3, 0.6)
