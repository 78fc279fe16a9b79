"""A painter with its dials, its masks and its helpers for single regions, set once for many photographs and clips."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from impasto.dials.dials import Dials
from impasto.images.convert import check_batch
from impasto.inference.mask_files import MaskOf, Masks, Source
from impasto.inference.regions import Painted, Settle, as_painted, paint_regions, paint_with
from impasto.inference.stylizer import Stylizer

if TYPE_CHECKING:
    from impasto.inference.video.stabilize import Stabilizer


class Region(NamedTuple):
    """Where another painter paints, and with which dials; `digest` is that of its style model's file."""

    masks: Masks
    painter: Stylizer
    dials: Dials
    digest: str


class HandsOfFrames:
    """Paints the frames of one clip, each along its own masks: a `FilmPainter`."""

    def __init__(
        self, hands: Hands, own: MaskOf | None, others: Sequence[MaskOf], stabilizer: Stabilizer | None = None
    ):
        self._hands, self._own, self._others, self._stabilizer = hands, own, others, stabilizer
        self._next = 0
        self.counts_frames = own is not None or bool(others)

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        return self.paint_at(pixels, self._next)

    def paint_at(self, pixels: np.ndarray, number: int, moment: object = None) -> np.ndarray:
        self._next, size = number + 1, (pixels.shape[0], pixels.shape[1])
        own = None if self._own is None else self._own(number, size)
        return self._hands.paint_masked(pixels, own, [other(number, size) for other in self._others], self._stabilizer)

    def forget(self) -> None:
        """Free what is kept of the frames; the next one begins anew."""
        if self._stabilizer:
            self._stabilizer.forget()


class Hands:
    """Paints pictures and frames.

    Args:
        painter: of all that no region covers.
        dials: of that painter.
        masks: where it paints; None for everywhere.
        regions: painters of their own; a later one lies on the earlier ones.
    """

    def __init__(self, painter: Stylizer, dials: Dials, masks: Masks | None = None, regions: Sequence[Region] = ()):
        self.painter, self.dials, self.masks, self.regions = painter, dials, masks, tuple(regions)

    @property
    def are_plain(self) -> bool:
        """Whether the painter paints everything as it is."""
        return self.dials.is_neutral and self.masks is None and not self.regions

    def paint(self, pixels: np.ndarray, source: Source) -> Painted:
        """Paint the pixels (H, W, 3) of a photograph; the result's are (1, H, W, 3).

        Raises:
            ImpastoError: a mask is missing or cannot be read; or as of `Stylizer.paint`.
        """
        size = pixels.shape[0], pixels.shape[1]
        own = None if self.masks is None else self.masks.of(source, size)
        return self._paint(pixels, own, [region.masks.of(source, size) for region in self.regions])

    def frames(self, source: Source, stabilizer: Stabilizer | None = None) -> Callable[[np.ndarray], np.ndarray]:
        """Return what paints the frames (H, W, 3) of a clip, one after the other; raises as `paint`.

        A stabilizer holds the paintings still before dials and masks mix them with the photograph.
        """
        if self.are_plain and stabilizer is None:
            return self.painter
        own = None if self.masks is None else self.masks.of_frames(source)
        return HandsOfFrames(self, own, [region.masks.of_frames(source) for region in self.regions], stabilizer)

    def paint_masked(
        self,
        pixels: np.ndarray,
        own: np.ndarray | None,
        others: Sequence[np.ndarray],
        stabilizer: Stabilizer | None = None,
    ) -> np.ndarray:
        """Paint a frame (H, W, 3) along the masks that it has."""
        settle = as_painted if stabilizer is None else _begun(stabilizer, pixels)
        return self._paint(pixels, own, others, settle).pixels[0]

    def _paint(
        self,
        pixels: np.ndarray,
        own: np.ndarray | None,
        others: Sequence[np.ndarray],
        settle: Callable[[int, tuple[int, int]], Settle] = as_painted,
    ) -> Painted:
        if not others:
            batch, masks = pixels[None], None if own is None else own[None]
            check_batch(batch)
            return paint_with(self.painter.paint_plainly, batch, self.dials, masks, settle=settle(0, (0, 0)))
        regions = [
            (mask, region.painter.paint_plainly, region.dials)
            for mask, region in zip(others, self.regions, strict=True)
        ]
        painted, deviation = paint_regions(pixels, (own, self.painter.paint_plainly, self.dials), regions, settle)
        return Painted(painted[None], deviation)

    def settings(self, common: str, source: Source) -> str:
        """Return all that decides on the result of a source: `common`, dials, and the bytes of masks; raises as
        `paint`.
        """
        if self.are_plain:
            return common
        mine = None if self.masks is None else self.masks.digest(source)
        regions = [[each.masks.digest(source), each.dials.to_dict(), each.digest] for each in self.regions]
        text = json.dumps([common, self.dials.to_dict(), mine, regions], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Return the dials for a report; empty where nothing is set."""
        if self.are_plain:
            return {}
        regions = [{"style": each.painter.name, **each.dials.to_dict()} for each in self.regions]
        return {**self.dials.to_dict(), "masked": self.masks is not None, "regions": regions}


def _begun(stabilizer: Stabilizer, frame: np.ndarray) -> Callable[[int, tuple[int, int]], Settle]:
    """Begin with the next frame; return what holds a layer's painting of it, (1, H, W, 3), still."""
    stabilizer.follow(frame)
    return lambda layer, corner: lambda painting: stabilizer.settle(painting[0], layer=layer, corner=corner)[None]
