"""Pictures side by side on one sheet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from impasto.errors import printable
from impasto.images.geometry import resize
from impasto.images.tensors import from_array, to_pil

if TYPE_CHECKING:
    from torch import Tensor

SHEET = "contact_sheet.png"  # the name of its file beside a run or a comparison


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
            picture = to_pil(resize(image, tile))
            left_over = (tile - picture.width) // 2, (tile - picture.height) // 2
            sheet.paste(picture, (gutter + x * step + left_over[0], top + y * step + left_over[1]))
    return from_array(np.array(sheet))
