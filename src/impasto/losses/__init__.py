"""Perceptual losses: pure functions, the VGG-19 features they compare, and the losses that train and judge, one a file.

A loss module defines `Loss`, an `nn.Module` with `set_style(image)`, `forward(output, content) -> LossTerms`, `spec()`
and the class method `from_spec(weights, **spec)`; the file's name is its name in configs and model files.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, Any

from impasto.errors import UsageError

if TYPE_CHECKING:
    from impasto.losses.perceptual import PerceptualLoss


def build_loss(name: str = "perceptual", **spec: Any) -> PerceptualLoss:
    """Build the loss called `name` from `from_spec`'s plain values; what an older spec leaves out means what it did
    then.

    Raises:
        UsageError: an unknown name or value.
    """
    known = isinstance(name, str) and name in {module.name for module in pkgutil.iter_modules(__path__)}
    loss = getattr(importlib.import_module(f"{__name__}.{name}"), "Loss", None) if known else None
    if loss is None:
        raise UsageError(f"unknown loss {str(name)[:40]!r}; a loss is a module of impasto.losses that defines Loss")
    try:
        return loss.from_spec(**{**loss.unsaid, **spec})
    except TypeError as error:
        raise UsageError(f"loss {name}: {error}") from error
