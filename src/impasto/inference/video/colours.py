"""What a frame looks like in the file, and upright in RGB: rotation, colour matrices and ranges, times."""

from __future__ import annotations

import importlib
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from impasto.errors import VideoError
from impasto.inference.video.chain import Frame, Mark
from impasto.inference.video.containers import pyav
from impasto.inference.video.reading import Clip

# swscale's number for each matrix that a file can name (AVColorSpace), and what is taken where none is named.
_MATRICES = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}
# Bilinear, with whole chroma and exact rounding: swscale's quick way makes every picture darker by more than a level.
_CAREFUL = 0x2 | 0x2000 | 0x40000
_BT709, _BT601, _UNSPECIFIED, _LIMITED, _FULL = 1, 5, 2, 1, 2


@dataclass(frozen=True)
class FramePlan:
    """How frames are read and written: one way for the whole clip, taken from its first frame."""

    width: int  # as read, before it is turned upright
    height: int
    turn: tuple[bool, bool, bool]
    matrix: int
    range: int
    tags: dict[str, int]  # what the result says of its colours: what the clip says
    aspect: Fraction  # of a pixel, upright
    padding: tuple[int, int]  # lines repeated at the bottom and at the right
    has_alpha: bool
    notes: tuple[str, ...]

    @classmethod
    def of(cls, clip: Clip, first: Any, size: int | None, max_pixels: int, step: int) -> FramePlan:
        width, height = _sized(first.width, first.height, size, step)
        if max(width * height, first.width * first.height) > max_pixels:
            raise VideoError(f"{clip.name}: more pixels a frame than --max-pixels allows; choose a smaller --size")
        turn = _turn_of(first)
        upright = (width, height) if turn[0] else (height, width)
        bottom, right = (-side % step for side in upright)
        notes = (
            [f"made {upright[1] + right} x {upright[0] + bottom}: H.264 needs even sides"] if bottom or right else []
        )
        if first.format.components[0].bits > 8:
            notes.append("more than 8 bits: written with 8")
        has_alpha = any(component.is_alpha for component in first.format.components)
        if clip.video.metadata.get("alpha_mode") == "1" and not has_alpha:
            notes.append("its transparency is left out")
        clip.is_clear = has_alpha and clip.video.codec_context.name != "gif"  # whose frames always have that channel
        aspect = clip.video.sample_aspect_ratio or Fraction(1)
        matrix, range, tags = _colours_of(first, is_resized=(width, height) != (first.width, first.height))
        aspect = 1 / aspect if turn[0] else aspect
        return cls(width, height, turn, matrix, range, tags, aspect, (bottom, right), has_alpha, tuple(notes))

    def read(self, frame: Any, reformatter: Any) -> np.ndarray:
        """Return a decoded frame as (H, W, 3) uint8, RGB, upright, of the planned size; (H, W, 4) with transparency."""
        rgb = reformatter.reformat(
            frame, self.width, self.height, "rgba" if self.has_alpha else "rgb24", src_colorspace=self.matrix,
            src_color_range=self.range,
            dst_color_range=_FULL, interpolation=_CAREFUL,
        )  # fmt: skip
        return _turned(rgb.to_ndarray(), *self.turn)

    def coded(self, pixels: np.ndarray, reformatter: Any) -> Any:
        """Return (H, W, 3) uint8 as a frame for the encoder, in the colours that the clip had."""
        bottom, right = self.padding
        if bottom or right:
            pixels = np.pad(pixels, ((0, bottom), (0, right), (0, 0)), mode="edge")
        rgb = pyav().VideoFrame.from_ndarray(np.ascontiguousarray(pixels), "rgb24")
        frame = reformatter.reformat(
            rgb, format="yuv420p", dst_colorspace=self.matrix, src_color_range=_FULL, dst_color_range=self.range,
            interpolation=_CAREFUL,
        )  # fmt: skip
        frame.colorspace, frame.color_range = self.tags["colorspace"], self.tags["color_range"]
        return frame


def _sized(width: int, height: int, size: int | None, step: int) -> tuple[int, int]:
    if not size:
        return width, height
    scale = size / max(width, height)
    return max(step, round(width * scale / step) * step), max(step, round(height * scale / step) * step)


