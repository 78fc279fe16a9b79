"""Kinds of pictures in and out: batches as engines take them, padded and checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from impasto.errors import UsageError
from impasto.images.geometry import Padding
from impasto.system.lazy import lazy

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy("torch")


def check_batch(batch: Tensor | np.ndarray) -> None:
    """Refuse what is no batch of pictures, before a backend does so in its own words."""
    shape = tuple(batch.shape)
    if isinstance(batch, np.ndarray):
        if len(shape) == 4 and shape[3] == 3 and 0 not in shape and batch.dtype == np.uint8:
            return
        raise UsageError(f"cannot paint {batch.dtype} of shape {shape[1:]}; give (H, W, 3), no side of them 0")
    if len(shape) != 4 or shape[1] != 3 or 0 in shape:
        raise UsageError(f"cannot paint a tensor of shape {shape}; give (3, H, W) or (N, 3, H, W), no side of them 0")
    if not (batch.is_floating_point() or batch.dtype == torch.uint8):
        raise UsageError(f"cannot paint a tensor of {batch.dtype}; give floats in [0, 1] or uint8")


def sides_of(batch: np.ndarray) -> tuple[int, int]:
    height, width = batch.shape[1:3] if batch.dtype == np.uint8 else batch.shape[2:]
    return height, width


def padded(batch: np.ndarray, around: Padding) -> np.ndarray:
    """Pad (N, H, W, 3) uint8 or (N, 3, H, W) floats."""
    if not any(around[:4]):
        return batch
    sides = [(0, 0), (around.top, around.bottom), (around.left, around.right)]
    sides.insert(_channels_of(batch), (0, 0))
    return np.pad(batch, sides, "reflect" if around.mirror else "edge")


def cropped(batch: np.ndarray, around: Padding) -> np.ndarray:
    """Take off what `padded` has added."""
    height, width = sides_of(batch)
    window = slice(around.top, height - around.bottom), slice(around.left, width - around.right)
    return batch[:, *window] if _channels_of(batch) == 3 else batch[:, :, *window]


def _channels_of(batch: np.ndarray) -> int:
    """The axis of the channels: last in bytes, before height and width in floats."""
    return 3 if batch.dtype == np.uint8 else 1


def like_array(image: Tensor, array: np.ndarray) -> np.ndarray:
    painted = image.permute(1, 2, 0).numpy()
    if np.issubdtype(array.dtype, np.floating):
        return painted.astype(array.dtype)
    levels = np.iinfo(array.dtype).max
    return np.rint(painted * levels).astype(array.dtype)


def as_array(batch: Tensor) -> np.ndarray:
    """Show (N, 3, H, W) as the engines take it: bytes with the channels last, floats as they are in float32."""
    if batch.dtype == torch.uint8:
        return batch.detach().cpu().permute(0, 2, 3, 1).numpy()
    return batch.detach().float().cpu().numpy()


def as_tensor(array: np.ndarray) -> Tensor:
    """Show what `as_array` made as (N, 3, H, W) again."""
    if min(array.strides) < 0 or not array.flags.writeable:  # torch knows no such memory
        array = array.copy()
    tensor = torch.from_numpy(array)
    return tensor.permute(0, 3, 1, 2) if array.dtype == np.uint8 else tensor
