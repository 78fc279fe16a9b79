"""impasto: train a painter in minutes, run it in one forward pass.

import impasto
painted = impasto.load("starry_night")(photograph)   # PIL image, array or tensor in; the same kind out

CONTRIBUTING.md says what each package holds ("The house") and where to change what ("Where is what?").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from impasto.inference.stylizer import Stylizer, load

__all__ = ["Stylizer", "load"]


def __getattr__(name: str) -> Any:
    # Imported on first use: `impasto --help` must not wait for torch.
    if name in __all__:
        from impasto.inference import stylizer

        return getattr(stylizer, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