def _turn_of(frame: Any) -> tuple[bool, bool, bool]:
    """Whether a frame must be transposed, then mirrored left to right, then upside down, as its display matrix says."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return False, False, False
    a, b, _, c, d = np.frombuffer(bytes(matrix), "<i4")[:5].tolist()  # x' = a x + c y, y' = b x + d y
    return (True, c < 0, b < 0) if abs(b) > abs(a) else (False, a < 0, d < 0)


def _on_white(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 4) uint8 with transparency -> (H, W, 3) uint8."""
    alpha = pixels[..., 3:].astype(np.uint16)
    return ((pixels[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def _turned(pixels: np.ndarray, is_transposed: bool, is_mirrored: bool, is_flipped: bool) -> np.ndarray:
    if is_transposed:
        pixels = pixels.transpose(1, 0, 2)
    return pixels[:: -1 if is_flipped else 1, :: -1 if is_mirrored else 1]


def _colours_of(frame: Any, is_resized: bool) -> tuple[int, int, dict[str, int]]:
    """Return the matrix and the range in which `frame` is coded, and the tags for the result."""
    names = ("colorspace", "color_range", "color_primaries", "color_trc")
    tags = {name: int(getattr(frame, name)) for name in names}
    if frame.format.is_rgb:
        return _BT709, _LIMITED, {**tags, "colorspace": _BT709, "color_range": _LIMITED}
    if frame.format.name.startswith("yuvj"):
        tags["color_range"] = _FULL
    # Where a clip names no matrix, players guess by its size, and so do we. The result names none either, so that
    # whatever they guess it looks like the clip; unless it has another size.
    is_large = frame.width >= 1280 or frame.height > 576
    matrix = _MATRICES.get(tags["colorspace"], _BT709 if is_large else _BT601)
    if tags["colorspace"] not in _MATRICES:
        tags["colorspace"] = (_BT709 if matrix == _BT709 else 6) if is_resized else _UNSPECIFIED
    return matrix, tags["color_range"] or _LIMITED, tags


def upright_frames(
    items: Generator[Any, None, None], clip: Clip, plan: FramePlan, behind: Mark | None = None
) -> Generator[Any, None, None]:
    """Turn decoded frames into `Frame`s, their times strictly rising; packets of sound pass as they are.

    Where `items` go on `behind` a frame that another run has read, so do numbers and times.
    """
    reformatter = importlib.import_module("av.video.reformatter").VideoReformatter()
    number, is_steady = (behind.number, behind.is_steady) if behind else (None, True)
    last, before = (behind.written, behind.pts) if behind else (None, None)
    end = _end_of(clip)
    zero_moment = clip.zero * clip.video.time_base if clip.is_camera else clip.start
    with closing(items):
        for item in items:
            if clip.is_sound(item):
                if (heard := clip.at_result(item)) is not None:
                    yield heard
                continue
            number = clip.passed if number is None else number
            step = item.duration or max(1, round(1 / (clip.rate * clip.video.time_base)))
            pts = item.pts if item.pts is not None else (clip.zero if last is None else last + step + clip.zero)
            last = pts - clip.zero if last is None else max(pts - clip.zero, last + 1)
            is_steady &= item.pts is not None and (before is None or item.pts > before)
            before = item.pts
            # With B-frames a duration is the time to the next frame in coding order: at the end it may be too long.
            duration = min(item.duration or 0, max(0, end - clip.zero - last)) if end else item.duration or 0
            pixels = plan.read(item, reformatter)
            if plan.has_alpha:
                clip.is_clear |= bool(pixels[..., 3].min() < 255)
                pixels = _on_white(pixels)
            moment = (last + clip.zero) * clip.video.time_base - zero_moment
            number += 1
            mark = Mark(number, before, last, clip.zero, is_steady, clip.broken, clip.is_interlaced, clip.is_clear)
            yield Frame(pixels, last, duration, number - 1, moment, mark)


def _end_of(clip: Clip) -> int | None:
    """Return the tick of the video at which the clip, or its span, ends, as far as it says so."""
    ends = [(clip.video.start_time or 0) + clip.video.duration] if clip.video.duration else []
    if clip.span.end is not None:
        ends.append(round((clip.start + clip.span.end) / clip.video.time_base))
    return min(ends, default=None)
