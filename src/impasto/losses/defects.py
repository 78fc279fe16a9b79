"""What a loss does not see and eyes do: screens, grids, repetition, blobs,
border bands and colours that have drifted.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class Defect(NamedTuple):
    """One kind of defect: the figure above which it is visible, and what to do about it."""

    limit: float
    remedy: str


DEFECTS = {
    "screen": Defect(1.2, "a one-pixel checkerboard; train longer, or raise loss.tv_weight"),
    "grid": Defect(0.01, "a regular pattern of the network's stride; raise grid_weight, or train longer"),
    "repetition": Defect(3.0, "hatching in one direction or patches in a rhythm; train longer, or raise style.size"),
    "blobs": Defect(0.05, "flat patches of one saturated colour; train longer, or lower optimizer.lr"),
    "border": Defect(0.12, "a band along the border; train longer, or leave margin as it is"),
    "drift": Defect(0.25, "colours far from the style picture's; train longer, or raise loss.color_weight"),
}
_EPSILON = 1e-8  # keeps the energies of a constant picture finite
_INVISIBLE = 1e-3  # a screen with less than this part of the variance cannot be seen
_PATCH = 8
_TILE = 64  # pixels a side, of the spectra that show repetition
_SHORTEST_PERIOD, _LONGEST_PERIOD = 5, 64 / 3  # pixels
_ENOUGH = 8  # pictures, to tell a painter's border from theirs
_FAINT = 1e-3  # a variance below which there is no contrast to compare
_FLATTEST = 0.35  # part of the photographs' tiles in which a painter has nothing to go by


def find_defects(painted: Tensor, photographs: Tensor, style: Tensor, stride: int = 4) -> dict[str, float]:
    """Measure each of `DEFECTS` over a set of paintings; a figure above its limit is one that people see.

    Args:
        painted, photographs: (N, 3, H, W) in [0, 1], the paintings and what they were painted from, H and W at least
            64.
        style: (3, H', W') in [0, 1], the style picture.
        stride: the painter's; defects of upsampling repeat with it.

    Returns:
        screen: energy of a one-pixel checkerboard over the style's own.
        grid: part of the variance in patterns that repeat with the stride, less the style's own.
        repetition: how far the strongest wave, of periods of 5 to 21 pixels, stands out from the others of its length
            where the photographs are flat, over the same figure of the style picture or of the photographs, whichever
            is larger.
        blobs: part of the area that is flat and saturated, above the style's and the photographs' own.
        border: how far the border's mean colour, or the logarithm of its contrast, is from that further inside, beyond
            what it is in the photographs.
        drift: distance between the mean colours of the paintings and of the style picture.

    All are infinite where a painting holds values that are not finite.
    """
    if not torch.isfinite(painted).all():
        return dict.fromkeys(DEFECTS, float("inf"))
    style = style[None]
    own = screen_energy(style).clamp_min(_INVISIBLE).item()
    return {
        "screen": screen_energy(painted).mean().item() / own,
        "grid": max(0.0, _grid_part(painted, stride) - _grid_part(style, stride)),
        "repetition": _repetition(painted, photographs, style),
        "blobs": max(0.0, _flat_part(painted) - max(_flat_part(style), _flat_part(photographs))),
        "border": _border_step(painted, photographs),
        "drift": (painted.mean(dim=(0, 2, 3)) - style.mean(dim=(0, 2, 3))).norm().item(),
    }


def visible_defects(figures: dict[str, float]) -> list[str]:
    """Return the names of the figures that are above their limits; not finite counts as above."""
    return [name for name, defect in DEFECTS.items() if name in figures and not figures[name] <= defect.limit]


def screen_energy(image: Tensor) -> Tensor:
    """How much of a picture is a one-pixel checkerboard, per image: (N, 3, H, W) -> (N,).

    The mean square of the response to [[1, -1], [-1, 1]] / 4 on grey, over the variance of the grey picture. 1 for a
    checkerboard, 1/4 for white noise, far less for photographs. Perceptual losses reward such a screen, eyes do not.
    """
    grey = image.float().mean(dim=1, keepdim=True)
    kernel = torch.tensor([[1.0, -1.0], [-1.0, 1.0]], device=image.device).view(1, 1, 2, 2) / 4
    return F.conv2d(grey, kernel).square().mean(dim=(1, 2, 3)) / (grey.var(dim=(1, 2, 3), unbiased=False) + _EPSILON)


def grid_energy(image: Tensor, stride: int, cells: int = 8) -> Tensor:
    """How much of a picture repeats with `stride` over `cells` periods, per image: (N, 3, H, W) -> (N,).

    The mean square, on grey, of the local means of the pixels at equal places of their cells, less their common mean,
    over the variance of the grey picture. 1 for a small tile repeated, about 1 / cells² for white noise. In a flat area
    a network without noise can paint nothing else, and the style loss rewards even that. H and W at least `stride`;
    what is more than a multiple is left out.
    """
    height, width = (side - side % stride for side in image.shape[-2:])
    grey = image[..., :height, :width].float().mean(dim=1, keepdim=True)
    places = F.pixel_unshuffle(grey, stride)
    window = (min(cells, places.shape[-2]), min(cells, places.shape[-1]))
    places = F.avg_pool2d(places, window, stride=max(1, cells // 2))
    repeated = (places - places.mean(dim=1, keepdim=True)).square().mean(dim=(1, 2, 3))
    return repeated / (grey.var(dim=(1, 2, 3), unbiased=False) + _EPSILON)


def _grid_part(images: Tensor, stride: int) -> float:
    """The part of the variance in lines of the mean power spectrum at multiples of 1 / stride,
    their surroundings deducted.
    """
    height, width = (side - side % stride for side in images.shape[-2:])
    grey = images[..., :height, :width].mean(dim=1)
    grey = grey - grey.mean(dim=(1, 2), keepdim=True)
    window = torch.hann_window(height)[:, None] * torch.hann_window(width)  # else borders leak along the axes
    power = torch.fft.fft2(grey * window.to(grey)).abs().square().mean(dim=0)
    lines, elsewhere = 0.0, {(0, 0), (stride // 2, stride // 2)}  # the mean, and the screen, which is measured apart
    for i in range(stride):
        for j in range(stride):
            if (i, j) not in elsewhere:
                around = power.roll((5 - i * height // stride, 5 - j * width // stride), (0, 1))[:11, :11]
                # The window spreads a line over 3 x 3 frequencies.
                lines += max(0.0, (around[4:7, 4:7].sum() - 9 * around.median()).item())
    return lines / max(power.sum().item(), 1e-12)


def _repetition(painted: Tensor, photographs: Tensor, style: Tensor) -> float:
    flat = _tiles(photographs).flatten(1).std(dim=1)
    chosen = flat <= flat.quantile(_FLATTEST)
    own = max(_strongest_wave(_tiles(photographs)[chosen]), _strongest_wave(_tiles(style)))
    return _strongest_wave(_tiles(painted)[chosen]) / own


def _tiles(images: Tensor) -> Tensor:
    """Overlapping squares of the grey pictures: (N, 3, H, W) -> (tiles, side, side)."""
    grey = images.mean(dim=1)
    side = min(_TILE, *grey.shape[1:])
    return grey.unfold(1, side, side // 2).unfold(2, side, side // 2).reshape(-1, side, side)


def _strongest_wave(tiles: Tensor) -> float:
    """Power of the strongest wave over the median of those as long, in the tiles' mean spectrum:
    what differs from tile to tile averages out.
    """
    side = tiles.shape[-1]
    window = (torch.hann_window(side)[:, None] * torch.hann_window(side)).to(tiles)
    tiles = tiles - (tiles * window).sum(dim=(1, 2), keepdim=True) / window.sum()
    power = torch.fft.fft2(tiles * window).abs().square()
    frequency = torch.fft.fftfreq(side, 1 / side, device=tiles.device)
    length = torch.hypot(frequency[:, None], frequency)
    band = (length >= side / _LONGEST_PERIOD) & (length <= side / _SHORTEST_PERIOD)
    power = (power / power[:, band].sum(dim=1)[:, None, None].clamp_min(1e-12)).mean(dim=0)
    # The window spreads a wave over 3 x 3 frequencies.
    power = F.avg_pool2d(F.pad(power[None, None], (1, 1, 1, 1), mode="circular"), 3, stride=1)[0, 0]
    rings, power = length.round().long()[band], power[band]
    usual = torch.stack(
        [power[rings == ring].median() for ring in range(side)]
    )  # not a number where no wave is so long
    return (power / usual[rings].clamp_min(1e-12)).max().item()


def _flat_part(images: Tensor) -> float:
    """The part of all patches that show one colour whose every channel is at its end."""
    spread = F.max_pool2d(images, _PATCH) + F.max_pool2d(-images, _PATCH)
    level = F.avg_pool2d(images, _PATCH)
    saturated = (level < 0.03) | (level > 0.97)
    return ((spread < 0.04) & saturated).all(dim=1).float().mean().item()


def _border_step(painted: Tensor, photographs: Tensor) -> float:
    """How far a band along the border stands off what is inside, in colour or in contrast, less what it does in the
    photographs. Over pictures their content averages out; a few say little.
    """
    own, given = (_border_statistics(images) for images in (painted, photographs))
    color, contrast = ((ours - theirs).mean(dim=0).norm().item() for ours, theirs in zip(own, given, strict=True))
    return max(color, contrast) * min(1.0, len(painted) / _ENOUGH) ** 0.5


def _border_statistics(images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean colours of the outermost band less those of a ring well inside it, (N, 3), and the logarithm of the ratio of
    their contrasts, (N, 1).
    """
    height, width = images.shape[-2:]
    down, across = (torch.arange(side, device=images.device) for side in (height, width))
    down, across = torch.minimum(down, height - 1 - down), torch.minimum(across, width - 1 - across)
    distance = torch.minimum(down[:, None], across)
    band = max(2, min(height, width) // 40)
    (mean, contrast), (inner_mean, inner_contrast) = (
        (pixels.mean(dim=2), (pixels.var(dim=2).sum(dim=1, keepdim=True) + _FAINT).sqrt())
        for pixels in (images[..., distance < band], images[..., (distance >= 3 * band) & (distance < 6 * band)])
    )
    return mean - inner_mean, (contrast / inner_contrast).log()
