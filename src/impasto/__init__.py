"""impasto: train a painter in minutes, run it in one forward pass.

import impasto
painted = impasto.load("starry_night")(photograph)   # PIL image, array or tensor in; the same kind out

CONTRIBUTING.md says what each package holds ("The house") and where to change what ("Where is what?").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from impasto.system.choices import DEFAULT_BACKEND, DEFAULT_DEVICE, DEFAULT_PRECISION

if TYPE_CHECKING:
    from pathlib import Path

    from impasto.inference.stylizer import Stylizer
    from impasto.inference.video.flicker import flicker
    from impasto.inference.video.stabilize import stabilized

__all__ = ["Stylizer", "flicker", "load", "stabilized"]


def load(
    style: str | Path,
    device: str = DEFAULT_DEVICE,
    *,
    backend: str = DEFAULT_BACKEND,
    precision: str = DEFAULT_PRECISION,
) -> Stylizer:
    """Return the painter for `style`, the name of a shipped style or the path of a style model;
    the rest as for `Stylizer`.
    """
    from impasto.inference.stylizer import Stylizer

    return Stylizer(style, device, backend=backend, precision=precision)


def __getattr__(name: str) -> Any:
    # Imported on first use: `impasto --help` must not wait for numpy.
    if name == "Stylizer":
        from impasto.inference.stylizer import Stylizer

        return Stylizer
    if name == "flicker":
        from impasto.inference.video.flicker import flicker

        return flicker
    if name == "stabilized":
        from impasto.inference.video.stabilize import stabilized

        return stabilized
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
