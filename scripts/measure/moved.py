"""How much a painting changes where the photograph moves or has noise, and how much of that its canvas does.

    python scripts/measure/moved.py PHOTOGRAPH... -s NAME|NAME=FILE...

For whole pixels, two cuts of each photograph, so far apart along both axes, are painted: no interpolation comes in. For
parts of a pixel, the photograph, made as soft by a blur as frames of films are, and its painting are both moved by
their spectra. The figures are the root mean square between the painting of what was moved and the painting, moved, in
levels of 255; 64 pixels along the border do not count. A network that moved with its picture would have 0. Noise is
grey, of deviation 1.5 levels, in square grains of so many pixels.
"""

from __future__ import annotations

import math
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import _head
import torch
from flicker import named_style
from torch import Tensor, nn

from impasto.checkpoint import load_style_model
from impasto.images.reading import read_image
from impasto.inference.receptive_field import lay_canvas
from impasto.losses.temporal import grains
from impasto.networks import Blur, stride_and_surround
from impasto.networks.brush import Canvas

MOVES = (1, 2, 4, 8)  # pixels
PARTS = (0.25, 0.5)  # of a pixel
GRAINS = (1, 4, 16)  # pixels of a side
NOISE = 1.5 / 255  # its deviation
BORDER = 64
GRID = 4  # pixels between the points at which a canvas lies


@torch.no_grad()
def row(network: nn.Module, photographs: Sequence[Tensor]) -> _head.Row:
    squares: defaultdict[str, list[Tensor]] = defaultdict(list)
    stride, _ = stride_and_surround(network)
    has_canvas = any(isinstance(layer, Canvas) for layer in network.modules())
    for photograph in photographs:
        height, width = ((side - max(MOVES)) // stride * stride for side in photograph.shape[1:])
        painted = network(photograph[None, :, :height, :width])
        squares["contrast"].append(painted.var())
        for move in MOVES:
            cut = photograph[None, :, move : move + height, move : move + width]
            places = {f"moved_{move}": 0}
            if has_canvas and move % GRID == 0:
                places[f"moved_{move}_canvas_too"] = move
            for name, place in places.items():
                lay_canvas(network, place, place)
                squares[name].append(inner_square(painted[..., move:, move:] - network(cut)[..., :-move, :-move]))
                lay_canvas(network, 0, 0)
        soft = Blur(3)(photograph[None, :, :height, :width])
        painted = network(soft)
        for part in PARTS:
            off = network(moved_by(soft, part).clamp(0, 1)) - moved_by(painted, part)
            squares[f"moved_{part}"].append(inner_square(off))
        for size in GRAINS:
            noise = NOISE * grains((1, 1, height, width), size, torch.Generator().manual_seed(0))
            squares[f"noise_{size}"].append(inner_square(network((soft + noise).clamp(0, 1)) - painted))
    return {name: _head.rounded(255 * float(torch.stack(each).mean().sqrt())) for name, each in squares.items()}


def inner_square(off: Tensor) -> Tensor:
    """The mean square of a difference without what lies along the border."""
    return off[..., BORDER:-BORDER, BORDER:-BORDER].square().mean()


def moved_by(images: Tensor, pixels: float) -> Tensor:
    """Move pictures (N, C, H, W) down and right by any part of a pixel; what leaves comes in on the other side."""
    rows, columns = (torch.fft.fftfreq(side) for side in images.shape[-2:])
    turn = -2 * math.pi * pixels * (rows[:, None] + columns)
    return torch.fft.ifft2(torch.fft.fft2(images) * torch.polar(torch.ones_like(turn), turn)).real


def main() -> None:
    parser = _head.parser(__doc__)
    parser.add_argument("photographs", type=Path, nargs="+")
    parser.add_argument("-s", "--style", type=named_style, nargs="+", required=True, metavar="NAME|NAME=FILE")
    options = parser.parse_args()
    photographs = [read_image(path) for path in options.photographs]
    rows: list[_head.Row] = []
    for name, model in options.style:
        rows.append({"style": name, **row(load_style_model(model).network, photographs)})
        print(rows[-1], flush=True)
    title = f"How much paintings of {len(photographs)} photographs change by motion and noise, in levels of 255"
    _head.save(options.results, "moved", title, rows)


if __name__ == "__main__":
    sys.exit(main())
