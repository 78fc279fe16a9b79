"""How much a painted clip flickers, beyond what the photographs do themselves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from impasto.errors import VideoError, counted
from impasto.inference.video.flow import Motion, motion_between, warped

LEAST_TRUSTED = 0.3  # of the pixels: with fewer, two frames show different things, as at a cut


@dataclass(frozen=True)
class Flicker:
    """What `flicker` measured, in levels of 255.

    Attributes:
        flicker: of the whole clip: the root of the mean over the pairs of (painting² - photograph²), 0 where that is
            negative.
        painting: root mean square of the warped differences of the paintings.
        photograph: the same of the photographs, over the same pixels: noise, changes of light, errors of the flow.
        per_frame: flicker of each pair of successive frames; None where they show different things, as at a cut.
        trusted: mean share of the pixels that were compared.
        frames: how many.
    """

    flicker: float
    painting: float
    photograph: float
    per_frame: tuple[float | None, ...]
    trusted: float
    frames: int

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "per_frame": list(self.per_frame)}


def flicker(frames: Iterable[tuple[np.ndarray, np.ndarray]], motions: Iterable[Motion] | None = None) -> Flicker:
    """Measure how much the paintings of successive frames differ, once moved onto each other.

    With w the flow of the photographs from frame t to the next, D(x) = painting[t + 1](x + w(x)) - painting[t](x), and
    P² is the mean of D² over the three channels and over all pixels that can be trusted: those that do not get
    covered, lie at no boundary of two motions and do not leave the picture. S² is the same of the photographs. What
    noise and light do to the photographs is not held against the painter: flicker² = P² - S², as variances of
    independent causes add up. So a painter whose every painting has noise of deviation s flickers by √2 s, and one
    that hands over the photographs by 0.

    Args:
        frames: photographs and their paintings, (H, W, 3) uint8, all of one size; an iterator, of which two frames
            are kept.
        motions: from each frame to the next one, one fewer than frames; by default found by DIS.

    Raises:
        VideoError: fewer than two frames, no two that belong together, or sizes that differ; OpenCV is missing.
    """
    return flickers(((photograph, [painting]) for photograph, painting in frames), motions)[0]


def flickers(
    frames: Iterable[tuple[np.ndarray, Sequence[np.ndarray]]], motions: Iterable[Motion] | None = None
) -> list[Flicker]:
    """Measure several painters of the same frames at once, as `flicker` does; one result for each."""
    given = None if motions is None else iter(motions)
    before: tuple[np.ndarray, Sequence[np.ndarray]] | None = None
    squares: list[list[float]] = []  # of each pair: of the photograph, and of each painting
    shares: list[float] = []
    number = 0
    for number, (photograph, paintings) in enumerate(frames, 1):
        _check(photograph, paintings)
        if before is not None:
            motion = motion_between(before[0], photograph) if given is None else next(given, None)
            if motion is None:
                raise VideoError(f"{number} frames or more, and {number - 2} motions; give one fewer than frames")
            earlier, later = [before[0], *before[1]], [photograph, *paintings]
            squares.append([_square(*pair, motion) for pair in zip(earlier, later, strict=True)])
            shares.append(float(motion.trusted.mean()))
        before = photograph, paintings
    if number < 2:
        raise VideoError(f"{counted(number, 'frame') if number else 'no frames'} cannot flicker; give two or more")
    return _results(np.array(squares), np.array(shares))


def _check(photograph: np.ndarray, paintings: Sequence[np.ndarray]) -> None:
    for painting in paintings:
        if painting.shape != photograph.shape:
            sizes = ["{1} x {0}".format(*each.shape) for each in (painting, photograph)]
            raise VideoError(f"a painting of {sizes[0]} and a photograph of {sizes[1]} pixels; give the same size")


def _square(earlier: np.ndarray, later: np.ndarray, motion: Motion) -> float:
    """Return the mean square of the warped difference where the motion can be trusted; 0 where that is nowhere."""
    if not motion.trusted.any():
        return 0.0
    difference = (warped(later, motion.flow) - earlier)[motion.trusted]
    return float(np.square(difference).mean(dtype=np.float64))


def _results(squares: np.ndarray, shares: np.ndarray) -> list[Flicker]:
    counted = shares >= LEAST_TRUSTED
    if not counted.any():
        raise VideoError("no two successive frames show the same; give frames that follow each other")
    own, found = squares[:, 0], []
    for painting in squares[:, 1:].T:
        beyond = painting - own
        each = [_root(value) if counts else None for value, counts in zip(beyond, counted, strict=True)]
        means = (float(values[counted].mean()) for values in (beyond, painting, own, shares))
        mean, of_painting, of_photograph, trusted = means
        found.append(
            Flicker(_root(mean), _root(of_painting), _root(of_photograph), tuple(each), trusted, len(shares) + 1)
        )
    return found


def _root(square: float) -> float:
    return float(max(0.0, square)) ** 0.5
