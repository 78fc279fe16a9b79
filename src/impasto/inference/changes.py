"""Several painters along one film: each from a moment of it on, the next one faded in."""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from impasto.dials.masks import compose
from impasto.errors import UsageError
from impasto.inference.hands import Hands
from impasto.inference.mask_files import Source
from impasto.inference.regions import Painted

if TYPE_CHECKING:
    from impasto.inference.video.stabilize import Stabilizer


class Cue(NamedTuple):
    """From which second of a film on somebody paints, and who."""

    start: Fraction
    hands: Hands


class ChangingHands:
    """Paints the frames of films as `Hands` does, in a style that changes with time.

    Args:
        cues: the first from 0 on, each later than the one before.
        transition: seconds from each later cue on in which the painting before fades into the new one, in Oklab; it is
            over at the next cue at the latest.
    """

    def __init__(self, cues: Sequence[Cue], transition: Fraction):
        self.cues, self.transition = tuple(cues), transition

    def paint(self, pixels: np.ndarray, source: Source) -> Painted:
        """Refuse to paint a photograph: raises UsageError."""
        raise UsageError(source, "a picture, which has no times", "give it one style, without @TIME")

    def frames(self, source: Source, stabilizer: Stabilizer | None = None) -> ChangingFrames:
        """Return what paints the frames (H, W, 3) of a clip; raises as `Hands.paint`."""
        holders = [stabilizer, *(stabilizer and stabilizer.another() for _ in self.cues[1:])]
        painters = [cue.hands.frames(source, holder) for cue, holder in zip(self.cues, holders, strict=True)]
        return ChangingFrames(list(zip((cue.start for cue in self.cues), painters, strict=True)), self.transition)

    def settings(self, common: str, source: Source) -> str:
        """Return all that decides on the result of a source, as `Hands.settings`; `common` stands for the models."""
        own = [[str(cue.start), cue.hands.settings(common, source)] for cue in self.cues]
        return hashlib.sha256(json.dumps([own, str(self.transition)]).encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Return the dials for a report; empty where nothing is set."""
        if all(cue.hands.are_plain for cue in self.cues):
            return {}
        return {"styles": [{"from": float(start), **hands.to_dict()} for start, hands in self.cues]}


class ChangingFrames:
    """Paints the frames of one clip: a `FilmPainter`."""

    def __init__(self, cues: Sequence[tuple[Fraction, Callable[[np.ndarray], np.ndarray]]], transition: Fraction):
        self._starts, self._painters = [start for start, _ in cues], [painter for _, painter in cues]
        self._transition = transition
        self.counts_frames = any(getattr(painter, "counts_frames", False) for painter in self._painters)

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        return self.paint_at(pixels, 0, Fraction(0))

    def paint_at(self, pixels: np.ndarray, number: int, moment: Fraction) -> np.ndarray:
        place, share = self.share_at(moment)
        self._forget(place if share == 1 else place - 1)
        if share == 1:
            return self._painted(place, pixels, number, moment)
        before = self._painted(place - 1, pixels, number, moment)
        return _between(before, self._painted(place, pixels, number, moment), float(share)) if share else before

    def _painted(self, place: int, pixels: np.ndarray, number: int, moment: Fraction) -> np.ndarray:
        paint_at = getattr(self._painters[place], "paint_at", None)
        return paint_at(pixels, number, moment) if paint_at else self._painters[place](pixels)

    def _forget(self, place: int) -> None:
        """Free what the painters before `place`, which are done, keep of their frames."""
        for painter in self._painters[:place]:
            if forget := getattr(painter, "forget", None):
                forget()

    def share_at(self, moment: Fraction) -> tuple[int, Fraction]:
        """Return the number of the painter at work at a second of the film, and its share beside the one before."""
        place = max(0, bisect_right(self._starts, moment) - 1)
        later = self._starts[place + 1 :]
        lasts = min(self._transition, later[0] - self._starts[place]) if later else self._transition
        if not place or moment - self._starts[place] >= lasts:
            return place, Fraction(1)
        return place, (moment - self._starts[place]) / lasts


def _between(before: np.ndarray, after: np.ndarray, share: float) -> np.ndarray:
    """Blend two paintings (H, W, 3) in Oklab; where they agree, as outside a mask, both are kept to the last bit."""
    return compose(before, after, (before != after).any(axis=2) * np.float32(share))
