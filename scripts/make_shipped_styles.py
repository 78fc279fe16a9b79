"""Train, measure and ship the styles of configs/experiment, one after the other.

    python scripts/make_shipped_styles.py [NAME...] --pictures DIR --photographs DIR --images DIR --vgg WEIGHTS -o DIR

PICTURES holds a picture called like each experiment; those that `scripts/make_styles.py` knows are made where they are
missing. NAME_johnson starts from what `scripts/transplant.py` makes of the shipped NAME. With --finish MINUTES..., what the
experiment trained goes on for so long on VGG-19, once for each number, on crops as large as the comparison's pictures.
What the output folder already holds is not done again.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from impasto import images
from impasto.runtime import asset_dir

SCRIPTS = Path(__file__).parent


def run(*words: object) -> None:
    subprocess.run([sys.executable, *map(str, words)], check=True)


def is_on_johnson(name: str) -> bool:
    return name.endswith("_johnson")


def picture_of(name: str, folder: Path) -> Path:
    """Return the experiment's style picture, made if it is not there; NAME_johnson has that of NAME."""
    name = name.removesuffix("_johnson")
    if not any(path.stem == name for path in images.find_images([folder])):
        run(SCRIPTS / "make_styles.py", name, "-o", folder)
    return next(path for path in images.find_images([folder]) if path.stem == name)


def start_of(name: str, folder: Path, options: argparse.Namespace) -> list[str]:
    """Return the setting of what the experiment starts from, if that has to be made first."""
    if not is_on_johnson(name):
        return []
    start = folder / "transplanted.safetensors"
    if not start.is_file():
        run(
            SCRIPTS / "transplant.py", name.removesuffix("_johnson"), "--photographs", options.photographs, "-o", start
        )  # fmt: skip
    return [f"init={start}"]


def train(name: str, picture: Path, painter: Path, options: argparse.Namespace, *words: str) -> None:
    """Run the experiment, unless it was run already."""
    trained = painter.with_suffix("")
    if not trained.is_file():
        run(
            "-m", "impasto", "train", f"experiment={name}", f"style.image={picture}", f"data.root={options.photographs}",
            f"output={painter}", f"paths.run={painter.with_suffix('.run')}", "ckpt_path=last", *words, *options.override,
        )  # fmt: skip
        trained.touch()  # a painter is written on the way too


def make(name: str, options: argparse.Namespace) -> None:
    """Train the experiment, compare it with the optimiser and put it among the shipped styles."""
    folder, picture = options.output / name, picture_of(name, options.pictures)
    painter = folder / "trained.safetensors"
    reference = ("loss=vgg19", f"loss.features.weights={options.vgg}")
    on_reference = reference if is_on_johnson(name) else ()
    train(name, picture, painter, options, *on_reference, *start_of(name, folder, options))
    for turn, minutes in enumerate(options.finish, start=1):
        start, painter = painter, folder / f"finished-{turn}.safetensors"
        words = (f"init={start}", f"trainer.max_minutes={minutes:g}", "data.crop=256")
        train(name, picture, painter, options, *reference, *words)
    report = painter.with_suffix(".compared") / "report.json"  # of this painter: one that goes on has another
    if not report.is_file():
        run(
            "-m", "impasto", "compare", options.images, "-s", painter, "-o", report.parent, "--loss-weights", options.vgg,
            "--style-image", picture, "--steps", options.steps, "--limit", options.limit, "--precision", "auto", "--no-polish",
        )  # fmt: skip
    run(SCRIPTS / "ship_style.py", painter, report)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = sorted(path.stem for path in (asset_dir("configs") / "experiment").glob("[!_]*.yaml"))
    parser.add_argument("names", nargs="*", default=known, metavar="NAME", help=f"of {', '.join(known)}")
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--photographs", type=Path, required=True, help="to train on")
    parser.add_argument("--images", type=Path, required=True, help="to compare on")
    parser.add_argument("--vgg", default="torchvision", help="VGG-19's weights: torchvision or a path")
    parser.add_argument(
        "--finish", type=float, nargs="+", default=[], metavar="MINUTES", help="on VGG-19, after the experiment"
    )
    parser.add_argument("--steps", type=int, default=100, help="of the optimiser")
    parser.add_argument("--limit", type=int, default=20, help="of the images")
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
