"""Style pictures made by code: thirteen looks, each a pure function of a seed.

A style is a function (rng, n) -> (n, n, 3) float picture in [0, 1]. Every length in it is a fraction of the side and
every random number is drawn independently of n, so that a small size is a preview of a large one (only bristles are
counted in pixels). Pictures are painted at twice their size and reduced: that is all the antialiasing they get.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from impasto.errors import UsageError
from impasto.synthetic import fields, strokes
from impasto.synthetic.pigments import Array, Rng
from impasto.system.choices import DEFAULT_SEED, SAMPLE_STYLE_SIZE

_PAINTERS: tuple[Callable[[Rng, int], Array], ...] = (
    strokes.oils,
    strokes.hatching,
    fields.marbling,
    fields.watercolour,
    fields.tesserae,
    fields.stained_glass,
    fields.riso,
    fields.newsprint,
    fields.microscopy,
    strokes.woodcut,
    strokes.pointillism,
    fields.deco,
    fields.agate,
)
STYLES = {paint.__name__: paint for paint in _PAINTERS}


def make_style(name: str, size: int = SAMPLE_STYLE_SIZE, seed: int = DEFAULT_SEED) -> Image.Image:
    """Return the style picture of that name, size x size; the same seed gives the same picture.

    Raises:
        UsageError: there is no style of that name.
    """
    check_names([name])
    picture = STYLES[name](np.random.default_rng([seed, *name.encode()]), 2 * size)
    return Image.fromarray(np.uint8(np.clip(picture, 0, 1) * 255 + 0.5)).resize((size, size), Image.Resampling.LANCZOS)


def check_names(names: Sequence[str]) -> None:
    """Raises UsageError if one of the names is none of a style."""
    if unknown := sorted(set(names) - set(STYLES)):
        raise UsageError(f"no style named {', '.join(unknown)}; there are: {', '.join(STYLES)}")
