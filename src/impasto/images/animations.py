"""Animated GIF, WebP and PNG: their frames one by one, with the times and the transparency that they have."""

from __future__ import annotations

import itertools
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from impasto.errors import ImageError, counted
from impasto.images.arrays import as_floats
from impasto.images.colour import fill_hidden, split_alpha, three_channels, to_srgb
from impasto.images.reading import checked_size, opened_file
from impasto.images.reasons import reason_for
from impasto.system.choices import MAX_PIXELS

_FORMATS = ("GIF", "PNG", "WEBP")
_SUFFIXES = {".gif", ".png", ".apng", ".webp"}
_UNSAID = Fraction(1, 10)  # what browsers take for a frame that says no time


@dataclass(frozen=True)
class AnimatedFrame:
    """A whole picture of an animation."""

    pixels: np.ndarray  # (H, W, 3) uint8
    alpha: np.ndarray | None  # (H, W, 1) uint8, or None when opaque
    start: Fraction  # in seconds
    duration: Fraction


@dataclass
class Animation:
    """An open animation and what is known of it."""

    source: Path
    picture: Any
    width: int
    height: int
    plays: int  # how often it is shown, 0 for ever
    expected: int | None
    damage: str | None = field(default=None)  # in one line, once the frames have been read
    _skipped: int = 0
    _lacks_end: bool = False

    def check_size(self, size: int | None, max_pixels: int) -> None:
        """Raise ImageError where frames with a longer side of `size` would have too many pixels."""
        if size and size * size * min(self.width, self.height) > max(self.width, self.height) * max_pixels:
            raise ImageError(self.source, "more pixels a frame than --max-pixels allows", "choose a smaller --size")

    def frames(self) -> Generator[AnimatedFrame]:
        """Yield the frames, up to where the file is damaged; raises ImageError where there is none."""
        start, number, is_torn = Fraction(0), self._skipped, False
        for number in itertools.count(self._skipped):
            try:
                self.picture.seek(number)
                self.picture.load()
                if self.picture.size != (self.width, self.height):
                    raise ImageError("a frame larger than the picture")
                pixels, alpha = _converted(self.picture)
            except EOFError:
                break
            except Exception as error:  # Pillow raises nearly every class there is on bad data
                if number == self._skipped:
                    raise ImageError(self.source, reason_for(error)) from error
                is_torn = True
                break
            duration = _duration(self.picture.info.get("duration"))
            yield AnimatedFrame(pixels, alpha, start, duration)
            start += duration
        done = number - self._skipped
        if not done:
            raise ImageError(self.source, "holds no frame", "get it again")
        if is_torn or self._lacks_end or (self.expected is not None and done < self.expected):
            self.damage = f"breaks off after {counted(done, 'frame')}; what came before is painted; get it again"


@contextmanager
def opened_animation(source: Path, max_pixels: int = MAX_PIXELS) -> Generator[Animation]:
    """Open an animated picture; raises ImageError."""
    with ExitStack() as stack:
        try:
            if Image.MAX_IMAGE_PIXELS is not None:  # Pillow's guard stays on behind ours, as for single pictures
                Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, max_pixels)
            picture = stack.enter_context(Image.open(stack.enter_context(opened_file(source)), formats=_FORMATS))
            checked_size(picture, max_pixels)
            animation = _described(source, picture)
        except Exception as error:  # Pillow raises nearly every class there is on bad data
            raise ImageError(source, reason_for(error)) from error
        yield animation


def _described(source: Path, picture: Image.Image) -> Animation:
    skipped = int(bool(getattr(picture, "default_image", False)))  # shown by those who know no animations
    loop = picture.info.get("loop")
    if picture.format == "GIF":  # which says how often it is repeated
        loop = 1 if loop is None else loop + 1 if loop else 0
    expected = _frames_in(source, picture)
    expected = None if expected is None else expected - skipped
    return Animation(source, picture, *picture.size, loop or 0, expected, None, skipped, _lacks_end(source, picture))


def is_animated(source: Path) -> bool:
    """Whether a file is a picture of several frames, as far as it can be read."""
    if source.suffix.lower() not in _SUFFIXES:
        return False
    try:
        with opened_file(source) as stream, Image.open(stream, formats=_FORMATS) as picture:
            return bool(getattr(picture, "is_animated", False))
    except Exception:  # what is wrong with it is said where it is painted
        return False


def is_whole_animation(source: Path, max_pixels: int) -> bool:
    """Whether all frames of an animated picture can be read."""
    try:
        with opened_animation(source, max_pixels) as animation:
            for _ in animation.frames():
                pass
            return animation.damage is None
    except ImageError:
        return False


def _lacks_end(source: Path, picture: Image.Image) -> bool:
    """Whether a GIF, which does not say how many frames it has, has no mark at its end."""
    if picture.format != "GIF":
        return False
    with opened_file(source) as stream:
        stream.seek(max(0, source.stat().st_size - 64))
        return not stream.read().rstrip(b"\0\r\n").endswith(b"\x3b")


def _frames_in(source: Path, picture: Any) -> int | None:
    """Return how many frames the file announces; a GIF says nothing: its blocks are counted, as far as it goes."""
    try:
        if picture.format != "GIF":
            return picture.n_frames
        with opened_file(source) as stream, Image.open(stream, formats=("GIF",)) as counted:
            return counted.n_frames  # type: ignore[attr-defined]
    except Exception:
        return None


def _duration(milliseconds: Any) -> Fraction:
    try:
        seconds = Fraction(milliseconds) / 1000
    except (TypeError, ValueError, OverflowError):
        return _UNSAID
    return seconds.limit_denominator(10**6) if seconds > 0 else _UNSAID


def _converted(picture: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
    """Return a loaded frame as sRGB (H, W, 3) and its transparency (H, W, 1), both uint8."""
    colour, mask = split_alpha(picture)
    values = three_channels(to_srgb(colour, picture.info.get("icc_profile")))
    if values.dtype != np.uint8:
        values = _levels(as_floats(values))
    if mask is None or mask.getextrema() == (255, 255):
        return np.ascontiguousarray(values), None
    alpha = np.asarray(mask)[..., None]
    return _levels(fill_hidden(as_floats(values), alpha / np.float32(255))), alpha


def _levels(values: np.ndarray) -> np.ndarray:
    return np.rint(values * 255).clip(0, 255).astype(np.uint8)
