"""The training step without Lightning, for scripts that train many painters for moments each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from impasto.losses.perceptual import LossTerms, PerceptualLoss
from impasto.networks.brush import Canvas
from impasto.runtime import has_fast_bfloat16
from impasto.tiles import lay_canvas


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


def paint_with_border(network: nn.Module, batch: Tensor, margin: int) -> tuple[Tensor, Tensor]:
    """What `network` makes of `batch` (N, 3, H, W), and how otherwise it paints the middle of it alone, `margin` pixels further in.

    The second, the mean squared difference where both are seen, is 0 for a painter that does not care where a picture ends. Others
    paint near the border what the painting has there, a frame or a sky, because its statistics ask for it somewhere.
    """
    with _canvas_at(network, 0):
        whole = network(batch)
    if not (margin := _fitting(margin, batch)):
        return whole, whole.new_zeros(())
    with _canvas_at(network, margin):
        alone = network(inner(batch, margin))
    return whole, (alone.float() - inner(whole, margin).detach().float()).square().mean()


@contextmanager
def _canvas_at(network: nn.Module, place: int) -> Iterator[None]:
    """Let the first pixel lie at row and column `place` of the canvas, if `network` has one."""
    canvases = [layer for layer in network.modules() if isinstance(layer, Canvas)]
    for canvas in canvases:
        canvas.eval()
    lay_canvas(network, place, place)
    yield
    for canvas in canvases:
        canvas.train(network.training)
    lay_canvas(network, 0, 0)


def inner(pictures: Tensor, margin: int) -> Tensor:
    """(N, 3, H, W) without `margin` pixels on each side, or fewer where little would be left."""
    margin, (height, width) = _fitting(margin, pictures), pictures.shape[-2:]
    return pictures[..., margin : height - margin, margin : width - margin]


def _fitting(margin: int, pictures: Tensor) -> int:
    """The margin that pictures of this size can spare: at most a sixth of a side, a multiple of 8 as the networks' strides ask for."""
    return min(margin, min(pictures.shape[-2:]) // 6) // 8 * 8
