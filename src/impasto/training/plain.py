"""The training step without Lightning, for scripts that train many painters for moments each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from impasto.losses.features import MIN_SIDE
from impasto.losses.perceptual import LossTerms, PerceptualLoss
from impasto.runtime import has_fast_bfloat16

_LEAST_BORDERLESS = 40  # pixels a side: the widest convolution must not wrap around twice


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


@contextmanager
def borderless(network: nn.Module) -> Iterator[None]:
    """Let the convolutions of `network` wrap around their borders inside the block, so that no layer can tell where it is.

    Mirrored and repeated borders look like nothing else, and a painter learns to put there what the painting has there.
    """
    convolutions = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    modes = [convolution.padding_mode for convolution in convolutions]
    try:
        for convolution in convolutions:
            convolution.padding_mode = "circular"
        yield
    finally:
        for convolution, mode in zip(convolutions, modes, strict=True):
            convolution.padding_mode = mode  # type: ignore[assignment]


def paint_borderless(network: nn.Module, batch: Tensor) -> Tensor:
    """What `network` makes of `batch` (N, 3, H, W) when it cannot see the border; of small pictures what it makes of them anyway."""
    if min(batch.shape[-2:]) < _LEAST_BORDERLESS:
        return network(batch)
    with borderless(network):
        return network(batch)


def inner(pictures: Tensor, margin: int) -> Tensor:
    """(N, 3, H, W) without `margin` pixels on each side, or an eighth of the shorter side where that is less.

    A loss that sees the border rewards a painter for what it can tell by the border alone: a dark edge, because the painting has one.
    """
    height, width = pictures.shape[-2:]
    margin = min(margin, min(height, width) // 8, (min(height, width) - MIN_SIDE) // 2)
    return pictures[..., margin : height - margin, margin : width - margin]
