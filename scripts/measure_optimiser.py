"""Does the optimiser that painters are measured against find the same in bfloat16 as in float32, and what does its first step do for that?

    python scripts/measure_optimiser.py --images DIR --vgg WEIGHTS [-s STYLE...] [--limit 4] [--steps 60]

Prints, for each style, start, first step and precision of the gradients, the mean over the photographs of the lowest loss
so far after every ten steps.
"""

from __future__ import annotations

import argparse
from contextlib import nullcontext
from datetime import date
from pathlib import Path
from unittest.mock import patch

from torch import Tensor

from impasto import images, optimize
from impasto.checkpoint import find_style_model, load_style_model
from impasto.compare import Curve, best_so_far, judge_of, mean_curve
from impasto.losses.perceptual import PerceptualLoss
from impasto.runtime import provenance

FIRST_STEPS = {
    "torch's": patch.object(optimize._LBFGS, "_first_rate", lambda self: 1),
    f"{optimize._FIRST_STEP:g}": nullcontext(),
}


def optimised(photograph: Tensor, loss: PerceptualLoss, init: str, steps: int, bfloat16: bool) -> Curve:
    return best_so_far(optimize.optimize_image(photograph, loss, steps=steps, init=init, bfloat16=bfloat16).curve)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True, help="photographs")
    parser.add_argument("--vgg", required=True, help="VGG-19's weights: torchvision or a path")
    parser.add_argument("-s", "--styles", nargs="+", default=["composition_vii"], help="style models")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--limit", type=int, default=4, help="of the photographs")
    parser.add_argument("--size", type=int, default=256)
    options = parser.parse_args()
    paths = images.find_images([str(options.images)])[: options.limit]
    photographs = [
        images.centre_square(images.read_image(path, at_least=options.size), options.size)[None] for path in paths
    ]
    print(f"{date.today()}, {provenance()}, {len(photographs)} photographs")
    marks = [str(step) for step in range(10, options.steps + 1, 10)]
    print(f"| style | from | first step | gradients | {' | '.join(marks)} |")
    print("| --- " * (len(marks) + 4) + "|")
    for style in options.styles:
        loss = judge_of(load_style_model(find_style_model(style)), options.vgg)
        for init in ("noise", "content"):
            for first_step, patched in FIRST_STEPS.items():
                for gradients in ("float32", "bfloat16"):
                    with patched:
                        runs = [
                            optimised(photograph, loss, init, options.steps, gradients == "bfloat16")
                            for photograph in photographs
                        ]
                    mean = mean_curve(runs)
                    figures = [f"{mean[int(mark)]['total']:.3f}" for mark in marks]
                    print(f"| {' | '.join([style, init, first_step, gradients, *figures])} |", flush=True)


if __name__ == "__main__":
    main()
