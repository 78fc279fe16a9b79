"""The frames of a clip, or of a folder of pictures, as arrays."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import numpy as np

from impasto.errors import VideoError
from impasto.images.animations import opened_animation
from impasto.images.arrays import as_levels
from impasto.images.finding import find_images
from impasto.images.geometry import resize
from impasto.images.reading import read_levels
from impasto.inference.video.chain import Frame, ahead
from impasto.inference.video.colours import FramePlan, upright_frames
from impasto.inference.video.reading import opened
from impasto.system.choices import MAX_PIXELS

_ANIMATIONS = (".webp", ".png", ".apng")  # PyAV reads GIFs


def read_frames(
    source: Path, size: int | None = None, max_pixels: int = MAX_PIXELS
) -> Generator[np.ndarray, None, None]:
    """Yield the frames of a clip or an animation, or the pictures of a folder in the order of their names, read ahead.

    Args:
        size: longer side in pixels; by default as they are.

    Yields:
        (H, W, 3) uint8, upright.

    Raises:
        ImpastoError: no clip, or a picture that cannot be read.
    """
    if source.is_dir():
        return ahead(_pictures(source, size))
    read = _animated if source.suffix.lower() in _ANIMATIONS and source.is_file() else _frames
    return ahead(read(source, size, max_pixels))


def _pictures(folder: Path, size: int | None) -> Generator[np.ndarray, None, None]:
    for path in sorted(path for path in find_images([folder]) if path.parent == folder):
        pixels = read_levels(path)
        pixels = pixels if pixels.dtype == np.uint8 else as_levels(pixels)
        yield resize(pixels, size) if size else pixels


def _animated(source: Path, size: int | None, max_pixels: int) -> Generator[np.ndarray, None, None]:
    with opened_animation(source, max_pixels) as animation:
        animation.check_size(size, max_pixels)
        for frame in animation.frames():
            yield resize(frame.pixels, size) if size else frame.pixels
        if animation.damage:
            raise VideoError(source, animation.damage)


def _frames(source: Path, size: int | None, max_pixels: int) -> Generator[np.ndarray, None, None]:
    with opened(source) as clip:
        first, items = clip.peeked()
        plan = FramePlan.of(clip, first, size, max_pixels, step=1)
        with closing(upright_frames(items, clip, plan)) as frames:
            for item in frames:
                if isinstance(item, Frame):
                    yield np.ascontiguousarray(item.pixels)
        if damage := clip.damage():
            raise VideoError(source, damage)
