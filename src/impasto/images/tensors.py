"""The one door between levels, (H, W, 3) uint8, and tensors (3, H, W) float32 in [0, 1]."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from impasto.errors import ImageError
from impasto.system.lazy import lazy

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy("torch")


def to_pil(image: Tensor | np.ndarray) -> Image.Image:
    """Return `image` (3, H, W), or a mask (1, H, W), as an 8-bit Pillow picture, clamped to [0, 1] and rounded.

    uint8 is taken as it is, an array of levels among it.

    Raises:
        ImageError: another shape, or values that are not finite.
    """
    if isinstance(image, np.ndarray):
        return Image.fromarray(image)
    if image.ndim != 3 or len(image) not in (1, 3) or 0 in image.shape:
        raise ImageError(f"a tensor of shape {tuple(image.shape)} is no picture; give (3, H, W)")
    levels = image if image.dtype == torch.uint8 else to_levels(image)
    array = levels.permute(1, 2, 0).contiguous().cpu().numpy()
    return Image.fromarray(array if len(image) == 3 else array[..., 0])


def to_levels(image: Tensor) -> Tensor:
    """Return `image` of floats, clamped to [0, 1], as the nearest of 255 levels: uint8 of the same shape.

    Raises:
        ImageError: values that are not finite.
    """
    if not torch.isfinite(image).all():
        raise ImageError("the picture holds NaN or infinite values; try another model or --device cpu")
    # Rounded, not truncated, which would darken every picture by half a level.
    return image.detach().float().clamp(0, 1).mul_(255).round_().to(torch.uint8)


def from_levels(image: Tensor | np.ndarray) -> Tensor:
    """Return `image`, levels in uint8 or floats, as float32 in [0, 1]: (3, H, W) of an array of levels."""
    if isinstance(image, np.ndarray):
        return from_array(image)
    return image.float().div_(255) if image.dtype == torch.uint8 else image.float()


def from_array(array: np.ndarray) -> Tensor:
    """Return (H, W, 3) or (H, W) of uint8, uint16 or float in [0, 1] as a (3, H, W) float32 tensor of its own.

    Raises:
        ImageError: another shape, another type, or floats outside [0, 1].
    """
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[-1] not in (1, 3) or 0 in array.shape:
        raise ImageError(f"an array of shape {array.shape} is no picture; give (H, W, 3) or (H, W)")
    full = {"uint8": 255, "uint16": 65535}.get(array.dtype.name)
    if full is None and not (array.dtype.kind == "f" and array.min() >= 0 and array.max() <= 1):
        raise ImageError(f"an array of {array.dtype} must lie in [0, 1]; or give uint8 or uint16")
    # Bytes are transposed before they are widened: a third less time than the other way round.
    values = torch.from_numpy(np.array(array if full == 255 else array.astype(np.float32), order="C"))
    tensor = values.permute(2, 0, 1).expand(3, -1, -1).contiguous().float()
    return tensor.div_(full) if full else tensor
