"""Pictures with mirrored surroundings, in which painters are trained and judged as users see their paintings."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from impasto.images.geometry import Padding, padding
from impasto.networks import stride_and_surround


def surrounded(pictures: Tensor, around: Padding) -> Tensor:
    """Return (N, 3, H, W) with mirrored pixels around, as `around` has it."""
    height, width = pictures.shape[-2:]
    tall, wide = around.size(height, width)
    rows, columns = around.rows(height, 0, tall), around.columns(width, 0, wide)
    return pictures[..., torch.from_numpy(rows)[:, None], torch.from_numpy(columns)]


def inside(pictures: Tensor, around: Padding) -> Tensor:
    """Return surrounded pictures (..., H, W) without what is around them, not copied."""
    height, width = pictures.shape[-2:]
    return pictures[..., around.top : height - around.bottom, around.left : width - around.right]


def painted_whole(network: nn.Module, pictures: Tensor) -> Tensor:
    """Paint (N, 3, H, W) as a painter does, with the mirrored pixels around that `network` asks for; the same shape."""
    height, width = pictures.shape[-2:]
    around = padding(height, width, *stride_and_surround(network))
    return inside(network(surrounded(pictures, around)), around)
