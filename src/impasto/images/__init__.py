"""Pictures and files: the one room that knows their formats.

A picture is an array (H, W, 3), sRGB: uint8, or float32 in [0, 1] where 16 bits or transparency need it. `tensors` is
the one door to the tensors (3, H, W), float32 in [0, 1], of losses and training, `convert` the one to what users of
Python hold. EXIF turning, colour profiles, transparency, bit depths and rounding live here and nowhere else, and so
does the mistrust of files from strangers.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_FILES = ("formats", "reading", "writing", "finding", "geometry", "arrays", "tensors", "contact_sheet")


def __getattr__(name: str) -> Any:
    # For scripts that say `images.read_image`.
    for file in _FILES if not name.startswith("_") else ():
        module = import_module(f"{__name__}.{file}")
        if hasattr(module, name):
            return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
