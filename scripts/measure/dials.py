"""What dials cost: seconds that `impasto stylize` takes for a folder of photographs with each dial and without.

    python scripts/measure/dials.py PHOTOGRAPHS [-s starry_night] [--sizes 512x512 1280x720] [--rounds 5] [--images 20]

The photographs of a folder are cropped to each size and saved as JPEG. All settings then take turns, `--rounds` times,
from file to file: decoding and encoding count, starting Python does not. Prints and saves the median of the seconds,
and the median over the rounds of their ratio to the run without dials in the same round.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import _head
import numpy as np
from PIL import Image, ImageOps
from tqdm import tqdm

from impasto import cli
from impasto.cli.options import size_from
from impasto.images.formats import IMAGE_SUFFIXES
from impasto.images.reading import read_levels

DIALS = {
    "none": [],
    "strength": ["--strength", "0.6"],
    "color photo": ["--color", "photo"],
    "color match": ["--color", "match"],
    "strength, color photo": ["--strength", "0.6", "--color", "photo"],
    "stroke 0.5": ["--stroke", "0.5"],
    "stroke 2": ["--stroke", "2"],
    "mask": ["--mask", "MASK"],
}


def make_folder(photographs: Path, folder: Path, count: int, size: tuple[int, int]) -> int:
    """Save at most `count` photographs as JPEGs of `size`, width and height; return how many there are."""
    folder.mkdir()
    found = sorted(path for path in photographs.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)[:count]
    for number, path in enumerate(found):
        picture = ImageOps.fit(Image.fromarray(read_levels(path)), size, Image.Resampling.LANCZOS)
        picture.save(folder / f"{number:03}.jpg", quality=92)
    return len(found)


def make_mask(path: Path, size: tuple[int, int]) -> None:
    """Save a soft disc in the middle."""
    x, y = (np.linspace(-1, 1, side) for side in size)
    distance = np.hypot(x, y[:, None])
    Image.fromarray((np.clip(1.2 - 2 * distance, 0, 1) * 255).astype(np.uint8)).save(path)


def seconds_of(words: list[str]) -> float:
    started = time.perf_counter()
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        code = cli.main(words)
    if code:
        raise SystemExit(f"impasto {' '.join(words)} ended with {code}")
    return time.perf_counter() - started


def measured(photographs: Path, size: tuple[int, int], options: argparse.Namespace) -> list[_head.Row]:
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        count = make_folder(photographs, place / "in", options.images, size)
        make_mask(place / "mask.png", size)
        commands = {
            dial: ["stylize", str(place / "in"), "-s", options.style, "-o", str(place / dial.replace(" ", "_")) + "/"]
            + [str(place / "mask.png") if word == "MASK" else word for word in words]
            for dial, words in DIALS.items()
        }
        for command in commands.values():  # warm
            seconds_of(command)
        rounds = [
            {dial: seconds_of(command) for dial, command in commands.items()}
            for _ in tqdm(range(options.rounds), "x".join(map(str, size)), unit="round")
        ]
    rows: list[_head.Row] = []
    for dial in DIALS:
        ratio = statistics.median(each[dial] / each["none"] for each in rounds)
        seconds = statistics.median(each[dial] for each in rounds)
        print(f"{size[0]}x{size[1]}, {dial}: {seconds / count:.3f} s a photograph, {ratio:.2f} times without dials")
        rows.append(
            {
                "width": size[0],
                "height": size[1],
                "dials": dial,
                "images": count,
                "seconds": _head.rounded(seconds),
                "times": _head.rounded(ratio, 3),
            }
        )
    return rows


def main() -> None:
    parser = _head.parser(__doc__)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("-s", "--style", default="starry_night")
    parser.add_argument("--sizes", nargs="+", type=size_from, default=[(512, 512), (1280, 720)], metavar="WxH")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=20)
    options = parser.parse_args()
    rows = [row for size in options.sizes for row in measured(options.photographs, size, options)]
    print(_head.stamp("cpu"))
    _head.save(options.results, "dials", f"Folders painted with dials and without, {options.style}", rows, "cpu")


if __name__ == "__main__":
    main()
