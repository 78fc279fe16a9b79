"""Train, measure and ship the styles of configs/experiment, one after the other, on any machine.

    python scripts/release/make_shipped_styles.py [NAME...] --pictures DIR --photographs DIR --images DIR
        [--vgg WEIGHTS] -o DIR

PICTURES holds a picture called like each experiment; those that `impasto sample-style` knows are made where they are
missing. On a GPU `scripts/research/train_styles.py` trains all of them at once; what it left in the output folder is
not trained again.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parent
sys.path.append(str(SCRIPTS.parent / "research"))  # where the next line finds its module

from train_styles import known_experiments, picture_of  # noqa: E402


def run(*words: object) -> None:
    subprocess.run([sys.executable, *map(str, words)], check=True)


def make(name: str, options: argparse.Namespace) -> None:
    """Train the experiment, compare it with the optimiser and put it among the shipped styles."""
    picture, painter = picture_of(name, options.pictures), options.output / f"{name}.safetensors"
    if not painter.is_file():
        run(
            "-m", "impasto", "train", f"experiment={name}", f"style.image={picture}",
            f"data.root={options.photographs}",
            f"stages.strokes.loss.features.weights={options.vgg}",
            f"output={painter}", f"paths.run={painter.with_suffix('')}",
            "ckpt_path=last",
            *options.override,
        )  # fmt: skip
    report = painter.with_suffix(".compared") / "report.json"
    if not report.is_file():
        run(
            "-m", "impasto", "compare", options.images, "-s", painter, "-o", report.parent, "--loss-weights",
            options.judge,
            "--style-image", picture, "--steps", options.steps, "--limit", options.limit, "--precision", "auto",
            "--no-polish",
        )  # fmt: skip
    run(SCRIPTS / "ship_style.py", painter, report)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = known_experiments()
    parser.add_argument("names", nargs="*", default=known, metavar="NAME", help=f"of {', '.join(known)}")
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--photographs", type=Path, required=True, help="to train on")
    parser.add_argument("--images", type=Path, required=True, help="to compare on")
    parser.add_argument(
        "--vgg", default="torchvision", help="the first stage's loss network: torchvision, slim or a path"
    )
    parser.add_argument("--judge", default="slim", help="the loss network compared by: torchvision, slim or a path")
    parser.add_argument("--steps", type=int, default=60, help="of the optimiser")
    parser.add_argument("--limit", type=int, default=8, help="of the images")
    parser.add_argument(
        "--override", nargs="*", default=[], help="settings of the training, as `impasto train` takes them"
    )
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    for name in options.names:
        make(name, options)
    run(SCRIPTS / "make_model_cards.py")


if __name__ == "__main__":
    main()
