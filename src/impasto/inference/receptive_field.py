"""How a stage of a network spreads in space: how far an output sees, and by how much it is scaled."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import NamedTuple

from torch import nn

from impasto.networks import StagedNetwork
from impasto.networks.brush import Canvas


class Reach(NamedTuple):
    """How a stage spreads in space, in pixels of its input."""

    halo: int  # how far an output sees
    step: int  # the multiple at which tiles may begin
    scale: Fraction  # output side over input side
    cost: int  # bytes of working memory


def reach(stage: nn.Module) -> Reach:
    """Follow the layers of `stage` in the order in which they run."""
    scale, cost, step = Fraction(1), Fraction(12), 1
    for module in stage.modules():
        before, scale = scale, scale * _zoom(module)
        if isinstance(module, nn.Conv2d):
            # The input and its padded copy; the output, normalised, and one for the road.
            cost = max(cost, 4 * (2 * module.in_channels * before**2 + 3 * module.out_channels * scale**2))
        step = math.lcm(step, scale.denominator)
    return Reach(-(-_halo(stage) // step) * step, step, scale, math.ceil(cost))


def _halo(stage: nn.Module) -> int:
    """How many pixels beyond its own a tile's outputs see, told from the last layer to the first."""
    halo = 0
    for module in reversed(list(stage.modules())):
        halo = math.ceil(halo / _zoom(module))  # of an enlarged picture, a part of a pixel is the whole
        if isinstance(module, nn.Conv2d):
            halo += max(k // 2 * d for k, d in zip(module.kernel_size, module.dilation, strict=True))
    return halo


def _zoom(layer: nn.Module) -> Fraction:
    """By how much `layer` enlarges the sides of what it gets."""
    if isinstance(layer, nn.Conv2d):
        return Fraction(1, layer.stride[0])
    if isinstance(layer, nn.PixelUnshuffle):
        return Fraction(1, layer.downscale_factor)
    if isinstance(layer, nn.PixelShuffle):
        return Fraction(layer.upscale_factor)
    return Fraction(int(layer.scale_factor)) if isinstance(layer, nn.Upsample) else Fraction(1)  # type: ignore[arg-type]


def lay_canvas(stage: nn.Module, top: int, left: int) -> None:
    """Let the canvas in `stage`, if it has one, lie under the part of the picture that begins at that pixel of its
    input.
    """
    scale = Fraction(1)
    for module in stage.modules():
        scale *= _zoom(module)
        if isinstance(module, Canvas):
            module.origin = (int(top * scale), int(left * scale))


def working_memory(network: StagedNetwork) -> int:
    """Return about how many bytes a pixel takes when a picture goes through `network` in one piece."""
    return reach(nn.Sequential(*network.stages())).cost
