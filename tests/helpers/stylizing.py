"""Photographs, the command that paints them, and what became of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from impasto import cli
from impasto.inference.stylizer import Stylizer
from impasto.synthetic.contents import procedural_image


def photo(path: Path, seed: int, **save: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(procedural_image(seed, 32)).save(path, **save)  # type: ignore[arg-type]
    return path


def stylize(*words: object) -> int:
    return cli.main(["stylize", *map(str, words), "--device", "cpu"])


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def stands_for(result: Path, source: Path, painter: Path, within: float = 3) -> bool:
    """Whether a result shows its source: painted again it is the same, but for what its format loses."""
    wanted = np.asarray(Stylizer(painter, "cpu")(Image.open(source).convert("RGB")), int)
    return bool(np.abs(np.asarray(Image.open(result).convert("RGB"), int) - wanted).mean() < within)
