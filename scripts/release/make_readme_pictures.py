"""Paint the README's pictures: sample photographs of scikit-image (CC0 or public domain) in the shipped styles, below
their style pictures.

    python scripts/release/make_readme_pictures.py --pictures DIR [--before MODEL --after MODEL]

PICTURES holds a picture called like each shipped style; only those that may be redistributed belong there. Writes
docs/painted.jpg with all styles, and docs/strip.jpg with the last six: their style pictures and the last photograph.
With BEFORE and AFTER also docs/film.webp, a short film painted by both: a camera with some noise moves over a
photograph.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import skimage
from PIL import Image
from torch import Tensor

import impasto
from impasto.checkpoint import read_metadata, shipped_styles
from impasto.images.contact_sheet import contact_sheet
from impasto.images.finding import find_images
from impasto.images.geometry import centre_square
from impasto.images.reading import read_image, read_levels
from impasto.images.writing import write_image

PHOTOGRAPHS = ("astronaut.png", "rocket.jpg", "chelsea.png")
DOCS = Path(__file__).resolve().parents[2] / "docs"
COLUMNS, TILE = 6, 256
FRAMES, STEP, NOISE = 24, 3, 4.0  # of the film: how many, pixels from one to the next, levels of noise
WIDTH, HEIGHT, RATE = 320, 240, 12


def squares(paths: list[Path]) -> list[Tensor]:
    return [centre_square(read_image(path), 2 * TILE) for path in paths]


def film(photograph: Path, before: str, after: str) -> list[Image.Image]:
    """Return the frames of a film over a photograph, as two painters paint it, one beside the other."""
    pixels, random = read_levels(photograph), np.random.default_rng(0)
    painters = [impasto.load(before), impasto.load(after)]
    frames: list[Image.Image] = []
    for number in range(FRAMES):
        left = STEP * number
        part = pixels[40 : 40 + HEIGHT, left : left + WIDTH] + random.normal(0, NOISE, (HEIGHT, WIDTH, 3))
        frame = np.rint(part).clip(0, 255).astype(np.uint8)
        frames.append(Image.fromarray(np.concatenate([paint(frame) for paint in painters], axis=1)))
    return frames


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--before", help="the painter on the left of the film")
    parser.add_argument("--after", help="the painter on its right")
    options = parser.parse_args()
    folder = Path(skimage.__file__).parent / "data"
    photographs = squares([folder / name for name in PHOTOGRAPHS])
    models = [path for path in shipped_styles() if read_metadata(path).spec["name"] == "brush"]
    pictures = {path.stem: path for path in find_images([options.pictures])}
    rows: list[list[Tensor]] = []
    for start in range(0, len(models), COLUMNS):
        part = models[start : start + COLUMNS]
        painters = [impasto.load(path) for path in part]
        rows.append(squares([pictures[path.stem] for path in part]))
        rows += [[paint(photograph) for paint in painters] for photograph in photographs]
    for name, shown in (("painted.jpg", rows), ("strip.jpg", [rows[-1 - len(PHOTOGRAPHS)], rows[-1]])):
        write_image(DOCS / name, contact_sheet(shown, tile=TILE))
        print(DOCS / name)
    if options.before and options.after:
        first, *rest = film(folder / "astronaut.png", options.before, options.after)
        frames = [*rest, *reversed(rest[:-1])]  # there and back
        first.save(DOCS / "film.webp", save_all=True, append_images=frames, duration=1000 // RATE, loop=0, quality=70)
        print(DOCS / "film.webp")


if __name__ == "__main__":
    main()
