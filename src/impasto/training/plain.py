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
    down, across = (torch.from_numpy(places).to(pictures.device) for places in (rows, columns))
    return pictures[..., down[:, None], across].contiguous(memory_format=torch.channels_last)


def inside(pictures: Tensor, around: Padding) -> Tensor:
    """Return surrounded pictures (..., H, W) without what is around them, not copied."""
    height, width = pictures.shape[-2:]
    return pictures[..., around.top : height - around.bottom, around.left : width - around.right]


def painted_whole(network: nn.Module, pictures: Tensor) -> Tensor:
    """Paint (N, 3, H, W) as a painter does, with the mirrored pixels around that `network` asks for; the same shape."""
    return painted_within(network, pictures, stride_and_surround(network)[1])


def painted_within(network: nn.Module, pictures: Tensor, margin: int) -> Tensor:
    """Paint (N, 3, H, W) with `margin` mirrored pixels around; the same shape."""
    height, width = pictures.shape[-2:]
    around = padding(height, width, stride_and_surround(network)[0], margin)
    return inside(network(surrounded(pictures, around)), around)
