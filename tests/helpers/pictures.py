"""Pictures that tests paint."""

from __future__ import annotations

import io

import numpy as np
import torch
from torch import Tensor

from impasto.images.tensors import to_pil
from impasto.synthetic.contents import procedural_image


def photograph(seed: int, size: int) -> torch.Tensor:
    """A procedural picture (3, size, size) in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(procedural_image(seed, size).transpose(2, 0, 1))).float() / 255


def checkerboard(size: int) -> Tensor:
    """Black and white pixels in turn, (1, 3, size, size)."""
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    return ((rows + columns) % 2).float().expand(1, 3, size, size)


def levels(image: Tensor | np.ndarray) -> np.ndarray:
    """The image as 8-bit (H, W, 3)."""
    return np.asarray(to_pil(image))


def stream(data: bytes) -> io.BytesIO:
    return io.BytesIO(data)


def cut_out(hidden: tuple[int, int, int]) -> np.ndarray:
    """A warm disc with a soft edge; `hidden` is the colour left under full transparency."""
    y, x = np.mgrid[:64, :64]
    alpha = (24 - np.hypot(y - 31.5, x - 31.5)).clip(0, 4) / 4 * 255
    colour = np.where(alpha[..., None] > 0, (220, 120, 40), hidden)
    return np.dstack([colour, alpha.round()]).astype(np.uint8)
