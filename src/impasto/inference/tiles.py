"""A picture of any size through a network in little memory, tile by tile, with the result of the whole at once.

Two things keep tiles from agreeing: borders and instance norm. Each tile therefore comes with what its outputs see
around them, which is cut off afterwards, and every norm takes its statistics from the whole picture. To know those it
takes one pass over all tiles for each norm; that these passes do not start at the pixels every time, what one stage of
the network hands to the next is kept whole, in a temporary file.
"""

from __future__ import annotations

import copy
import itertools
import math
import tempfile
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from impasto.errors import ImpastoError
from impasto.images.geometry import Padding, padding
from impasto.images.tensors import as_tensor, from_levels, to_levels
from impasto.inference.receptive_field import lay_canvas, reach
from impasto.networks import StagedNetwork, stride_and_surround
from impasto.system.machine import trim_memory

_LEAST_SIDE = 32  # of a tile's own part; smaller ones would be mostly surroundings
_MOST_MEMORY = 2**27  # for a tile; larger ones are no faster
_THUMBNAIL = 1024  # longer side of the picture that quick statistics come from


class Box(NamedTuple):
    """A rectangle of a picture: rows top to bottom, columns left to right, the ends excluded."""

    top: int
    bottom: int
    left: int
    right: int


class Tile(NamedTuple):
    """What goes into a stage, and the part of it for which the result is right."""

    seen: Box
    own: Box

    def cut(self, x: Tensor) -> Tensor:
        """Cut the own part out of `x` (1, C, h, w), which shows the seen part at some resolution."""
        (top, bottom, left, right), seen = self.own, self.seen
        rows, columns = Fraction(x.shape[-2], seen.bottom - seen.top), Fraction(x.shape[-1], seen.right - seen.left)
        return x[
            ...,
            int((top - seen.top) * rows) : int((bottom - seen.top) * rows),
            int((left - seen.left) * columns) : int((right - seen.left) * columns),
        ]


def paint_in_tiles(
    network: nn.Module, batch: np.ndarray, device: str, memory: int, *, quick: bool = False
) -> tuple[np.ndarray, tuple[float, float]]:
    """Paint pictures (N, H, W, 3) on `device`, wherever `network` is, one after the other as `TiledPainter` does.

    Returns:
        The same kind; and the largest mean and the largest maximum that a picture's statistics were off by.
    """
    assert isinstance(network, StagedNetwork)
    network = network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    painter = TiledPainter(network, memory, quick=quick)
    pictures, deviations = zip(*(painter(picture) for picture in batch), strict=True)
    mean, most = (max(each) for each in zip(*deviations, strict=True))
    return pictures[0][None] if len(pictures) == 1 else np.stack(pictures), (mean, most)


class TiledPainter:
    """Paints one picture with `network`, tile by tile.

    Args:
        network: a network in stages, on any device; a copy of it does the work.
        memory: about how many bytes the tiles may take; however few, the smallest tiles are painted.
        quick: take the statistics of instance norm from a thumbnail: one pass in place of many, but another picture.
    """

    def __init__(self, network: StagedNetwork, memory: int, *, quick: bool = False):
        self.memory, self.quick = memory, quick
        self.device = next(network.parameters()).device
        self.stride, self.surround = stride_and_surround(network)
        network = copy.deepcopy(network)
        first, *others = network.stages()
        *others, last = nn.Sequential(_Call(network.from_pixels), first), *others
        self._network = nn.Sequential(*others, nn.Sequential(last, _Call(network.to_pixels)))
        _tile_norms(self._network)

    @torch.inference_mode()
    def __call__(self, picture: np.ndarray) -> tuple[np.ndarray, tuple[float, float]]:
        """Paint `picture` (H, W, 3), uint8 or float32 in [0, 1].

        Returns:
            The same kind; and by how much the values that the norms made of it miss mean 0 and deviation 1, mean and
            maximum over the norms: 0 where the statistics are exact, as they are unless `quick`.

        Raises:
            ImpastoError: the temporary folder cannot hold what passes between stages.
        """
        painted, deviation = np.empty(picture.shape, picture.dtype), (0.0, 0.0)
        source, target = (self._pixels(as_tensor(array)) for array in (picture, painted))
        try:
            if self.quick:
                deviation = self._paint_quickly(source, target)
            else:
                self._paint_exactly(source, target)
        except OSError as error:
            reason = error.strerror or error
            raise ImpastoError(f"{tempfile.gettempdir()}: {reason}; let TMPDIR name a folder with more room") from error
        return painted, deviation

    def _pixels(self, image: Tensor) -> _Pixels:
        height, width = image.shape[-2:]
        return _Pixels(image, padding(height, width, self.stride, self.surround))

    def _paint_exactly(self, picture: _Pixels | _Spill, target: _Pixels) -> None:
        *others, last = self._network
        for stage in others:
            result = _Spill(picture.size, reach(stage).scale)
            self._pass_through(stage, picture, result)
            picture = result
        self._pass_through(last, picture, target)

    def _pass_through(self, stage: nn.Module, picture: _Pixels | _Spill, result: _Pixels | _Spill) -> None:
        for norm in _norms(stage):
            for tile in _tiles(stage, picture.size, self.memory):
                self._gather(norm, stage, picture, tile)
            norm.settle()
        for tile in _tiles(stage, picture.size, self.memory):
            result.write(_scaled(tile.own, picture.size, result.size), self._run(stage, picture, tile))

    def _paint_quickly(self, picture: _Pixels, target: _Pixels) -> tuple[float, float]:
        small = _thumbnail(picture)
        self._paint_exactly(self._pixels(small), self._pixels(torch.empty_like(small)))
        norms = _norms(self._network)
        for tile in _tiles(self._network, picture.size, self.memory):
            for norm in norms:
                norm.watch(tile)
            target.write(tile.own, self._run(self._network, picture, tile))
        off = [norm.deviation() for norm in norms]
        return sum(off) / len(off), max(off)

    def _run(self, stage: nn.Module, picture: _Pixels | _Spill, tile: Tile) -> Tensor:
        lay_canvas(stage, tile.seen.top, tile.seen.left)
        return tile.cut(stage(picture.read(tile.seen).to(self.device)))

    def _gather(self, norm: _TiledNorm, stage: nn.Module, picture: _Pixels | _Spill, tile: Tile) -> None:
        norm.watch(tile)
        lay_canvas(stage, tile.seen.top, tile.seen.left)
        try:
            stage(picture.read(tile.seen).to(self.device))
        except _Gathered:
            return


