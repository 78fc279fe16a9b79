"""Sizes of pictures: scaling, padding and cropping them."""

from __future__ import annotations

from typing import TYPE_CHECKING, overload

import numpy as np
from PIL import Image

from impasto.system.lazy import lazy

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from torch.nn import functional
else:
    torch = lazy("torch")
    functional = lazy("torch.nn.functional")

_MIN_SIDE = 16  # what reflection padding and norms at an eighth of the resolution need


def size_of(image: Tensor | np.ndarray) -> tuple[int, int]:
    """Return height and width of a tensor (C, H, W) or of an array of levels."""
    height, width = image.shape[:2] if isinstance(image, np.ndarray) else image.shape[-2:]
    return height, width


@overload
def resize(image: Tensor, size: int) -> Tensor: ...


@overload
def resize(image: np.ndarray, size: int) -> np.ndarray: ...


def resize(image: Tensor | np.ndarray, size: int) -> Tensor | np.ndarray:
    """Return `image` (C, H, W) or an array of levels with its longer side `size` long, antialiased; no side becomes 0."""
    height, width = size_of(image)
    longer = max(height, width)
    if size == longer:
        return image
    target = [max(1, round(side * size / longer)) for side in (height, width)]
    if isinstance(image, np.ndarray):
        return np.asarray(Image.fromarray(image).resize((target[1], target[0]), Image.Resampling.BICUBIC))
    resized = functional.interpolate(image[None], size=target, mode="bicubic", antialias=True)[0]
    return resized if image.dtype == torch.uint8 else resized.clamp(0, 1)


def padding(height: int, width: int, multiple: int) -> tuple[int, int, str]:
    """Return how much to add at the bottom and on the right, for sides that are multiples and large enough, and how.

    The border is mirrored where the picture is large enough for that, else repeated: no foreign colour comes in.
    """
    bottom, right = (max(-(-side // multiple) * multiple, _MIN_SIDE) - side for side in (height, width))
    return bottom, right, "reflect" if bottom < height and right < width else "replicate"


def centre_square(image: Tensor, size: int) -> Tensor:
    """Scale (3, H, W) until its shorter side is `size` and cut the middle: (3, size, size)."""
    height, width = image.shape[-2:]
    longest = 4 * min(height, width)  # of a strip, lest scaling it take memory without end
    image = image[:, max(0, (height - longest) // 2) :, max(0, (width - longest) // 2) :][:, :longest, :longest]
    height, width = image.shape[-2:]
    scaled = resize(image, max(size, round(max(height, width) * size / min(height, width))))
    top, left = ((side - size) // 2 for side in scaled.shape[-2:])
    return scaled[:, top : top + size, left : left + size].contiguous()
