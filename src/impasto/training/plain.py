"""The training step without Lightning, for scripts that train many painters for moments each."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from impasto.losses.perceptual import LossTerms, PerceptualLoss
from impasto.system.machine import has_fast_bfloat16


def update(
    network: nn.Module, loss: PerceptualLoss, optimizer: torch.optim.Optimizer, batch: Tensor
) -> tuple[Tensor, LossTerms]:
    """Take one step on `batch` (N, 3, H, W); return what the network made of it and its loss, both before the step."""
    with torch.autocast(batch.device.type, torch.bfloat16, enabled=has_fast_bfloat16(batch.device)):
        output = network(batch)
        terms = loss(output, batch)
    optimizer.zero_grad()
    terms.total.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
    optimizer.step()
    return output.detach().float(), terms


def inner(pictures: Tensor, margin: int) -> Tensor:
    """(N, 3, H, W) without `margin` pixels on each side, or a quarter of the shorter side where that is less.

    A loss that sees the border rewards a painter for what it can tell by the border alone: a red sky along the top, because the
    painting has one. So the margin is what a painter sees around, some 95 pixels. It is a multiple of 8, as the networks' strides ask for.
    """
    height, width = pictures.shape[-2:]
    margin = min(margin, min(height, width) // 4) // 8 * 8
    return pictures[..., margin : height - margin, margin : width - margin]
