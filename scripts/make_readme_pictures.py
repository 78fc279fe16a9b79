"""Paint the README's pictures: sample photographs of scikit-image (CC0 or public domain) with the shipped styles of swift.

python scripts/make_readme_pictures.py
"""

from __future__ import annotations

from pathlib import Path

import skimage

import impasto
from impasto import images
from impasto.checkpoint import read_papers, shipped_styles

PHOTOGRAPHS = ("astronaut.png", "coffee.png", "chelsea.png")
TARGET = Path(__file__).resolve().parents[1] / "docs" / "painted.jpg"


def main() -> None:
    folder = Path(skimage.__file__).parent / "data"
    photographs = [images.centre_square(images.read_image(folder / name), 300) for name in PHOTOGRAPHS]
    painters = [impasto.load(path) for path in shipped_styles() if read_papers(path)["network"]["name"] == "swift"]
    rows = [[photograph, *(paint(photograph) for paint in painters)] for photograph in photographs]
    images.write_image(TARGET, images.contact_sheet(rows, tile=256))
    print(TARGET)


if __name__ == "__main__":
    main()
