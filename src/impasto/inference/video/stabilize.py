"""Paintings of successive frames held still: what was painted stays, moved along with what it shows.

A painting is held for `period` frames. Then the next one fades in over as many. Both are moved from frame to frame
along the flow of the photographs. So at most two paintings are mixed at any time, and a mixture of few stays sharp;
what detail it loses it gets back.
What the flow does not explain is taken from the new painting at once. With each painting goes what its photograph
looked like: where that, moved along, differs from the photograph now, small errors of the flow have added up, or the
light has changed.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from impasto.errors import UsageError
from impasto.inference.video.flow import (
    Motion,
    dense_flow,
    is_consistent,
    is_inside,
    opencv,
    places,
    sampled,
    warped,
)
from impasto.system.choices import DEFAULT_STABILIZE

_LONGER_SIDE = 960  # of the frames between which flow is searched; larger ones are reduced
_ALIKE, _OTHER = (
    10.0,
    40.0,
)  # levels between photographs below which the earlier painting stays, and above which it goes
_NEIGHBOURHOOD = 1.5  # pixels over which that difference is averaged: sensor noise is no change
_SLACK = 1.0  # of the flow back: twice what the measure allows, as the photographs have their say, too
_SPECK = 9  # pixels: narrower places without consistent flow are left to the photographs
_SEAM = 5  # pixels over which an earlier painting passes into a new one: a hard edge would be seen
_SAME, _DRIFTED = 6.0, 20.0  # the same of the photograph that was moved along with a painting, averaged over _AROUND
_AROUND = 2.0  # pixels
_DETAIL, _MOST_GAIN = 1.5, 1.25  # pixels of what is blur and no detail; what detail is raised to at most
_CUT = 0.4  # of the pixels: with fewer trusted, another scene begins
_LONGEST = 50  # frames that a painting is held


class Stabilizer:
    """Holds the paintings of one clip still.

    Call `follow` with each photograph before it is painted, then `settle` with what was painted of it. The flow is
    searched in a thread of its own meanwhile.

    Args:
        amount: the share of each frame that is held from the frames before, from 0 (nothing) to 1: a painting is held
            for 1 / (1 - amount) frames, at most 50.

    Raises:
        UsageError: an amount out of its range.
        VideoError: OpenCV is missing.
    """

    def __init__(self, amount: float = DEFAULT_STABILIZE):
        if not 0 <= amount <= 1:
            raise UsageError(f"stabilize {amount!r}: give a number from 0 to 1")
        opencv()
        self.amount, self.period = amount, round(min(_LONGEST, 1 / max(1 - amount, 1 / _LONGEST)))
        self.frames, self.cuts, self._held = 0, 0, 0.0
        self._others: list[Stabilizer] = []
        self._worker = ThreadPoolExecutor(1, "flow")
        self._photograph: np.ndarray | None = None
        self._motion: Future[Motion | None] | None = None
        self._layers: dict[int, _Layer] = {}

    def follow(self, photograph: np.ndarray) -> None:
        """Begin with the next frame, (H, W, 3) uint8."""
        if self._motion:
            self._motion.cancel()  # nobody asked for it, as where a mask is empty: such ones would pile up
        earlier, self._photograph = self._photograph, photograph
        self._motion = self._worker.submit(_motion_back, earlier, photograph)
        self.frames += 1

    def settle(self, painting: np.ndarray, *, layer: int = 0, corner: tuple[int, int] = (0, 0)) -> np.ndarray:
        """Return a painting of the frame with what is held of earlier ones.

        Args:
            painting: (H, W, 3) uint8, of the whole photograph or of a part of it.
            layer: which of several painters painted it.
            corner: row and column of the photograph at which the part begins.
        """
        assert self._motion is not None
        motion, known = self._motion.result(), self._layers.get(layer)
        new = self._with_photograph(painting, corner)
        is_next = known is not None and known.frame == self.frames - 1
        if motion is None or known is None or not is_next:
            self.cuts += is_next and layer == min(self._layers)
            known = self._layers[layer] = _Layer(new, new, corner)
        else:
            self._held += float(motion.trusted.mean()) if layer == min(self._layers) else 0.0
            known.move(motion, new, corner, self.period)
        known.frame = self.frames
        return _as_sharp(known.mixed(self.period), new)

    def _with_photograph(self, painting: np.ndarray, corner: tuple[int, int]) -> np.ndarray:
        """Return (H, W, 4) float32: the painting, and the lightness of what it shows."""
        assert self._photograph is not None
        rows, columns = (slice(start, start + side) for start, side in zip(corner, painting.shape[:2], strict=True))
        seen = opencv().cvtColor(np.ascontiguousarray(self._photograph[rows, columns]), opencv().COLOR_RGB2GRAY)
        return np.dstack([painting, seen]).astype(np.float32)

    def another(self) -> Stabilizer:
        """Return one for another painter of the same clip; `to_dict` counts what it does."""
        self._others.append(Stabilizer(self.amount))
        return self._others[-1]

    def to_dict(self) -> dict[str, Any]:
        """Return the amount, the mean share of the pixels that were held, and the number of cuts, for a report."""
        at_work = [each for each in (self, *self._others) if each.frames]
        cuts = sum(each.cuts for each in at_work)
        pairs = sum(each.frames - 1 for each in at_work) - cuts
        held = round(sum(each._held for each in at_work) / pairs, 4) if pairs > 0 else 0.0
        return {"amount": self.amount, "held": held, "cuts": cuts}


def stabilized(
    paint: Callable[[np.ndarray], np.ndarray], amount: float = DEFAULT_STABILIZE
) -> Callable[[np.ndarray], np.ndarray]:
    """Return what paints the frames of a clip, one after the other, as `paint` does, and holds the paintings still.

    Args:
        paint: takes a frame (H, W, 3) uint8 and returns its painting, such as `impasto.load("wave")`.
        amount: as for `Stabilizer`.
    """
    if amount == 0:
        return paint
    stabilizer = Stabilizer(amount)

    def paint_next(frame: np.ndarray) -> np.ndarray:
        stabilizer.follow(frame)
        return stabilizer.settle(paint(frame))

    return paint_next


@dataclass
class _Layer:
    """Two paintings with what they show, (H, W, 4) float32: the later one fades in over the earlier one."""

    earlier: np.ndarray
    later: np.ndarray
    corner: tuple[int, int]
    age: int = 0  # frames since the later one was painted; 0 for a clip's or a scene's first
    frame: int = 0

    def move(self, motion: Motion, new: np.ndarray, corner: tuple[int, int], period: int) -> None:
        """Go on to the next frame, of which there is a new painting."""
        x, y, trusted = self._places(motion, new.shape[:2], corner)
        is_over = self.age in (0, period)

        def moved(picture: np.ndarray) -> np.ndarray:
            held = sampled(picture, x, y, sharp=True)
            np.clip(held, 0, 255, out=held)
            held -= new
            held *= (trusted * _alike(held[..., 3]))[..., None]
            held += new
            return held

        self.earlier = moved(self.later if is_over else self.earlier)
        self.later, self.age = (new, 1) if is_over else (moved(self.later), self.age + 1)
        self.corner = corner

    def _places(
        self, motion: Motion, size: tuple[int, ...], corner: tuple[int, int]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return where the pixels of a part were in the earlier part, x and y, and how far each is trusted."""
        rows, columns = (slice(start, start + side) for start, side in zip(corner, size, strict=True))
        x, y = (each[rows, columns] for each in places(motion.flow))
        trusted = motion.trusted[rows, columns]
        if self.earlier.shape[:2] == motion.trusted.shape and size == motion.trusted.shape:
            return x, y, trusted
        height, width = self.earlier.shape[:2]
        x, y = x - np.float32(self.corner[1]), y - np.float32(self.corner[0])
        was_there = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
        return x, y, trusted * was_there

    def mixed(self, period: int) -> np.ndarray:
        """Return the painting of now: (H, W, 3) float32."""
        share = np.float32(self.age / period)
        return self.earlier[..., :3] + share * (self.later[..., :3] - self.earlier[..., :3])


