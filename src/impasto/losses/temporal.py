"""A temporal loss from photographs alone: the painting of a picture that has moved is its painting, moved.

Ruder et al. 2016 and Huang et al. 2017 take successive frames of films and their optical flow. Here a second view of
each photograph is made by a motion that is known because it was drawn: no film, no flow network, no error of the flow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

_MOTION = (0.1, 16.0)  # pixels that the fastest point of a picture moves, about log-uniform: most films are slow
_LAYERS = 0.5  # how many of the pictures have a moving layer
_LAYER = (0.1, 0.3)  # half axes of a layer in parts of the picture's shorter side
_SOFT = 8.0  # pixels over which a layer fades
_NOISE = 0.02  # the largest deviation of the noise of sensor and codec
_GRAINS = (1, 2, 4, 8, 16)  # pixels of a side of its grains: that of films falls slowly with their size
_GAIN, _OFFSET = 0.05, 0.02  # the largest changes of light: factor e^±gain, then ±offset
_EPSILON = 1e-8  # keeps the loss of a constant painting finite


class View(NamedTuple):
    """Pictures as another frame of a film would show them.

    Shape:
        images: (N, 3, H, W) in [0, 1].
        source: (N, 2, H, W), x and y of the point of the first picture that each pixel shows: -1 and 1 are the outer
            edges of the first and the last pixel, as `grid_sample` has it.
        valid: (N, 1, H, W), 1 where the first picture showed that point, else 0: it came in from outside, a layer
            uncovered it, or it is a mixture of both sides of a layer's edge.
    """

    images: Tensor
    source: Tensor
    valid: Tensor


def second_view(images: Tensor, generator: torch.Generator) -> View:
    """Move pictures by a random shift, zoom and rotation, and change noise and light a little.

    In half of them a soft-edged layer, a part of the picture itself, moves on its own. Where it was, the next picture
    of the batch is seen, or the only one, mirrored: what is uncovered is unknown. Images (N, 3, H, W) in [0, 1]; the
    generator's device must be theirs.
    """
    images = images.detach().float()
    with torch.autocast(images.device.type, enabled=False):
        ground, layer = (_moved(images, generator) for _ in range(2))
        blob = _Layer.drawn(images, generator)
        now, before = blob.cover(layer), blob.cover(ground)
        moved = warped(images, _normalized(ground)).lerp(images.roll(1, 0).flip(-1), before)
        moved = moved.lerp(warped(images, _normalized(layer)), now)
        source = _normalized(torch.where(now > 0.5, layer, ground))
        seen_before = (now == 1) | ((now == 0) & (before == 0))
        inside = (source.abs() <= 1).all(dim=1, keepdim=True)
        return View(_filmed(moved, generator), source, (seen_before & inside).float())


def temporal_loss(first: Tensor, second: Tensor, view: View) -> Tensor:
    """Squared distance of the second view's painting from the first one's, moved, over the variance of the latter,
    per image: -> (N,), 0 for a painter that moves with its picture, about 2 for two unrelated paintings.

    Gradients flow into both paintings, none into the variance. Pixels that are not valid do not count.

    Args:
        first: (N, 3, H', W'), the whole painting of the first view.
        second: (N, 3, H, W), the painting of the second view, or the part of it that `view` has.
    """
    with torch.autocast(first.device.type, enabled=False):
        target = warped(first.float(), view.source)
        squared = (second.float() - target).square().mean(dim=1, keepdim=True) * view.valid
        mean = squared.sum(dim=(1, 2, 3)) / view.valid.sum(dim=(1, 2, 3)).clamp_min(1)
        return mean / (target.detach().flatten(1).var(dim=1, unbiased=False) + _EPSILON)


def warped(images: Tensor, source: Tensor) -> Tensor:
    """Images (N, C, H', W') as seen at the points `source` (N, 2, H, W), see `View`: -> (N, C, H, W).

    Bicubic: bilinear interpolation blurs what moves by half a pixel, and would ask painters for soft paintings. Beyond
    the border the picture is mirrored.
    """
    grid = source.movedim(1, -1)
    return F.grid_sample(images, grid, mode="bicubic", padding_mode="reflection", align_corners=False)


def _moved(images: Tensor, generator: torch.Generator) -> Tensor:
    """Draw a motion for each picture: the point, (N, 2, H, W) in pixels from the centre, that each pixel shows."""
    low, high = map(math.log, _MOTION)
    reach = math.hypot(*images.shape[-2:]) / 2
    speed = (low + (high - low) * (_uniform(images, generator) + 1) / 2).exp()
    shift = speed * _uniform(images, generator, 2)
    turn, zoom = (speed / reach * _uniform(images, generator) for _ in range(2))
    x, y = _points(images)
    turned = torch.cat([turn.cos() * x - turn.sin() * y, turn.sin() * x + turn.cos() * y], dim=1)
    return turned * zoom.exp() + shift


class _Layer(NamedTuple):
    """A soft ellipse in each picture, in pixels from the centre: (N, …, 1, 1); `present` is 0 where there is none."""

    centre: Tensor
    axes: Tensor
    angle: Tensor
    present: Tensor

    @classmethod
    def drawn(cls, images: Tensor, generator: torch.Generator) -> _Layer:
        side = min(images.shape[-2:])
        low, high = (side * part for part in _LAYER)
        centre = side / 3 * _uniform(images, generator, 2)
        axes = low + (high - low) * (_uniform(images, generator, 2) + 1) / 2
        angle = math.pi * _uniform(images, generator)
        return cls(centre, axes, angle, ((_uniform(images, generator) + 1) / 2 < _LAYERS).float())

    def cover(self, points: Tensor) -> Tensor:
        """How much of the layer is at each of `points` (N, 2, H, W), where it was in the first view: (N, 1, H, W)."""
        x, y = (points - self.centre).split(1, dim=1)
        long, short = self.axes.split(1, dim=1)
        along = self.angle.cos() * x + self.angle.sin() * y
        across = self.angle.cos() * y - self.angle.sin() * x
        away = torch.hypot(along / long, across / short)  # 1 on the ellipse
        inside = (1 - away) * self.axes.amin(dim=1, keepdim=True)
        return (inside / _SOFT + 0.5).clamp(0, 1) * self.present


def _filmed(images: Tensor, generator: torch.Generator) -> Tensor:
    """Pictures in slightly other light, with the noise of a sensor and a codec."""
    gain = (_GAIN * _uniform(images, generator)).exp()
    offset = _OFFSET * _uniform(images, generator)
    deviation = _NOISE * _uniform(images, generator).abs()
    return (images * gain + offset + deviation * _noise(images, generator)).clamp(0, 1)


def _noise(images: Tensor, generator: torch.Generator) -> Tensor:
    """Noise of deviation 1 in each pixel, as much of it in small grains as in large ones, grey and coloured alike."""
    (number, channels, *sides), noise = images.shape, torch.zeros_like(images)
    for size in _GRAINS:
        grey, coloured = (grains((number, each, *sides), size, generator) for each in (1, channels))
        noise += grey + coloured
    return noise / math.sqrt(2 * len(_GRAINS))


def grains(shape: Sequence[int], size: int, generator: torch.Generator) -> Tensor:
    """Noise (N, C, H, W) of deviation 1, the same within each square of `size` x `size` pixels."""
    *pictures, height, width = shape
    noise = torch.randn(*pictures, -(-height // size), -(-width // size), generator=generator, device=generator.device)
    return F.interpolate(noise, scale_factor=size)[..., :height, :width]


def _uniform(images: Tensor, generator: torch.Generator, numbers: int = 1) -> Tensor:
    """Draw numbers between -1 and 1 for each picture, (N, numbers, 1, 1)."""
    return 2 * torch.rand(len(images), numbers, 1, 1, generator=generator, device=images.device) - 1


def _points(images: Tensor) -> Tensor:
    """The centres of all pixels, x and y in pixels from the picture's centre: (2, H, W)."""
    y, x = (torch.arange(side, device=images.device) - (side - 1) / 2 for side in images.shape[-2:])
    return torch.stack(torch.meshgrid(x, y, indexing="xy"))


def _normalized(points: Tensor) -> Tensor:
    """Points in pixels from the centre, (N, 2, H, W), as `View.source` has them."""
    height, width = points.shape[-2:]
    return points * points.new_tensor([2 / width, 2 / height]).view(2, 1, 1)
