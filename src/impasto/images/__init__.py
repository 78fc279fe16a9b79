"""Pictures and files: the one room that knows their formats.

Inside impasto an image is a float32 tensor (3, H, W), sRGB in [0, 1], or where that is enough an array of levels, (H, W, 3) uint8,
for which torch need not be imported. EXIF turning, colour profiles, transparency, bit depths and rounding live here and
nowhere else, and so does the mistrust of files from strangers.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_FILES = ("formats", "reading", "writing", "finding", "geometry", "tensors", "contact_sheet")


def __getattr__(name: str) -> Any:
    # For scripts that say `images.read_image`.
    for file in _FILES if not name.startswith("_") else ():
        module = import_module(f"{__name__}.{file}")
        if hasattr(module, name):
            return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
