"""What a few minutes of training reach, by loss network and start, judged by VGG-19.

    python scripts/measure/start.py --styles IMAGE... --photographs DIR --images DIR --vgg WEIGHTS -o DIR
        [--minutes 0.5 1 2 5] [--variants vgg19/none vgg19/auto slim/none slim/auto]

Trains a painter with `impasto train` for every style, variant (loss network/start, and /optimizer if another) and length,
one after the other, and compares it with `impasto compare`. Prints a table; reports and painters stay in the output folder, and what is there
measured already is not done again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

from impasto.checkpoint import read_papers
from impasto.runtime import provenance

HEAD = """| style | loss network | start | optimizer | minutes | steps | photographs | VGG-19's loss | equal iterations from noise / photograph | in the median | gap | screen |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"""


def impasto(*words: object) -> None:
    subprocess.run([sys.executable, "-m", "impasto", *map(str, words)], check=True, stdout=subprocess.DEVNULL)


def iterations(report: dict[str, Any], key: str) -> str:
    """Format the optimiser's steps from noise and from the photograph."""
    return " / ".join(f"> {report['steps']}" if step is None else str(step) for step in report.get(key, {}).values())


def measured(style: Path, variant: str, minutes: float, options: argparse.Namespace) -> str:
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
            "compare", options.images, "-s", painter, "-o", folder, "--loss-weights", options.vgg, "--style-image", style,
            "--steps", options.steps, "--limit", options.limit, "--precision", "auto", "--no-polish",
        )  # fmt: skip
    report = json.loads(report_path.read_text(encoding="utf-8"))
    steps = read_papers(painter)["training"]["steps"]
    columns = [
        style.stem, weights, "base" if start == "auto" else start, *(optimizer or ["muon"]), f"{minutes:g}", steps, len(report["images"]),
        f"{report['loss']['network']['total']:.3f}", iterations(report, "equal_iterations"), iterations(report, "median_iterations"), f"{report['gap']:.0%}", f"{report['screen']:.2f}",
    ]  # fmt: skip
    return f"| {' | '.join(map(str, columns))} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
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
    print(f"{date.today()}, {provenance()}")
    print(HEAD)
    for style in options.styles:
        for minutes in options.minutes:
            for variant in options.variants:
                print(measured(style, variant, minutes, options), flush=True)


if __name__ == "__main__":
    main()
