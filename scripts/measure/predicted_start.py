"""What training reaches from a predicted painter and from the base weights, after 0 to 120 seconds.

    python scripts/measure/predicted_start.py --judge DIR --styles DIR... --training DIR --photographs DIR
        [--seconds 0 15 30 60 120] [--count 4] -o DIR

Trains a painter with `impasto train` for every style that the predictor never saw, start and length, in turn. The loss
is the one of training, on the slim loss network, over photographs that none of them was trained on; the judge is that
of pictures.py. Lower is better, but structure trades against style; of the style reached, more is better. Painters stay
in the output folder, and what is there is not trained again.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import _head
import torch
from pictures import Figures, Judge, load_judge, mean

from any_style import unseen
from impasto.any_style.find import find_painter
from impasto.compare.summarize import fidelity
from impasto.images.finding import find_images
from impasto.images.geometry import resize
from impasto.images.reading import read_image
from impasto.images.writing import write_image
from impasto.inference.stylizer import Stylizer
from impasto.losses.perceptual import PerceptualLoss
from impasto.system.choices import STYLE_SIZE
from impasto.system.files import asset_dir

STARTS = ("base", "predicted")
FIGURES = ("loss", "style_reached", "deep", "structure")


def trained(style: Path, start: str, seconds: float, options: argparse.Namespace) -> Path:
    """Return the painter, trained if it is not there."""
    beginning = asset_dir("checkpoints") / "base" / "brush.safetensors" if start == "base" else find_painter(style)
    if not seconds:
        return beginning
    folder = options.output / f"{style.stem}-{start}-{seconds:g}"
    painter = folder / f"{style.stem}.safetensors"
    if not painter.is_file():
        words = ["train", style, f"data.root={options.training}", f"init={beginning}", f"output={painter}"]
        words += [f"paths.run={folder / 'run'}", f"trainer.max_minutes={seconds / 60}"]
        subprocess.run([sys.executable, "-m", "impasto", *map(str, words)], check=True, stdout=subprocess.DEVNULL)
    return painter


@torch.no_grad()
def row(style: Path, start: str, seconds: float, painter: Path, photographs: Sequence[Path], judge: Judge) -> _head.Row:
    loss = PerceptualLoss.from_spec("slim")
    loss.set_style(resize(read_image(style), STYLE_SIZE)[None])
    stylizer = Stylizer(painter, precision="float32")
    found: list[Figures] = []
    with tempfile.TemporaryDirectory() as name:
        for photograph in photographs:
            content = resize(read_image(photograph), 480)
            painting = stylizer(content)
            terms, own = (loss(picture[None], content[None]).numbers() for picture in (painting, content))
            reached = fidelity([terms], [own["style"]], loss.content_weight).style_reached or 0.0
            before, after = Path(name, "photograph.png"), Path(name, "painting.png")
            write_image(before, content)
            write_image(after, painting)
            (judged,) = judge(style, before, [after])
            found.append({"loss": terms["total"], "style_reached": reached, **judged})
    means = mean(found)
    facts: _head.Row = {"style": style.stem, "start": start, "seconds": seconds, "photographs": len(photographs)}
    return facts | {key: _head.rounded(means[key]) for key in FIGURES}


def main() -> None:
    parser = _head.parser(__doc__)
    parser.add_argument("--judge", type=Path, required=True)
    parser.add_argument("--styles", type=Path, nargs="+", required=True)
    parser.add_argument("--training", type=Path, required=True, help="photographs to train on")
    parser.add_argument("--photographs", type=Path, required=True, help="photographs to judge")
    parser.add_argument("--seconds", type=float, nargs="+", default=[0, 15, 30, 60, 120])
    parser.add_argument("--count", type=int, default=4, help="of the styles")
    parser.add_argument("--limit", type=int, default=6, help="of the photographs to judge")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    judge, photographs = load_judge(options.judge), find_images([options.photographs])[: options.limit]
    rows: list[_head.Row] = []
    for style in unseen(options.styles, options.count):
        for seconds in options.seconds:
            for start in STARTS:
                painter = trained(style, start, seconds, options)
                rows.append(row(style, start, seconds, painter, photographs, judge))
                print(rows[-1], flush=True)
    title = "Training from a predicted painter and from base weights, means over styles that the predictor never saw"
    _head.save(options.results, "predicted_start", title, [*rows, *means(rows)])


def means(rows: Sequence[_head.Row]) -> list[_head.Row]:
    """Means over the styles, by start and length."""
    made: list[_head.Row] = []
    for seconds, start in dict.fromkeys((each["seconds"], each["start"]) for each in rows):
        same = [each for each in rows if (each["seconds"], each["start"]) == (seconds, start)]
        figures = {key: _head.rounded(statistics.mean(float(each[key] or 0) for each in same))
                   for key in FIGURES}  # fmt: skip
        made.append(
            {"style": "mean", "start": start, "seconds": seconds, "photographs": same[0]["photographs"]} | figures
        )
    return made


if __name__ == "__main__":
    main()