class _Gathered(Exception):
    """The norm has what it wants of this tile: the layers after it can wait."""


class _TiledNorm(nn.Module):
    """Instance norm by the statistics of a whole picture, which it gathers tile by tile."""

    def __init__(self, norm: nn.InstanceNorm2d):
        super().__init__()
        self.norm = norm
        self.tile = self.scale = self.shift = self.used = None
        self._forget()

    def _forget(self) -> None:
        self.count, self.mean, self.squares = 0, torch.zeros(()), torch.zeros(())

    def watch(self, tile: Tile) -> None:
        self.tile = tile

    def forward(self, x: Tensor) -> Tensor:
        if self.tile is not None:
            self._add(self.tile.cut(x))
            self.tile = None
            if self.scale is None:
                raise _Gathered
        assert self.scale is not None and self.shift is not None
        return torch.addcmul(self.shift, x, self.scale)

    def _add(self, x: Tensor) -> None:
        """Merge mean and squared deviations of one more part (Chan, Golub and LeVeque 1979), in double precision."""
        variance, mean = torch.var_mean(x, dim=(0, 2, 3), correction=0)
        variance, mean, count = variance.double().cpu(), mean.double().cpu(), x[0, 0].numel()
        total, apart = self.count + count, mean - self.mean
        self.squares = self.squares + variance * count + apart**2 * (self.count * count / total)
        self.mean = self.mean + apart * (count / total)
        self.count = total

    def settle(self) -> None:
        """From now on normalise by what was gathered, and gather anew."""
        norm, mean = self.norm, self.mean
        scale = self._inverse_deviation()
        shift = -mean * scale
        self.used = mean, scale
        if norm.affine:
            weight, bias = norm.weight.detach().double().cpu(), norm.bias.detach().double().cpu()
            scale, shift = scale * weight, shift * weight + bias
        device = norm.weight.device if norm.affine else "cpu"
        self._forget()
        self.scale, self.shift = (value.float().to(device)[None, :, None, None] for value in (scale, shift))

    def deviation(self) -> float:
        """How far the statistics used are from those since gathered: the root mean square change of a normalised
        value.
        """
        assert self.used is not None
        mean, scale = self.used
        centre, spread = (self.mean - mean) * scale, scale / self._inverse_deviation()
        return (centre**2 + (spread - 1) ** 2).mean().sqrt().item()

    def _inverse_deviation(self) -> Tensor:
        return (self.squares / self.count + self.norm.eps).rsqrt()


class _Call(nn.Module):
    """A function as a layer."""

    def __init__(self, function: Callable[..., Tensor]):
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def _tile_norms(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, nn.InstanceNorm2d):
            setattr(module, name, _TiledNorm(child))
        else:
            _tile_norms(child)


def _norms(stage: nn.Module) -> list[_TiledNorm]:
    return [module for module in stage.modules() if isinstance(module, _TiledNorm)]


