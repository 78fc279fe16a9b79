"""Sizes of pictures: scaling, padding and cropping them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, overload

import numpy as np
from PIL import Image

from impasto.images.tensors import as_array, as_tensor
from impasto.system.lazy import lazy

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import functional
else:
    functional = lazy("torch.nn.functional")

_MIN_SIDE = 16  # what reflection padding and norms at an eighth of the resolution need


def size_of(image: Tensor | np.ndarray) -> tuple[int, int]:
    """Return height and width of a picture (H, W, C), or of a tensor (C, H, W)."""
    height, width = image.shape[:2] if isinstance(image, np.ndarray) else image.shape[-2:]
    return height, width


@overload
def resize(image: Tensor, size: int) -> Tensor: ...


@overload
def resize(image: np.ndarray, size: int) -> np.ndarray: ...


def resize(image: Tensor | np.ndarray, size: int) -> Tensor | np.ndarray:
    """Return a picture (H, W, C), or a tensor (C, H, W), with its longer side `size` long, antialiased;
    no side becomes 0.
    """
    height, width = size_of(image)
    longer = max(height, width)
    if size == longer:
        return image
    target = [max(1, round(side * size / longer)) for side in (height, width)]
    if isinstance(image, np.ndarray) and image.dtype != np.uint8:
        return as_array(resize(as_tensor(image).contiguous(), size))
    if isinstance(image, np.ndarray):
        return np.asarray(Image.fromarray(image).resize((target[1], target[0]), Image.Resampling.BICUBIC))
    resized = functional.interpolate(image[None], size=target, mode="bicubic", antialias=True)[0]
    return resized if not image.is_floating_point() else resized.clamp(0, 1)


class Padding(NamedTuple):
    """Rows and columns that are added around a picture, and how: `mirror`ed, else the outermost pixels are repeated."""

    top: int
    bottom: int
    left: int
    right: int
    mirror: bool

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the padded picture."""
        return self.top + height + self.bottom, self.left + width + self.right

    def pad(self, batch: np.ndarray) -> np.ndarray:
        """Return pictures (N, H, W, C) with what is added around them."""
        if not any(self[:4]):
            return batch
        sides = (0, 0), (self.top, self.bottom), (self.left, self.right), (0, 0)
        return np.pad(batch, sides, "reflect" if self.mirror else "edge")

    def crop(self, batch: np.ndarray) -> np.ndarray:
        """Return padded pictures (N, H, W, C) without what was added around them, not copied."""
        height, width = batch.shape[1:3]
        return batch[:, self.top : height - self.bottom, self.left : width - self.right]

    def rows(self, height: int, start: int, stop: int) -> np.ndarray:
        """Which rows of a picture of `height` the rows from `start` to `stop` of the padded one show."""
        return self._shown(np.arange(start, stop) - self.top, height)

    def columns(self, width: int, start: int, stop: int) -> np.ndarray:
        """Which columns of a picture of `width` the columns from `start` to `stop` of the padded one show."""
        return self._shown(np.arange(start, stop) - self.left, width)

    def _shown(self, places: np.ndarray, length: int) -> np.ndarray:
        if not self.mirror or length == 1:
            return places.clip(0, length - 1)
        places = abs(places) % (2 * length - 2)
        return np.minimum(places, 2 * length - 2 - places)


def padding(height: int, width: int, multiple: int, surround: int = 0) -> Padding:
    """Return what to add to a picture: `surround` pixels on all sides, then at the bottom and on the right what makes
    its sides multiples and large enough.

    Without surroundings, the border is mirrored where the picture is large enough for that, else repeated: no foreign
    colour comes in.
    """
    sides = height + 2 * surround, width + 2 * surround
    bottom, right = (max(-(-side // multiple) * multiple, _MIN_SIDE) - side for side in sides)
    mirror = surround > 0 or (bottom < height and right < width)
    return Padding(surround, surround + bottom, surround, surround + right, mirror)


def centre_square(image: Tensor, size: int) -> Tensor:
    """Scale (3, H, W) until its shorter side is `size` and cut the middle: (3, size, size)."""
    height, width = image.shape[-2:]
    longest = 4 * min(height, width)  # of a strip, lest scaling it take memory without end
    image = image[:, max(0, (height - longest) // 2) :, max(0, (width - longest) // 2) :][:, :longest, :longest]
    height, width = image.shape[-2:]
    scaled = resize(image, max(size, round(max(height, width) * size / min(height, width))))
    top, left = ((side - size) // 2 for side in scaled.shape[-2:])
    return scaled[:, top : top + size, left : left + size].contiguous()
