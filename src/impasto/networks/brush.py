"""A light network for large strokes, in real time: most of it works at an eighth of the resolution.

What Johnson's network lacks to paint a swirl across a blank sky is reach and something to begin with. Dilated
convolutions (Yu and Koltun 2016) at an eighth of the resolution see a few hundred pixels around. A canvas of fixed
smooth noise lies under the picture (Ulyanov et al., "Texture Networks", 2016, feed noise too): where the photograph is
flat, a network alone can only repeat itself.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import ClassVar

import torch
from torch import Tensor, nn

from impasto.networks import Blur, StagedNetwork, normal_parameter
from impasto.networks.johnson import ConvLayer, ResidualBlock, upsample

_BANDS = 4  # of the canvas, an octave each
_WAVES = 32  # plane waves in a band
_SHORTEST = 2.5  # wavelength of the first band, in pixels of the layer that gets the canvas
_DILATIONS = (1, 2, 4)


class Canvas(nn.Module):
    """Adds to each channel its own mixture of four smooth noises, from fine to coarse, which are always the same.

    A noise is a sum of plane waves, a function of the absolute coordinates alone: pictures of any size and frames of a
    clip have the same, and a part of a picture has its part of it (`origin`). In training each crop lies elsewhere on
    the canvas; its own values say where, so that a run that is resumed repeats what it did. The waves repeat after
    `period` pixels, which keeps their phases whole numbers, exact in every precision.

    Shape:
        (N, C, H, W) -> the same.
    """

    period: ClassVar[int] = 4096
    scale: ClassVar[float] = (2 / _WAVES) ** 0.5  # brings the sum of the waves to deviation 1

    def __init__(self, channels: int):
        super().__init__()
        self.mix = nn.Conv2d(_BANDS, channels, 1, bias=False)
        self.mix.weight = normal_parameter(0.1, *self.mix.weight.shape)
        self.origin: tuple[int, int] = (0, 0)  # row and column of the first pixel
        self.held: list[tuple[Tensor, Tensor]] | None = None  # where the first batch lay, within `same_canvas`

    def forward(self, x: Tensor) -> Tensor:
        return x + self.mix(self.noise(x).to(x.dtype))

    def noise(self, x: Tensor) -> Tensor:
        """The canvas under `x` (N, C, H, W): (N or 1, bands, H, W) float32 of mean 0 and deviation 1."""
        top, left = self._place(x.detach()) if self.training else self.origin
        rows, columns, phases = plane_waves(self.period, x.device)
        y, x = (torch.arange(side, device=x.device) for side in x.shape[-2:])
        down = self._angles((y + top)[..., None, :, None] * rows[:, None] + phases[:, None])
        across = self._angles((x + left)[..., None, None, :] * columns[:, :, None])
        with torch.autocast(down.device.type, enabled=False):
            # cos(a + b) = cos a cos b - sin a sin b: a sum of waves is a product of two thin matrices.
            field = down.cos() @ across.cos() - down.sin() @ across.sin()
        return field.mul(self.scale).reshape(-1, *field.shape[-3:])

    def _angles(self, phases: Tensor) -> Tensor:
        return phases.remainder(self.period).float() * (2 * math.pi / self.period)

    def _place(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if self.held is None:
            return self._places(x)
        if not self.held:
            self.held.append(self._places(x))
        return self.held[0]

    def _places(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Where on the canvas each picture lies, (N, 1) twice."""
        drawn = x.float().mean(dim=(1, 2, 3)) * 100
        # To multiples of 64 pixels, or the rounding of the mean would move them.
        top, left = ((drawn * factor % 1 * (self.period // 64)).long()[:, None] * 64 for factor in (1.0, math.e))
        return top, left


@contextmanager
def same_canvas(network: nn.Module) -> Generator[None]:
    """In training, lay every batch that `network` paints within where the first one lies, as frames of a film do."""
    canvases = [part for part in network.modules() if isinstance(part, Canvas)]
    for canvas in canvases:
        canvas.held = []
    try:
        yield
    finally:
        for canvas in canvases:
            canvas.held = None


@cache
def plane_waves(period: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Waves in all directions, int64 (bands, waves) each: how many fit into `period` rows and into as many columns, and
    their phases in parts of a turn, of which there are `period`."""
    number = torch.arange(_BANDS * _WAVES, dtype=torch.float64, device="cpu").view(_BANDS, _WAVES)
    length, direction, phase = (_scattered(number, key) for key in (1, 2, 3))
    count = period / _SHORTEST * 0.5 ** (torch.arange(_BANDS, device="cpu")[:, None] + length)
    rows, columns = (count * turned for turned in ((2 * math.pi * direction).sin(), (2 * math.pi * direction).cos()))
    return rows.round().long().to(device), columns.round().long().to(device), (phase * period).long().to(device)


def _scattered(number: Tensor, key: int) -> Tensor:
    """Fractions in [0, 1) that look random: a formula, so that a painter's canvas does not hang on a random
    generator.
    """
    return ((number + 100 * key + 1) * 12.9898).sin() * 43758.5453 % 1


class Coarse(nn.Module):
    """Residual blocks at half of its input's resolution, beside a skip that keeps the fine things."""

    def __init__(self, channels: int, blocks: int, dilations: Sequence[int] = _DILATIONS, *, antialias: bool = False):
        super().__init__()
        self.body = nn.Sequential(
            ConvLayer(channels, 2 * channels, 3, stride=2, antialias=antialias), nn.ReLU(inplace=True),
            *(ResidualBlock(2 * channels, dilations[number % len(dilations)]) for number in range(blocks)),
            upsample(2 * channels, channels, antialias=antialias),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class BrushNet(StagedNetwork):
    """An image in, the same image painted out.

    Args:
        width: channels at half resolution; twice as many at a quarter, four times at an eighth.
        blocks: residual blocks at an eighth of the resolution, of dilations 1, 2, 4 and again.
        antialias: whether each change of resolution but the first is smoothed by a `Blur`. Without, paintings are
            hatched in two diagonals, woven like cloth, and show steps of eight pixels; films of them flicker more.

    Width 16 and 3 blocks have 291,116 parameters and take 8,495 multiply-adds per pixel.

    Shape:
        input (N, 3, H, W) in [0, 1], H and W multiples of 8 and at least 16; output the same shape, in (0, 1).
    """

    stride: ClassVar[int] = 8
    # As many as training leaves out of the loss: what is painted on them nobody judged.
    surround: ClassVar[int] = 96
    limits: ClassVar[dict[str, tuple[int, int]]] = {"width": (4, 128), "blocks": (1, 32), "antialias": (False, True)}
    unsaid: ClassVar[dict[str, bool]] = {"antialias": False}
    weightless: ClassVar[tuple[str, ...]] = ("antialias",)

    def __init__(self, width: int = 16, blocks: int = 3, antialias: bool = True):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(2),
            ConvLayer(12, width, 3), nn.ReLU(inplace=True),
            ConvLayer(width, 2 * width, 3, stride=2, antialias=antialias), nn.ReLU(inplace=True),
            Canvas(2 * width),
        )  # fmt: skip
        self.body = nn.Sequential(ResidualBlock(2 * width), Coarse(2 * width, blocks, antialias=antialias))
        # No skip from the input to the output: it would keep the photograph's own colours.
        self.decoder = nn.Sequential(
            upsample(2 * width, width, antialias=antialias), ConvLayer(width, 12, 3, norm=False), nn.PixelShuffle(2),
            *([Blur(3)] if antialias else []),
        )  # fmt: skip

    def stages(self) -> tuple[nn.Module, ...]:
        return self.encoder, *self.body, self.decoder


Network = BrushNet