def _tiles(stage: nn.Module, size: tuple[int, int], memory: int) -> Iterator[Tile]:
    """Cut a picture of `size` into even tiles for `stage`, and clean up after each row of them."""
    halo, step, _, cost = reach(stage)
    height, width = size
    # A quarter of it: an allocator keeps holes, and the libraries below it keep buffers for every shape they meet.
    pixels = min(max(0, memory) // 4, _MOST_MEMORY) // cost
    across = _spans(width, math.isqrt(pixels) - 2 * halo, step)
    widest = min(width, across[-1][1] - across[-1][0] + 2 * halo)
    for top, bottom in _spans(height, pixels // widest - 2 * halo, step):
        for left, right in across:
            seen = max(0, top - halo), min(height, bottom + halo), max(0, left - halo), min(width, right + halo)
            yield Tile(Box(*seen), Box(top, bottom, left, right))
        trim_memory()


def _spans(length: int, most: int, step: int) -> list[tuple[int, int]]:
    """Divide `length`, a multiple of `step`, into even spans of about `most`, each a multiple of `step`."""
    steps = length // step
    count = min(steps, -(-length // max(most, _LEAST_SIDE)))
    ends = [number * steps // count * step for number in range(count + 1)]
    return list(itertools.pairwise(ends))


def _scaled(box: Box, size: tuple[int, int], to: tuple[int, int]) -> Box:
    down, across = Fraction(to[0], size[0]), Fraction(to[1], size[1])
    return Box(int(box.top * down), int(box.bottom * down), int(box.left * across), int(box.right * across))


class _Pixels:
    """A picture in memory (3, H, W), float in [0, 1] or uint8, read and written as float by boxes of the padded
    picture.
    """

    def __init__(self, pixels: Tensor, around: Padding):
        self.pixels, self.around = pixels, around
        self.height, self.width = pixels.shape[-2:]
        self.size = around.size(self.height, self.width)

    def read(self, box: Box) -> Tensor:
        rows = torch.from_numpy(self.around.rows(self.height, box.top, box.bottom))
        columns = torch.from_numpy(self.around.columns(self.width, box.left, box.right))
        first, last = int(columns.min()), int(columns.max())
        part = self.pixels[:, rows, first : last + 1][:, :, columns - first]
        return from_levels(part[None]).contiguous(memory_format=torch.channels_last)

    def write(self, box: Box, part: Tensor) -> None:
        """Copy `part` (1, 3, h, w), floats, into its place, without what of it is padding."""
        top, left = box.top - self.around.top, box.left - self.around.left
        part = part[0, :, max(0, -top) : max(0, self.height - top), max(0, -left) : max(0, self.width - left)]
        place = self.pixels[:, max(0, top) :, max(0, left) :][:, : part.shape[1], : part.shape[2]]
        place.copy_(to_levels(part) if place.dtype == torch.uint8 else part.clamp(0, 1))


class _Spill:
    """Channels of a whole picture in a temporary file, pixel by pixel, read and written by rectangles.

    Not mapped into memory, where what is touched counts as ours until the system takes it away.
    """

    def __init__(self, size: tuple[int, int], scale: Fraction):
        self.size = int(size[0] * scale), int(size[1] * scale)
        self.channels = 0
        self.file = tempfile.TemporaryFile(prefix="impasto-")  # noqa: SIM115 - it lasts as long as we do

    def read(self, box: Box) -> Tensor:
        part = np.empty((box.bottom - box.top, box.right - box.left, self.channels), np.float32)
        for y, row in enumerate(part, box.top):
            self._seek(y, box.left)
            self.file.readinto(row)  # type: ignore[attr-defined]
        return torch.from_numpy(part).permute(2, 0, 1)[None]

    def write(self, box: Box, part: Tensor) -> None:
        self.channels = part.shape[1]
        for y, row in enumerate(part[0].permute(1, 2, 0).cpu().contiguous().numpy(), box.top):
            self._seek(y, box.left)
            self.file.write(row)

    def _seek(self, y: int, x: int) -> None:
        self.file.seek((y * self.size[1] + x) * self.channels * 4)


def _thumbnail(picture: _Pixels) -> Tensor:
    """Reduce `picture` by a whole factor, band by band, to at most `_THUMBNAIL` pixels a side: (3, h, w) float."""
    factor = -(-max(picture.height, picture.width) // _THUMBNAIL)
    small = torch.empty(3, -(-picture.height // factor), -(-picture.width // factor))
    for row, top in enumerate(range(0, picture.height, factor)):
        band = from_levels(picture.pixels[None, :, top : top + factor])
        small[:, row] = F.avg_pool2d(band, factor, ceil_mode=True)[0, :, 0]
    return small
