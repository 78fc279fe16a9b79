"""Pictures side by side on one sheet."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from impasto.errors import printable
from impasto.images.geometry import resize, size_of
from impasto.images.tensors import from_array, to_pil

if TYPE_CHECKING:
    from torch import Tensor

SHEET = "contact_sheet.png"  # the name of its file beside a run or a comparison
_INK, _FAINT, _LINE = "#1d1d1f", "#77777c", "#dcdcdf"
_LOOK = 1.6  # width by height of a sheet that fits a screen


class Tile(NamedTuple):
    """A picture (H, W, 3) with its name below, and in a fainter second line what else there is to say."""

    picture: np.ndarray
    name: str
    detail: str = ""


def contact_sheet(rows: Sequence[Sequence[Tensor]], *, titles: Sequence[str] = (), tile: int = 256) -> Tensor:
    """Lay `rows` of pictures (3, h, w) out on white, each fitted to a tile, a title over each column: (3, H, W)."""
    gutter, letter = max(2, tile // 64), max(10, tile // 14)
    step = tile + gutter
    top = letter + 3 * gutter if titles else gutter
    columns = max([len(titles), *map(len, rows)])
    sheet = Image.new("RGB", (gutter + columns * step, top + max(1, len(rows)) * step), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=letter)
    for x, title in enumerate(titles):
        draw.text((gutter + x * step + tile / 2, top / 2), printable(title), fill="black", font=font, anchor="mm")
    for y, row in enumerate(rows):
        for x, image in enumerate(row):
            _paste(sheet, resize(image, tile), (gutter + x * step, top + y * step), (tile, tile))
    return from_array(np.array(sheet))


def captioned_sheet(rows: Sequence[Sequence[Tile]], *, headings: Sequence[str] = ()) -> np.ndarray:
    """Lay rows of tiles out on white, each picture as large as it is, its caption below: (H, W, 3), uint8.

    Args:
        rows: a row may be shorter than others; it is as high as its highest picture.
        headings: stand each over an equal share of the columns, which a gap sets apart.
    """
    frame = _Frame.of(rows, len(headings))
    sheet = Image.new("RGB", frame.size, "white")
    draw = ImageDraw.Draw(sheet)
    for group, heading in enumerate(headings):
        left = frame.left(group * frame.per_group)
        middle = (left + frame.left((group + 1) * frame.per_group - 1) + frame.column) / 2
        frame.write(draw, heading, middle, frame.margin, frame.letter * 5 // 4, _INK, room=2 * (middle - left))
    y = frame.top
    for row, height in zip(rows, frame.heights, strict=True):
        for column, tile in enumerate(row):
            x = frame.left(column)
            left, top, right, bottom = _paste(sheet, tile.picture, (x, y), (frame.column, height))
            draw.rectangle((left - 1, top - 1, right, bottom), outline=_LINE)  # a white sky ends somewhere
            middle, line = x + frame.column // 2, y + height + frame.letter * 2 // 3
            frame.write(draw, tile.name, middle, line, frame.letter, _INK)
            frame.write(draw, tile.detail, middle, line + frame.letter * 4 // 3, frame.letter * 5 // 6, _FAINT)
        y += height + frame.caption + frame.gutter
    return np.array(sheet)


class _Frame(NamedTuple):
    """Measures of a sheet with captions, in pixels: all follow from the pictures."""

    columns: int
    column: int  # its width
    heights: list[int]  # of the pictures in each row
    letter: int
    gutter: int
    caption: int  # its height
    headings: int

    @classmethod
    def of(cls, rows: Sequence[Sequence[Tile]], headings: int) -> _Frame:
        sizes = [[size_of(tile.picture) for tile in row] for row in rows]
        longer = max(max(size) for row in sizes for size in row)
        letter, gutter = max(11, longer // 19), max(6, longer // 22)
        # Below narrow pictures there is still room for words.
        column = max(10 * letter, *(size[1] for row in sizes for size in row))
        has_details = any(tile.detail for row in rows for tile in row)
        caption = letter * 2 + (letter * 4 // 3 if has_details else 0)
        return cls(
            max(map(len, rows)),
            column,
            [max(size[0] for size in row) for row in sizes],
            letter,
            gutter,
            caption,
            headings,
        )

    @property
    def margin(self) -> int:
        return 2 * self.gutter

    @property
    def top(self) -> int:
        return self.margin + (self.letter * 5 // 2 if self.headings else 0)

    @property
    def per_group(self) -> int:
        """Columns below one heading."""
        return math.ceil(self.columns / max(1, self.headings))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the sheet."""
        below = len(self.heights) * (self.caption + self.gutter) - self.gutter
        return self.left(self.columns - 1) + self.column + self.margin, self.top + sum(
            self.heights
        ) + below + self.gutter

    def left(self, column: int) -> int:
        """Where a column begins."""
        return self.margin + column * (self.column + self.gutter) + column // self.per_group * 2 * self.gutter

    def write(
        self, draw: ImageDraw.ImageDraw, text: str, x: float, y: float, size: int, ink: str, room: float = 0
    ) -> None:
        """Write one line around `x`, from `y` down, shortened to what there is room for, by default a column."""
        font = ImageFont.load_default(size=size)
        draw.text((x, y), _shortened(printable(text), font, room or self.column), fill=ink, font=font, anchor="ma")


def _shortened(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, room: float) -> str:
    if font.getlength(text) <= room:
        return text
    while text and font.getlength(f"{text}...") > room:
        text = text[:-1]
    return f"{text.rstrip()}..."


def _paste(
    sheet: Image.Image, image: Tensor | np.ndarray, corner: tuple[int, int], room: tuple[int, int]
) -> tuple[int, int, int, int]:
    """Put a picture in the middle of the room that it has, `room` being its width and height; return its box."""
    picture = to_pil(image)
    left, top = corner[0] + (room[0] - picture.width) // 2, corner[1] + (room[1] - picture.height) // 2
    sheet.paste(picture, (left, top))
    return left, top, left + picture.width, top + picture.height


def columns_for(blocks: int, tiles: int, aspect: float) -> int:
    """Return into how many columns to break `blocks` of as many `tiles`, so that the sheet fits a screen and hardly a
    place stays empty.

    Args:
        blocks: each begins a row of its own.
        aspect: width by height of the tiles.
    """

    def penalty(columns: int) -> float:
        rows = math.ceil(tiles / columns)
        looks = columns * aspect / (rows * blocks)
        empty = 1 - tiles / (columns * rows)
        return abs(math.log(looks / _LOOK)) + 2 * empty

    return min(range(1, tiles + 1), key=penalty)


def in_rows(tiles: Sequence[Tile], columns: int) -> Iterator[Sequence[Tile]]:
    """Break tiles into rows of as many columns."""
    return (tiles[start : start + columns] for start in range(0, len(tiles), columns))
