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
from typing import Any, NamedTuple

import numpy as np

from impasto.errors import UsageError
from impasto.inference.video.flow import dense_flow, is_consistent, is_inside, opencv, places, sampled, warped
from impasto.system.choices import DEFAULT_STABILIZE

# Flow and trust belong to reduced frames: what is searched and weighed there costs a fifth.
_SCALE, _SIDES = 0.45, (192, 432)  # what is left of a side; pixels of the longer one, at least and at most
_ALIKE, _OTHER = (
    10.0,
    40.0,
)  # levels between photographs below which the earlier painting stays, and above which it goes
_NEIGHBOURHOOD = 0.75  # reduced pixels over which that difference is averaged: sensor noise is no change
_SLACK = 0.2  # reduced pixels², of the flow back: twice what the measure allows, as the photographs have their say, too
_SPECK = 5  # reduced pixels: narrower places without consistent flow are left to the photographs
_SEAM = 3  # reduced pixels over which an earlier painting passes into a new one: a hard edge would be seen
_SAME, _DRIFTED = 6.0, 20.0  # the same of the photograph that was moved along with a painting, averaged over _AROUND
_AROUND = 1.0  # reduced pixels
_DETAIL, _MOST_GAIN = 7, 1.25  # pixels of the square whose mean is no detail; what detail is raised to at most
_CUT = 0.4  # of the pixels: with fewer trusted, another scene begins
_LONGEST = 50  # frames that a painting is held


class _Motion(NamedTuple):
    """How a frame comes from the one before, float32.

    Attributes:
        x, y: where each pixel was, (H, W).
        reduced_x, reduced_y: the same of the reduced frames, (h, w).
        trusted: how far that is trusted, (h, w) in [0, 1].
    """

    x: np.ndarray
    y: np.ndarray
    reduced_x: np.ndarray
    reduced_y: np.ndarray
    trusted: np.ndarray


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
        self._size: tuple[int, ...] = ()
        self._photograph: np.ndarray | None = None  # reduced
        self._seen: np.ndarray | None = None  # its lightness
        self._motion: Future[_Motion | None] | None = None
        self._layers: dict[int, _Layer] = {}

    def follow(self, photograph: np.ndarray) -> None:
        """Begin with the next frame, (H, W, 3) uint8."""
        if self._motion:
            self._motion.cancel()  # nobody asked for it, as where a mask is empty: such ones would pile up
        size = photograph.shape[:2]
        earlier = self._photograph if size == self._size else None
        self._size, self._photograph = size, _reduced(photograph)
        self._seen = _grey(self._photograph).astype(np.float32)
        self._motion = self._worker.submit(_motion_back, earlier, self._photograph, size)
        self.frames += 1

    def settle(self, painting: np.ndarray, *, layer: int = 0, corner: tuple[int, int] = (0, 0)) -> np.ndarray:
        """Return a painting of the frame with what is held of earlier ones.

        Args:
            painting: (H, W, 3) uint8, of the whole photograph or of a part of it.
            layer: which of several painters painted it.
            corner: row and column of the photograph at which the part begins.
        """
        assert self._motion is not None and self._seen is not None
        motion, known = self._motion.result(), self._layers.get(layer)
        new = _Picture(np.ascontiguousarray(painting, np.float32), self._seen)
        is_next = known is not None and known.frame == self.frames - 1
        if motion is None or known is None or not is_next:
            self.cuts += is_next and layer == min(self._layers)
            known = self._layers[layer] = _Layer(new, new, corner)
        else:
            self._held += float(motion.trusted.mean()) if layer == min(self._layers) else 0.0
            known.move(motion, new, corner, self.period)
        known.frame = self.frames
        return _as_sharp(known.mixed(self.period), new.painting)

    def forget(self) -> None:
        """Free what is held; the next frame begins anew. What `to_dict` counts stays."""
        if self._motion:
            self._motion.cancel()
        self._photograph, self._seen, self._motion = None, None, None
        self._layers.clear()

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


class _Picture(NamedTuple):
    """A painting (H, W, 3), and the lightness of the reduced photograph that it shows, (h, w), both float32."""

    painting: np.ndarray
    seen: np.ndarray


