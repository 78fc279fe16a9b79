"""The contact sheet."""

from __future__ import annotations

import math

import numpy as np
import torch

from impasto.images.contact_sheet import Tile, captioned_sheet, columns_for, contact_sheet, in_rows


def test_contact_sheet_shows_each_picture_in_its_place() -> None:
    red, wide = torch.tensor([1.0, 0, 0])[:, None, None].expand(3, 64, 64), torch.zeros(3, 20, 80)
    sheet = contact_sheet([[red, wide], [wide]], titles=["Red", "A title"], tile=64)
    plain = contact_sheet([[red, wide], [wide]], tile=64)
    assert plain.shape == (3, 2 + 2 * 66, 2 + 2 * 66) and sheet.shape[2] == plain.shape[2]
    header = sheet.shape[1] - plain.shape[1]
    assert (sheet[:, :header].amin() < 0.5) and torch.equal(sheet[:, header + 2 :], plain[:, 2:])
    assert torch.equal(plain[:, 2:66, 2:66], red)
    assert (plain[:, :2] == 1).all() and (plain[:, :, 66:68] == 1).all(), "white gutters"
    assert (plain[:, 34, 68:132] == 0).all() and (plain[:, 10, 68:132] == 1).all(), "fitted, not stretched"


def grey(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), 128, np.uint8)


def is_picture(sheet: np.ndarray) -> np.ndarray:
    return (sheet == 128).all(axis=2)


def test_captions_stand_below_pictures_of_any_shape_and_are_shortened_to_the_column() -> None:
    rows = [[Tile(grey(40, 220), "one", "more"), Tile(grey(60, 30), "x" * 100)], [Tile(grey(10, 10), "last\nline")]]
    sheet = captioned_sheet(rows)
    pictures = is_picture(sheet)
    assert pictures.sum() >= 40 * 220 + 60 * 30 + 10 * 10
    assert pictures[:, : sheet.shape[1] // 2].any(axis=1).sum() >= 50, "each at its own size"
    below = np.flatnonzero(pictures.any(axis=1))
    gap = below[np.argmax(np.diff(below) > 1)] + 1
    captions = np.asarray((sheet[gap + 1 : gap + 30] < 100).any(axis=(0, 2)))
    assert captions[: sheet.shape[1] // 2].any() and captions[sheet.shape[1] // 2 :].any()
    for side in (sheet[:8], sheet[-8:], sheet[:, :8], sheet[:, -8:]):
        assert (side == 255).all(), "a white frame"


def test_a_sheet_without_details_is_lower_and_headings_stand_above() -> None:
    tiles = [Tile(grey(64, 64), "name")] * 4
    plain, headed = captioned_sheet([tiles]), captioned_sheet([tiles], headings=("left", "right"))
    detailed = captioned_sheet([[Tile(grey(64, 64), "name", "detail")]])
    assert plain.shape[0] < min(detailed.shape[0], headed.shape[0]) and plain.shape[1] < headed.shape[1]
    above = np.flatnonzero(is_picture(headed).any(axis=1))[0] - 2  # the line around pictures
    ink = np.asarray((headed[:above] < 200).any(axis=(0, 2)))
    assert ink[: headed.shape[1] // 2].any() and ink[headed.shape[1] // 2 :].any()


def test_columns_fit_a_screen_and_leave_few_places_empty() -> None:
    assert columns_for(1, 14, 1.0) == 5 and columns_for(1, 14, 1.5) == 4 and columns_for(3, 14, 1.5) == 7
    assert columns_for(3, 3, 1.5) == 3 and columns_for(1, 1, 0.1) == 1
    for blocks in range(1, 5):
        for tiles in range(1, 30):
            columns = columns_for(blocks, tiles, 1.5)
            assert 1 <= columns <= tiles and columns * math.ceil(tiles / columns) - tiles < columns
    assert [len(row) for row in in_rows([Tile(grey(4, 4), "a")] * 7, 3)] == [3, 3, 1]
