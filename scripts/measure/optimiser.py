"""How far is the optimiser from its end after a few steps? Each start against the loss that a long run reaches.

    python scripts/measure/optimiser.py --images DIR [-s STYLE...] [--weights slim] [--limit 8] [--steps 60]
        [--long 500]

Prints, for each style, the mean loss over the photographs that `--long` steps from the photograph reach, and how far
above it `--steps` steps end from noise, from the photograph and from the painter's own output, in the mean and at
worst; the same for the painter without any step.
"""

from __future__ import annotations

from pathlib import Path

import _head
import torch
from torch import Tensor

from impasto.compare.judge import judging_loss
from impasto.images.finding import find_images
from impasto.images.geometry import centre_square
from impasto.images.reading import read_image
from impasto.inference.stylizer import Stylizer
from impasto.losses.perceptual import PerceptualLoss
from impasto.optimize import optimize_image
from impasto.system.machine import has_fast_bfloat16

STARTS = ("from_noise", "from_the_photograph", "from_the_painter", "the_painter_itself")


def lowest(photograph: Tensor, loss: PerceptualLoss, init: str | Tensor, steps: int) -> float:
    run = optimize_image(photograph, loss, steps=steps, init=init, bfloat16=has_fast_bfloat16("cpu"))
    return min(terms["total"] for terms in run.curve.values())


def above(values: list[float], ends: list[float]) -> tuple[float, float]:
    """Return how far the values are above the ends, in the mean and at most."""
    ratios = [value / end - 1 for value, end in zip(values, ends, strict=True)]
    return sum(ratios) / len(ratios), max(ratios)


def main() -> None:
    parser = _head.parser(__doc__)
    parser.add_argument("--images", type=Path, required=True, help="photographs")
    parser.add_argument("-s", "--styles", nargs="+", default=["starry_night", "wave", "the_scream", "composition_vii"])
    parser.add_argument("--weights", help="of the loss network (default: what the model was trained with)")
    parser.add_argument("--limit", type=int, default=8, help="of the photographs")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--long", type=int, default=500)
    parser.add_argument("--size", type=int, default=256)
    options = parser.parse_args()
    paths = find_images([options.images])[: options.limit]
    squares = [centre_square(read_image(path, at_least=options.size), options.size)[None] for path in paths]
    print(f"{_head.stamp('cpu')}, {len(squares)} photographs of {options.size} pixels")
    print(f"| style | loss after {options.long} steps | {options.steps} from noise | from the photograph | from "
          "the painter | the painter itself |\n| --- | --- | --- | --- | --- | --- |")  # fmt: skip
    rows: list[_head.Row] = []
    for style in options.styles:
        painter = Stylizer(style, "cpu", precision="float32")
        loss = judging_loss(painter.model, options.weights)
        ends = [lowest(square, loss, "content", options.long) for square in squares]
        painted = [painter(square) for square in squares]
        starts = [["noise"] * len(squares), ["content"] * len(squares), painted]
        reached = [
            [lowest(square, loss, init, options.steps) for square, init in zip(squares, inits, strict=True)]
            for inits in starts
        ]
        with torch.no_grad():
            own = [float(loss(output, square).total) for output, square in zip(painted, squares, strict=True)]
        found = dict(zip(STARTS, (above(values, ends) for values in (*reached, own)), strict=True))
        cells = [f"{mean:.0%} (at most {most:.0%})" for mean, most in found.values()]
        print(f"| {style} | {sum(ends) / len(ends):.3f} | {' | '.join(cells)} |", flush=True)
        rows.append({"style": style, "end": _head.rounded(sum(ends) / len(ends))})
        for start, (mean, most) in found.items():
            rows[-1] |= {start: _head.rounded(mean, 3), f"{start}_at_most": _head.rounded(most, 3)}
    title = f"How far {options.steps} steps end above the loss that {options.long} steps reach, by their start"
    _head.save(options.results, "optimiser", title, rows, "cpu")


if __name__ == "__main__":
    main()
