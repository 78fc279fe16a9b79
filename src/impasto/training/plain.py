"""What of a picture the training's loss sees, and pictures painted as users see them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from impasto.images.geometry import padding


def inner(pictures: Tensor, margin: int) -> Tensor:
    """(N, 3, H, W) without `margin` pixels on each side, or a quarter of the shorter side where that is less.

    A loss that sees the border rewards a painter for what it can tell by the border alone: a red sky along the top,
    because the painting has one. So the margin is what a painter sees around, some 95 pixels. It is a multiple of 8, as
    the networks' strides ask for.
    """
    height, width = pictures.shape[-2:]
    margin = min(margin, min(height, width) // 4) // 8 * 8
    return pictures[..., margin : height - margin, margin : width - margin]


def painted_whole(network: nn.Module, pictures: Tensor) -> Tensor:
    """Paint (N, 3, H, W) as a painter does, with the mirrored pixels around that `network` asks for; the same shape."""
    height, width = pictures.shape[-2:]
    around = padding(height, width, getattr(network, "stride", 1), getattr(network, "surround", 0))
    tall, wide = around.size(height, width)
    rows, columns = around.rows(height, 0, tall), around.columns(width, 0, wide)
    painted = network(pictures[..., torch.from_numpy(rows)[:, None], torch.from_numpy(columns)])
    return painted[..., around.top : around.top + height, around.left : around.left + width]
