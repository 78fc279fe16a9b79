"""Paintings laid on a photograph where masks say so: dials and a mask for one painter, or a painter for each region."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from impasto.dials.dials import Dials
from impasto.dials.masks import compose, compose_regions, feathered
from impasto.errors import UsageError

Settle = Callable[[np.ndarray], np.ndarray]  # what becomes of a painting before dials mix it with its photograph
Deviation = tuple[float, float]  # as of `Painted`
_GRID = 32  # pixels that the box of a region is rounded to, so that it moves by whole strides from frame to frame
_AROUND = 32  # pixels around a region that its painter sees
_EXACT: Deviation = (0.0, 0.0)


class Painted(NamedTuple):
    """Pictures that were painted.

    Attributes:
        pixels: (N, H, W, 3), uint8 or float32 in [0, 1] as the photographs were.
        deviation: how far the statistics of a thumbnail were off, in standard deviations, mean and maximum over the
            norms, the largest of the batch; 0 where the statistics are exact.
    """

    pixels: np.ndarray
    deviation: Deviation = _EXACT


ForwardPass = Callable[[np.ndarray], Painted]  # over (N, H, W, 3)


def as_painted(layer: int, corner: tuple[int, int]) -> Settle:
    """Return what leaves paintings as they are, of every layer."""
    return lambda painting: painting


def paint_with(
    forward: ForwardPass,
    batch: np.ndarray,
    dials: Dials,
    masks: np.ndarray | None = None,
    *,
    side: int | None = None,
    settle: Settle = lambda painting: painting,
) -> Painted:
    """Paint pictures with dials and lay the paintings on them along masks; an empty mask needs no painter.

    Args:
        batch: (N, H, W, 3), uint8 or float32 in [0, 1].
        masks: (N, H, W) in [0, 1]; None paints everywhere.
        side, settle: as for `Dials.paint`.

    Returns:
        Pixels as in `batch`, untouched where the mask is 0, and the largest deviation of `forward`.

    Raises:
        UsageError: not a mask for each picture.
    """
    deviations = [_EXACT]

    def pixels_of(pictures: np.ndarray) -> np.ndarray:
        painted = forward(pictures)
        deviations.append(painted.deviation)
        return painted.pixels

    if masks is not None and (not isinstance(masks, np.ndarray) or masks.shape != batch.shape[:3]):
        shape = getattr(masks, "shape", type(masks).__name__)
        raise UsageError(f"masks of {shape} for pictures of {batch.shape[:3]}; give (N, H, W)")
    if masks is not None and not masks.any():
        return Painted(batch)
    pixels = dials.paint(pixels_of, batch, side=side, settle=settle)
    if masks is not None:
        pixels = np.stack([compose(*each) for each in zip(batch, pixels, masks, strict=True)])
    return Painted(pixels, _largest(deviations))


def paint_regions(
    photograph: np.ndarray,
    base: tuple[np.ndarray | None, ForwardPass, Dials],
    regions: Sequence[tuple[np.ndarray, ForwardPass, Dials]],
    settle: Callable[[int, tuple[int, int]], Settle] = as_painted,
) -> Painted:
    """Paint each region of a photograph with a painter of its own, and what none of them covers with the base's.

    A painter sees the box around its region alone, so that its statistics are the region's. A region gets a soft edge
    inside its mask, and a later one lies on the earlier ones.

    Args:
        photograph: (H, W, 3), uint8 or float32 in [0, 1].
        base: a mask (H, W) in [0, 1], or None for everywhere; a painter; and its dials.
        regions: the same, each with a mask.
        settle: returns what `paint_with` takes, for the base's painting (layer 0) and the regions', and the row and the
            column at which each begins.

    Returns:
        Pixels of the same kind, and the largest deviation of the painters.
    """
    softened = [(feathered(mask), forward, dials) for mask, forward, dials in regions]
    ground = np.ones(photograph.shape[:2], np.float32) if base[0] is None else base[0]
    left = np.float32(1) - sum((mask for mask, _, _ in softened), np.zeros_like(ground))
    layers, deviations = [], [_EXACT]
    if (np.minimum(ground, left) > 0).any():
        pixels, deviation = paint_with(base[1], photograph[None], base[2], settle=settle(0, (0, 0)))
        layers.append((ground, pixels[0]))
        deviations.append(deviation)
    for layer, (mask, forward, dials) in enumerate(softened, 1):
        if not mask.any():
            continue
        box = _box_around(mask)
        pixels, deviation = paint_with(
            forward, photograph[box][None], dials, side=max(photograph.shape[:2]),
            settle=settle(layer, (box[0].start, box[1].start)),
        )  # fmt: skip
        painting = photograph.copy()
        painting[box] = pixels[0]
        layers.append((mask, painting))
        deviations.append(deviation)
    return Painted(compose_regions(photograph, layers) if layers else photograph, _largest(deviations))


def _largest(deviations: Sequence[Deviation]) -> Deviation:
    return max(mean for mean, _ in deviations), max(most for _, most in deviations)


def _box_around(mask: np.ndarray) -> tuple[slice, slice]:
    """Return the rows and the columns in which a mask (H, W) is not 0, with what its painter sees around them."""
    sides = []
    for axis, length in enumerate(mask.shape):
        where = np.flatnonzero(mask.any(axis=1 - axis))
        start = max(0, int(where[0]) - _AROUND) // _GRID * _GRID
        stop = min(length, -(-(int(where[-1]) + 1 + _AROUND) // _GRID) * _GRID)
        sides.append(slice(start, stop))
    return sides[0], sides[1]
