"""Paint the README's pictures: sample photographs of scikit-image (CC0 or public domain) with the shipped styles.

python scripts/make_readme_pictures.py
"""

from __future__ import annotations

from pathlib import Path

import skimage

import impasto
from impasto import images
from impasto.checkpoint import shipped_styles

PHOTOGRAPHS = ("astronaut.png", "coffee.png", "chelsea.png")
TARGET = Path(__file__).resolve().parents[1] / "docs" / "painted.jpg"


def main() -> None:
    folder = Path(skimage.__file__).parent / "data"
    photographs = [images.resize(images.read_image(folder / name), 512) for name in PHOTOGRAPHS]
    painters = [impasto.load(path) for path in shipped_styles()]
    rows = [photographs, *([paint(photograph) for photograph in photographs] for paint in painters)]
    images.write_image(TARGET, images.contact_sheet(rows, tile=384))
    print(TARGET)


if __name__ == "__main__":
    main()
