"""What of a picture the training's loss sees, and pictures painted as users see them."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


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
    """Paint (N, 3, H, W) with the mirrored pixels around that `network` asks for; the same shape."""
    height, width = pictures.shape[-2:]
    around = min(getattr(network, "surround", 0), min(height, width) - 1) // 8 * 8
    painted = network(F.pad(pictures, [around] * 4, mode="reflect"))
    return painted[..., around : around + height, around : around + width]