def _as_sharp(mixed: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Return a mixture of paintings, its detail raised to that of the new painting as far as it is weaker: uint8."""
    own = _gradient_energy(mixed)
    gain = min(_MOST_GAIN, (_gradient_energy(new) / own) ** 0.5) if own > 0 else 1.0
    if gain > 1:
        mixed = mixed + np.float32(gain - 1) * (mixed - opencv().GaussianBlur(mixed, (0, 0), _DETAIL))
        np.clip(mixed, 0, 255, out=mixed)
    return np.rint(mixed).astype(np.uint8)


def _gradient_energy(picture: np.ndarray) -> float:
    grey = picture[..., :3] @ np.full(3, 1 / 3, np.float32)
    return sum(float(np.square(np.diff(grey, axis=axis)).sum()) for axis in (0, 1))


def _motion_back(earlier: np.ndarray | None, photograph: np.ndarray) -> Motion | None:
    """Return where each pixel was in the earlier photograph, and how far that is trusted, (H, W) float32 in [0, 1].

    None for the first photograph of a scene.
    """
    if earlier is None or earlier.shape != photograph.shape:
        return None
    cv2 = opencv()
    height, width = photograph.shape[:2]
    scale = min(1.0, _LONGER_SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    before, now = earlier, photograph
    if scale < 1:
        before, now = (cv2.resize(each, size, interpolation=cv2.INTER_AREA) for each in (earlier, photograph))
    flow = dense_flow(now, before, quick=True)
    trusted = _trust(flow, before, now)
    if trusted.mean() < _CUT:
        return None
    if scale < 1:
        shape = np.array([width / flow.shape[1], height / flow.shape[0]], np.float32)
        flow = cv2.resize(flow, (width, height), interpolation=cv2.INTER_LINEAR) * shape
        trusted = cv2.resize(trusted, (width, height), interpolation=cv2.INTER_LINEAR)
    return Motion(flow, trusted)


def _trust(flow: np.ndarray, earlier: np.ndarray, photograph: np.ndarray) -> np.ndarray:
    """Weigh where the flow leads: by whether it leads back, and by how well the photographs agree."""
    cv2 = opencv()
    back = dense_flow(earlier, photograph, quick=True)
    difference = np.abs(warped(earlier, flow) - photograph).max(axis=-1)
    difference = cv2.GaussianBlur(difference, (0, 0), _NEIGHBOURHOOD)
    alike = np.clip((_OTHER - difference) / (_OTHER - _ALIKE), 0, 1)
    return np.minimum(alike, _feathered(is_inside(flow) & is_consistent(flow, back, _SLACK)))


def _alike(difference: np.ndarray) -> np.ndarray:
    """Weigh a difference of lightness, (H, W): 1 where it is small."""
    off = np.abs(opencv().GaussianBlur(difference, (0, 0), _AROUND))
    return np.clip((_DRIFTED - off) / (_DRIFTED - _SAME), 0, 1)


def _feathered(mask: np.ndarray) -> np.ndarray:
    """Return a mask (H, W) of bool without its specks and with a soft edge inside it, float32 in [0, 1]."""
    cv2 = opencv()
    whole = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((_SPECK, _SPECK), np.uint8))
    inner = cv2.erode(whole, np.ones((_SEAM, _SEAM), np.uint8))
    return cv2.GaussianBlur(inner.astype(np.float32), (_SEAM, _SEAM), 0) * whole
