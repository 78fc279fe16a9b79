"""Every kind of picture in as one batch of arrays, and the same kind back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from impasto.errors import ImageError, UsageError
from impasto.images.arrays import as_floats
from impasto.images.reading import picture_from_pil
from impasto.images.tensors import as_array, as_tensor, to_pil
from impasto.system.lazy import lazy

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy("torch")

GiveBack = Callable[[np.ndarray], Any]


def to_batch(image: Tensor | np.ndarray | Image.Image) -> tuple[np.ndarray, GiveBack]:
    """Return `image` as a batch (N, H, W, 3), uint8 or float32, and what makes the kind that `image` is of the painted
    batch.

    Raises:
        UsageError: no picture, or another shape, type or range than `Stylizer` takes.
    """
    if isinstance(image, Image.Image):
        return _from_pil(image)
    if isinstance(image, np.ndarray):
        return _from_array(image)
    if isinstance(image, torch.Tensor):
        return _from_tensor(image)
    raise UsageError(f"cannot paint {type(image).__name__}; give a PIL image, an array or a float tensor (3, H, W)")


def check_batch(batch: np.ndarray) -> None:
    """Refuse what is no batch of pictures (N, H, W, 3), uint8 or float32, before a backend does so in its own words.

    Raises:
        UsageError: another kind, shape or type.
    """
    if not isinstance(batch, np.ndarray):
        raise UsageError(
            f"paint() takes arrays (N, H, W, 3), no {type(batch).__name__}; call the painter itself with it"
        )
    is_known = batch.dtype in (np.uint8, np.float32) and batch.ndim == 4 and batch.shape[3] == 3
    if not is_known or 0 in batch.shape:
        raise UsageError(f"cannot paint {batch.dtype} of shape {batch.shape[1:]}; give (H, W, 3), no side of them 0")


def _from_pil(image: Image.Image) -> tuple[np.ndarray, GiveBack]:
    picture = picture_from_pil(image)

    def give_back(painted: np.ndarray) -> Image.Image:
        result = to_pil(painted[0])
        if picture.alpha is not None:
            result.putalpha(to_pil(picture.alpha))
        return result

    return picture.pixels[None], give_back


def _from_array(image: np.ndarray) -> tuple[np.ndarray, GiveBack]:
    if image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] != 1:
        return image[None], lambda painted: painted[0]
    try:
        return as_floats(image)[None], lambda painted: _of_type(painted[0], image.dtype)
    except ImageError as error:
        raise UsageError(f"cannot paint this: {error}") from error


def _of_type(painted: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Bring floats in [0, 1] to `dtype`, integers by their full scale."""
    if np.issubdtype(dtype, np.floating):
        return painted.astype(dtype, copy=False)
    return np.rint(painted * np.iinfo(dtype).max).astype(dtype)


def _from_tensor(image: Tensor) -> tuple[np.ndarray, GiveBack]:
    batch = image if image.dim() == 4 else image[None]
    shape = tuple(batch.shape)
    if len(shape) != 4 or shape[1] != 3 or 0 in shape:
        raise UsageError(f"cannot paint a tensor of shape {shape}; give (3, H, W) or (N, 3, H, W), no side of them 0")
    if not (batch.is_floating_point() or batch.dtype == torch.uint8):
        raise UsageError(f"cannot paint a tensor of {batch.dtype}; give floats in [0, 1] or uint8")

    def give_back(painted: np.ndarray) -> Tensor:
        return as_tensor(painted).contiguous().reshape(image.shape).to(image.device, image.dtype)

    return as_array(batch), give_back
