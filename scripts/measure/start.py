"""What a few minutes of training reach, by loss network and start, judged by VGG-19.

    python scripts/measure/start.py --styles IMAGE... --photographs DIR --images DIR --vgg WEIGHTS -o DIR
        [--minutes 0.5 1 2 5] [--variants vgg19/none vgg19/auto slim/none slim/auto]

Trains a painter with `impasto train` for every style, variant (loss network/start, and /optimizer if another) and
length, one after the other, and compares it with `impasto compare`. Prints a table; reports and painters stay in the
output folder, and what is there measured already is not done again.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import _head

from impasto.checkpoint import read_metadata
from impasto.compare.report import read_report

HEAD = """| style | loss network | start | optimizer | minutes | steps | photographs | VGG-19's loss | equal iterations from noise / photograph | in the median | gap | screen |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"""  # noqa: E501


def impasto(*words: object) -> None:
    subprocess.run([sys.executable, "-m", "impasto", *map(str, words)], check=True, stdout=subprocess.DEVNULL)


def measured(style: Path, variant: str, minutes: float, options: argparse.Namespace) -> _head.Row:
    """Train, compare and return the table's row."""
    weights, start, *optimizer = variant.split("/")
    folder = options.output / f"{style.stem}-{variant.replace('/', '-')}-{minutes:g}"
    painter, report_path = folder / f"{style.stem}.safetensors", folder / "report.json"
    if not report_path.is_file():
        weights_key = "slim" if weights == "slim" else options.vgg
        impasto(
            "train", style, f"data.root={options.photographs}", f"loss.features.weights={weights_key}",
            f"init={start}", "--minutes", minutes, f"output={painter}", f"paths.run={folder / 'run'}",
            *(f"optimizer={name}" for name in optimizer),
        )  # fmt: skip
        impasto(
            "compare", options.images, "-s", painter, "-o", folder, "--loss-weights", options.vgg, "--style-image",
            style,
            "--steps", options.steps, "--limit", options.limit, "--precision", "auto", "--no-polish",
        )  # fmt: skip
    report = read_report(report_path)
    median = report.median_iterations
    return {
        "style": style.stem,
        "loss_network": weights,
        "start": "base" if start == "auto" else start,
        "optimizer": optimizer[0] if optimizer else "muon",
        "minutes": minutes,
        "steps": read_metadata(painter).training.steps,
        "photographs": len(report.images),
        "vgg19_loss": round(report.loss.network["total"], 3),
        "equal_iterations": report.equal_iterations.formatted(report.steps),
        "median_iterations": median.formatted(report.steps) if median else "",
        "gap": round(report.gap, 3),
        "screen": None if report.screen is None else round(report.screen, 3),
    }


def line(row: _head.Row) -> str:
    shown = row | {"minutes": f"{row['minutes']:g}", "vgg19_loss": f"{row['vgg19_loss']:.3f}"}
    shown |= {"gap": f"{row['gap']:.0%}", "screen": "" if row["screen"] is None else f"{row['screen']:.2f}"}
    return f"| {' | '.join(map(str, shown.values()))} |"


def main() -> None:
    parser = _head.parser(__doc__)
    parser.add_argument("--styles", type=Path, nargs="+", required=True)
    parser.add_argument("--photographs", type=Path, required=True, help="to train on")
    parser.add_argument("--images", type=Path, required=True, help="to compare on")
    parser.add_argument("--vgg", required=True, help="VGG-19's weights: torchvision or a path")
    parser.add_argument("--minutes", type=float, nargs="+", default=[0.5, 1, 2, 5])
    parser.add_argument("--variants", nargs="+", default=["vgg19/none", "vgg19/auto", "slim/none", "slim/auto"])
    parser.add_argument("--steps", type=int, default=100, help="of the optimiser")
    parser.add_argument("--limit", type=int, default=20, help="of the images")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    print(_head.stamp(), HEAD, sep="\n")
    rows: list[_head.Row] = []
    for style in options.styles:
        for minutes in options.minutes:
            for variant in options.variants:
                rows.append(measured(style, variant, minutes, options))
                print(line(rows[-1]), flush=True)
    title = f"What minutes of training reach, judged by VGG-19 beside {options.steps} steps of the optimiser"
    _head.save(options.results, "start", title, rows)


if __name__ == "__main__":
    main()
