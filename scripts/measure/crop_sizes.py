"""How much of a painting does a part of it hold? The style loss of parts of the style picture, by their size.

    python scripts/measure/crop_sizes.py --styles DIR [--side 200 256 320 400] [--parts 24]

A painter is trained on crops, each of which is to have the statistics of the whole style picture. Where a crop's side
is so small that not even the painting's own parts have them, the loss asks for what the painter never did: all of the
colours and all of the contrasts everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import _head
import torch
from torch import Tensor

from impasto.images.finding import find_images
from impasto.images.geometry import resize
from impasto.images.reading import read_image
from impasto.losses.perceptual import PerceptualLoss


def random_parts(picture: Tensor, side: int, count: int, generator: torch.Generator) -> Tensor:
    """Squares of a picture (3, H, W) at random places: (count, 3, side, side)."""
    places = [torch.randint(length - side + 1, (count,), generator=generator).tolist() for length in picture.shape[1:]]
    return torch.stack([picture[:, y : y + side, x : x + side] for y, x in zip(*places, strict=True)])


@torch.no_grad()
def style_losses(loss: PerceptualLoss, parts: Tensor) -> Tensor:
    """The style term of each part, (N,), at weight 1."""
    contents = loss.content_features(parts)
    return loss.compare_each(parts, contents).style / loss.style_weight


def row_of(path: Path, sides: Sequence[int], count: int, size: int, loss: PerceptualLoss) -> _head.Row:
    picture = resize(read_image(path), size)
    loss.set_style(picture[None])
    generator = torch.Generator().manual_seed(0)
    row: _head.Row = {"style": path.stem}
    for side in sides:
        if side <= min(picture.shape[1:]):
            parts = random_parts(picture, side, count, generator)
            row[f"{side} pixels"] = _head.rounded(style_losses(loss, parts).mean().item(), 2)
    return row


def main() -> None:
    parser = _head.parser(__doc__)
    parser.add_argument("--styles", type=Path, required=True, help="style pictures")
    parser.add_argument("--side", type=int, nargs="+", default=[200, 256, 320, 400])
    parser.add_argument("--parts", type=int, default=24, help="of each picture and side")
    parser.add_argument("--size", type=int, default=512, help="longer side of the style pictures")
    options = parser.parse_args()
    loss, rows = PerceptualLoss.from_spec("slim"), []
    for path in find_images([options.styles]):
        rows.append(row_of(path, options.side, options.parts, options.size, loss))
        print(rows[-1], flush=True)
    print(_head.stamp("cpu"))
    _head.save(options.results, "crop_sizes", "Style loss of parts of the style picture", rows, "cpu")


if __name__ == "__main__":
    main()
