"""Paint the README's pictures: sample photographs of scikit-image (CC0 or public domain) in the shipped styles, below
their style pictures.

    python scripts/release/make_readme_pictures.py --pictures DIR

PICTURES holds a picture called like each shipped style; only those that may be redistributed belong there. Writes
docs/painted.jpg with all styles, and docs/strip.jpg with the last six: their style pictures and the last photograph.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import skimage
from torch import Tensor

import impasto
from impasto.checkpoint import read_metadata, shipped_styles
from impasto.images.contact_sheet import contact_sheet
from impasto.images.finding import find_images
from impasto.images.geometry import centre_square
from impasto.images.reading import read_image
from impasto.images.writing import write_image

PHOTOGRAPHS = ("astronaut.png", "rocket.jpg", "chelsea.png")
DOCS = Path(__file__).resolve().parents[2] / "docs"
COLUMNS, TILE = 6, 256


def squares(paths: list[Path]) -> list[Tensor]:
    return [centre_square(read_image(path), 2 * TILE) for path in paths]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=Path, required=True)
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


if __name__ == "__main__":
    main()
