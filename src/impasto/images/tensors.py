"""The one door between pictures, arrays (H, W, 3), and tensors (3, H, W), float32 in [0, 1]."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from impasto.errors import ImageError
from impasto.images.arrays import FULL_SCALE, as_levels, checked
from impasto.system.lazy import lazy

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy("torch")


def as_tensor(array: np.ndarray) -> Tensor:
    """Show (..., H, W, C) as a tensor (..., C, H, W) of the same type,
    over the same memory where torch knows such memory.
    """
    if min(array.strides) < 0 or not array.flags.writeable:
        array = array.copy()
    return torch.from_numpy(array).movedim(-1, -3)


def as_array(tensor: Tensor) -> np.ndarray:
    """Show (..., C, H, W) as an array (..., H, W, C), what `as_tensor` undoes; floats become float32."""
    tensor = tensor if tensor.dtype == torch.uint8 else tensor.float()
    return tensor.detach().cpu().movedim(-3, -1).numpy()


def as_picture(image: Tensor | np.ndarray) -> np.ndarray:
    """Return a tensor (3, H, W), or a mask (1, H, W), as an array with the channels last; an array comes back as it is.

    Raises:
        ImageError: a tensor of another shape.
    """
    if isinstance(image, np.ndarray):
        return image
    if image.ndim != 3 or len(image) not in (1, 3) or 0 in image.shape:
        raise ImageError(f"a tensor of shape {tuple(image.shape)} is no picture; give (3, H, W)")
    return as_array(image)


def to_pil(image: Tensor | np.ndarray) -> Image.Image:
    """Return `image`, (3, H, W) or (H, W, 3), or a mask of one channel, as an 8-bit Pillow picture, clamped and
    rounded.

    Raises:
        ImageError: another shape, or values that are not finite.
    """
    levels = as_picture(image)
    levels = levels if levels.dtype == np.uint8 else as_levels(levels)
    return Image.fromarray(levels[..., 0] if levels.shape[2:] == (1,) else levels)


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
    """Return `image`, levels in uint8 or floats, as float32 in [0, 1]: a picture (H, W, 3) as (3, H, W)."""
    if isinstance(image, np.ndarray):
        image = as_tensor(image).contiguous()  # bytes are moved before they are widened: a third less time
    return image.float().div_(255) if image.dtype == torch.uint8 else image.float()


def from_array(array: np.ndarray) -> Tensor:
    """Return (H, W, 3) or (H, W) of uint8, uint16 or float in [0, 1] as a (3, H, W) float32 tensor of its own.

    Raises:
        ImageError: another shape, another type, or floats outside [0, 1].
    """
    array = checked(array)
    full = FULL_SCALE.get(array.dtype.name)
    # Bytes are moved before they are widened: a third less time than the other way round.
    values = torch.from_numpy(np.array(array if full == 255 else array.astype(np.float32), order="C"))
    tensor = values.permute(2, 0, 1).expand(3, -1, -1).contiguous().float()
    return tensor.div_(full) if full else tensor
