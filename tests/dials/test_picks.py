"""The numbers of a preview."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from impasto.dials.picks import all_picks, paint_picks, pick_of
from impasto.errors import UsageError
from impasto.synthetic.contents import procedural_image


def test_every_strength_stroke_and_colour_has_one_number() -> None:
    picks = all_picks()
    assert [pick.number for pick in picks] == list(range(1, 19))
    assert {(pick.dials.strength, pick.stroke, pick.dials.color) for pick in picks} == {
        (strength, stroke, color)
        for strength in (0.5, 0.75, 1)
        for stroke in (0.5, 1, 2)
        for color in ("style", "photo")
    }
    assert {pick.stroke: pick.style_size for pick in picks} == {0.5: 256, 1: 512, 2: 1024}
    assert pick_of(1).to_dict() == {"number": 1, "strength": 0.5, "stroke": 0.5, "color": "style"}
    assert all(pick_of(str(pick.number)) == pick for pick in picks)


@pytest.mark.parametrize("number", ["0", "19", "-1", "one", "1.0", "", "\n"])
def test_a_number_that_is_not_there_is_refused_in_one_line(number: str) -> None:
    with pytest.raises(UsageError, match="from 1 to 18") as refused:
        pick_of(number)
    assert "\n" not in str(refused.value)


def test_strengths_and_colours_are_mixed_from_one_painting_a_stroke() -> None:
    photograph, strokes = procedural_image(1, 64)[:48], []

    def paint(pixels: np.ndarray, stroke: float) -> np.ndarray:
        strokes.append(stroke)
        return 255 - np.asarray(pixels)

    painted = list(paint_picks(paint, photograph, 32))
    assert strokes == [0.5, 1, 2] and [pick for pick, _ in painted] == all_picks()
    assert {picture.shape for _, picture in painted} == {(24, 32, 3)}
    cells = {pick.number: picture.astype(int) for pick, picture in painted}
    assert np.abs(cells[3] - cells[1]).mean() > np.abs(cells[3] - cells[2]).mean() > 1, "stronger, nearer the painting"
    assert np.abs(cells[3] - cells[6]).mean() > 1, "other colours"


def test_the_numbers_are_there_without_torch() -> None:
    code = "import sys; from impasto.dials.picks import pick_of; pick_of(3); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=100).returncode == 0