@dataclass
class _Layer:
    """Two paintings: the later one fades in over the earlier one."""

    earlier: _Picture
    later: _Picture
    corner: tuple[int, int]
    age: int = 0  # frames since the later one was painted; 0 for a clip's or a scene's first
    frame: int = 0

    def move(self, motion: _Motion, new: _Picture, corner: tuple[int, int], period: int) -> None:
        """Go on to the next frame, of which there is a new painting."""
        place = tuple(slice(start, start + side) for start, side in zip(corner, new.painting.shape[:2], strict=True))
        x, y, was_there = self._places(motion, place)
        is_over = self.age in (0, period)

        def moved(picture: _Picture) -> _Picture:
            seen = sampled(picture.seen, motion.reduced_x, motion.reduced_y)
            share = motion.trusted * _alike(seen - new.seen)
            share_here = _enlarged(share, motion.x.shape)[place] * was_there
            held = sampled(picture.painting, x, y, sharp=True)
            np.clip(held, 0, 255, out=held)
            return _Picture(
                opencv().blendLinear(held, new.painting, share_here, 1 - share_here),
                new.seen + share * (seen - new.seen),
            )

        self.earlier = moved(self.later if is_over else self.earlier)
        self.later, self.age = (new, 1) if is_over else (moved(self.later), self.age + 1)
        self.corner = corner

    def _places(
        self, motion: _Motion, place: tuple[slice, ...]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | np.bool_]:
        """Return where the pixels of a part were in the earlier part, x and y, and whether they were in it."""
        x, y, (height, width) = motion.x[place], motion.y[place], self.earlier.painting.shape[:2]
        if (height, width) == x.shape == motion.x.shape:
            return x, y, np.True_
        x, y = x - np.float32(self.corner[1]), y - np.float32(self.corner[0])
        return x, y, (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)

    def mixed(self, period: int) -> np.ndarray:
        """Return the painting of now: (H, W, 3) float32."""
        share = self.age / period
        return opencv().addWeighted(self.earlier.painting, 1 - share, self.later.painting, share, 0)


def _as_sharp(mixed: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Return a mixture of paintings, its detail raised to that of the new painting as far as it is weaker: uint8."""
    cv2, own = opencv(), _gradient_energy(mixed)
    gain = min(_MOST_GAIN, (_gradient_energy(new) / own) ** 0.5) if own > 0 else 1.0
    if gain <= 1:
        return cv2.convertScaleAbs(mixed)
    blurred = cv2.blur(mixed, (_DETAIL, _DETAIL))
    return cv2.addWeighted(mixed, gain, blurred, 1 - gain, 0, dtype=cv2.CV_8U)


def _gradient_energy(picture: np.ndarray) -> float:
    cv2, grey = opencv(), _grey(picture)
    pairs = ((grey[1:], grey[:-1]), (grey[:, 1:], grey[:, :-1]))
    return sum(cv2.norm(*pair, cv2.NORM_L2SQR) for pair in pairs if pair[0].size)


def _reduced(photograph: np.ndarray) -> np.ndarray:
    """Return a photograph (H, W, 3), uint8, at the size at which motion is searched, (h, w, 3)."""
    cv2 = opencv()
    height, width = photograph.shape[:2]
    longer = max(height, width)
    scale = min(1.0, float(np.clip(_SCALE * longer, *_SIDES)) / longer)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(np.ascontiguousarray(photograph), size, interpolation=cv2.INTER_AREA)


def _enlarged(plane: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Return a plane (h, w) of reduced frames at the size of the frames, (H, W)."""
    return opencv().resize(plane, (size[1], size[0]), interpolation=opencv().INTER_LINEAR)


def _grey(picture: np.ndarray) -> np.ndarray:
    return opencv().cvtColor(picture, opencv().COLOR_RGB2GRAY)


def _motion_back(earlier: np.ndarray | None, photograph: np.ndarray, size: tuple[int, int]) -> _Motion | None:
    """Return how a frame of `size` (H, W) comes from the earlier one, of reduced photographs (h, w, 3), uint8.

    None for the first photograph of a scene.
    """
    if earlier is None:
        return None
    flow = dense_flow(photograph, earlier, quick=True)
    trusted = _trust(flow, earlier, photograph)
    if trusted.mean() < _CUT:
        return None
    scales = size[1] / flow.shape[1], size[0] / flow.shape[0]
    x, y = (_enlarged(flow[..., axis] * np.float32(scale), size) for axis, scale in enumerate(scales))
    x += np.arange(size[1], dtype=np.float32)
    y += np.arange(size[0], dtype=np.float32)[:, None]
    return _Motion(x, y, *places(flow), trusted)


def _trust(flow: np.ndarray, earlier: np.ndarray, photograph: np.ndarray) -> np.ndarray:
    """Weigh where the flow leads: by whether it leads back, and by how well the photographs agree."""
    cv2 = opencv()
    back = dense_flow(earlier, photograph, quick=True, refined=False)
    red, green, blue = cv2.split(np.abs(warped(earlier, flow) - photograph))
    difference = cv2.GaussianBlur(cv2.max(cv2.max(red, green), blue), (0, 0), _NEIGHBOURHOOD)
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
