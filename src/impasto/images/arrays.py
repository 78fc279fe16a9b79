"""The one kind of picture outside losses and training: an array (H, W, 3), uint8, or float32 in [0, 1]."""

from __future__ import annotations

import numpy as np

from impasto.errors import ImageError

FULL_SCALE = {"uint8": 255, "uint16": 65535}


def checked(array: np.ndarray) -> np.ndarray:
    """Show (H, W, 3), (H, W, 1) or (H, W) of uint8, uint16 or float in [0, 1] with three axes, without a copy.

    Raises:
        ImageError: another shape, another type, or floats outside [0, 1].
    """
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[-1] not in (1, 3) or 0 in array.shape:
        raise ImageError(f"an array of shape {array.shape} is no picture; give (H, W, 3) or (H, W)")
    is_known = array.dtype.name in FULL_SCALE
    if not is_known and not (array.dtype.kind == "f" and array.min() >= 0 and array.max() <= 1):
        raise ImageError(f"an array of {array.dtype} must lie in [0, 1]; or give uint8 or uint16")
    return array


def as_floats(array: np.ndarray) -> np.ndarray:
    """Return what `checked` takes as (H, W, 3) float32 in [0, 1]; what is that already comes back as it is.

    Raises:
        ImageError: as `checked`.
    """
    array = checked(array)
    values = array.astype(np.float32, copy=False)
    if full := FULL_SCALE.get(array.dtype.name):
        values /= np.float32(full)
    return values if values.shape[-1] == 3 else np.repeat(values, 3, axis=-1)


def as_levels(array: np.ndarray) -> np.ndarray:
    """Return floats, clamped to [0, 1], as the nearest of 255 levels: uint8 of the same shape.

    Raises:
        ImageError: values that are not finite.
    """
    if not np.isfinite(array).all():
        raise ImageError("the picture holds NaN or infinite values; try another model or --device cpu")
    # Rounded, not truncated, which would darken every picture by half a level.
    levels = np.clip(array, 0, 1).astype(np.float32, copy=False)
    levels *= np.float32(255)
    return np.rint(levels, out=levels).astype(np.uint8)
