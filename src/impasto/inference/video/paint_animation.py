"""Animated pictures and clips through a painter into animated pictures, and animated pictures into clips."""

from __future__ import annotations

import io
import time
from collections.abc import Generator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from impasto.errors import ImageError, VideoError, counted
from impasto.images.animation_writing import WRITABLE_ANIMATIONS, animation_writer
from impasto.images.animations import Animation, opened_animation
from impasto.images.geometry import resize
from impasto.images.reasons import reason_for
from impasto.images.writing import check_writable
from impasto.inference.video.chain import Frame, Painter, Progress, ahead, painted_frames
from impasto.inference.video.colours import FramePlan, upright_frames
from impasto.inference.video.containers import VIDEO_SUFFIXES, pyav
from impasto.inference.video.reading import WHOLE, Span, opened
from impasto.inference.video.report import VideoReport
from impasto.inference.video.writing import Writer, check_clip_writable
from impasto.system.choices import MAX_PIXELS
from impasto.system.files import written_whole

_TICK = Fraction(1, 1000)  # of the frames on their way
_ON_WHITE = "its transparency is left out: painted, and laid on white"
_GIF_LEAST = Fraction(1, 50)  # seconds: what is shorter, players show for a tenth of a second


@dataclass(frozen=True)
class _Moving:
    """What is painted: frames on their way, with their durations, and what is to be told of them at the end."""

    frames: Generator[Frame, None, None]
    plays: int
    may_be_clear: bool
    expected: int | None
    notes: list[str]
    damage: list[str]


def takes(source: Path, target: Path) -> bool:
    """Whether this is how `source` becomes `target`: one of the two is an animated picture that PyAV does not know.

    A clip becomes no .png, by which most people mean a single picture; it may be .apng.
    """
    if source.suffix.lower() in VIDEO_SUFFIXES:
        return target.suffix.lower() in WRITABLE_ANIMATIONS - {".png"}
    return source.suffix.lower() in (".webp", ".png") or target.suffix.lower() in WRITABLE_ANIMATIONS


def paint_animation(
    paint: Painter,
    source: Path,
    target: Path,
    *,
    size: int | None = None,
    max_pixels: int = MAX_PIXELS,
    progress: Progress | None = None,
    span: Span = WHOLE,
) -> VideoReport:
    """Paint an animated picture, or a clip, frame by frame; written whole or not at all.

    Durations, the number of plays and transparency are kept as far as the format holds them. A clip becomes an
    animation that is played for ever, without sound. An animated picture can become a clip, too.

    Raises:
        ImageError, VideoError: what cannot be read or written, in one line with the remedy.
        ImpastoError: what `paint` raises.
    """
    started, suffix = time.perf_counter(), target.suffix.lower()
    (check_writable if suffix in WRITABLE_ANIMATIONS else check_clip_writable)(target)
    may_seek = not getattr(paint, "counts_frames", False)
    with _opened(source, span, size, max_pixels, is_gif=suffix == ".gif", may_seek=may_seek) as moving:
        write = _write_animation if suffix in WRITABLE_ANIMATIONS else _write_clip
        with closing(ahead(painted_frames(paint, ahead(moving.frames)))) as painted:
            frames = write(painted, moving, target, max_pixels, progress)
        seconds = time.perf_counter() - started
        return VideoReport(frames, seconds, tuple(moving.notes), next(iter(moving.damage), None))


@contextmanager
def _opened(
    source: Path, span: Span, size: int | None, max_pixels: int, *, is_gif: bool, may_seek: bool
) -> Generator[_Moving]:
    notes: list[str] = []
    damage: list[str] = []
    if source.suffix.lower() not in VIDEO_SUFFIXES:
        with opened_animation(source, max_pixels) as animation:
            animation.check_size(size, max_pixels)
            frames = _animated(animation, span, size, damage)
            yield _Moving(frames, animation.plays, True, animation.expected if span.is_all else None, notes, damage)
        return
    with opened(source, span, hears=False) as clip:
        first, items = clip.peeked(may_seek=may_seek)
        plan = FramePlan.of(clip, first, size, max_pixels, step=1)
        frames = _of_clip(upright_frames(items, clip, plan), clip, notes, least=_GIF_LEAST if is_gif else _TICK)
        if clip.sound:
            notes.append("its sound is left out")
        yield _Moving(frames, 0, False, clip.expected, notes, damage)
        notes += [*clip.notes, *clip.remarks()]
        damage += filter(None, [clip.damage()])


def _animated(animation: Animation, span: Span, size: int | None, damage: list[str]) -> Generator[Frame, None, None]:
    """Yield the frames of an animated picture that lie in a span."""
    zero, name, end = None, animation.source, span.end
    for number, frame in enumerate(animation.frames()):
        if end is not None and frame.start >= end:
            break
        if frame.start < span.start:
            continue
        zero = frame.start if zero is None else zero
        stop = frame.start + frame.duration if end is None else min(end, frame.start + frame.duration)
        pixels, alpha = frame.pixels, frame.alpha
        if size:
            pixels = _levels(resize(pixels, size))
            alpha = None if alpha is None else _levels(resize(alpha, size))
        first, last = round((frame.start - zero) / _TICK), round((stop - zero) / _TICK)
        yield Frame(pixels, first, max(1, last - first), number, frame.start, alpha=alpha)
    else:
        damage += filter(None, [animation.damage])
    if zero is None:
        raise VideoError(name, f"holds no frame {span}", "choose an earlier one")


def _levels(values: np.ndarray) -> np.ndarray:
    return values if values.dtype == np.uint8 else np.rint(values * 255).clip(0, 255).astype(np.uint8)


def _of_clip(
    items: Generator[Any, None, None], clip: Any, notes: list[str], least: Fraction
) -> Generator[Frame, None, None]:
    """Yield the frames of a clip, each until the next; those that would be shown too shortly are left out."""
    base, left_out = clip.video.time_base, 0
    waiting: Frame | None = None
    zero = 0

    def timed(frame: Frame, stop: Fraction) -> Frame:
        first, last = round((frame.pts - zero) * base / _TICK), round((stop - zero * base) / _TICK)
        return replace(frame, pts=first, duration=max(1, last - first))

    with closing(items):
        for frame in items:
            if waiting is None:
                zero = frame.pts
            elif (frame.pts - waiting.pts) * base < least:
                left_out += 1
                continue
            else:
                yield timed(waiting, frame.pts * base)
            waiting = frame
    if waiting is not None:
        lasts = waiting.duration * base or 1 / Fraction(clip.rate)
        yield timed(waiting, waiting.pts * base + max(least, lasts))
    if left_out:
        rest = f"the format holds no more than {float(1 / least):g} a second"
        notes.append(f"{counted(left_out, 'frame')} {'is' if left_out == 1 else 'are'} left out: {rest}")


def _write_animation(
    painted: Generator[Frame, None, None], moving: _Moving, target: Path, max_pixels: int, progress: Progress | None
) -> int:
    number = 0
    try:
        with written_whole(target) as temporary, io.BufferedRandom(io.FileIO(temporary, "w+b")) as file:
            writer = None
            for number, frame in enumerate(painted, 1):
                if writer is None:
                    height, width = frame.pixels.shape[:2]
                    writer = animation_writer(
                        target.suffix.lower(), file, (width, height), moving.plays, may_be_clear=moving.may_be_clear
                    )
                first, last = (round(ticks * _TICK / writer.tick) for ticks in (frame.pts, frame.pts + frame.duration))
                writer.add(frame.pixels, frame.alpha, max(1, last - first))
                if progress:
                    progress(number, moving.expected)
            if writer is not None:
                writer.finish()
    except OSError as error:
        raise ImageError(target, reason_for(error, writing=True)) from error
    return number


def _write_clip(
    painted: Generator[Frame, None, None], moving: _Moving, target: Path, max_pixels: int, progress: Progress | None
) -> int:
    """Write the frames of an animated picture into a clip, on white."""
    number, writer = 0, None
    with written_whole(target) as temporary, ExitStack() as stack:
        for number, frame in enumerate(painted, 1):
            if frame.alpha is not None:
                if _ON_WHITE not in moving.notes:
                    moving.notes.append(_ON_WHITE)
                frame = replace(frame, pixels=_on_white(frame.pixels, frame.alpha), alpha=None)
            if writer is None:
                clip, step = _as_clip(frame), 1 if target.suffix.lower() == ".webm" else 2
                coded = pyav().VideoFrame.from_ndarray(np.ascontiguousarray(frame.pixels), "rgb24")
                plan = FramePlan.of(clip, coded, None, max_pixels, step)
                moving.notes.extend(plan.notes)
                writer = stack.enter_context(Writer(temporary, target, clip, plan, keep_metadata=False))
            writer.write(frame)
            if progress:
                progress(number, moving.expected)
        if writer is not None:
            writer.finish()
            stack.close()
    return number


def _on_white(pixels: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    weight = alpha.astype(np.uint16)
    return ((pixels * weight + 255 * (255 - weight) + 127) // 255).astype(np.uint8)


def _as_clip(frame: Frame) -> Any:
    """Return as much of a clip as its writer asks of one."""
    video = SimpleNamespace(
        time_base=_TICK, sample_aspect_ratio=None, metadata={}, codec_context=SimpleNamespace(name="gif")
    )
    container = SimpleNamespace(metadata={}, chapters=list)
    return SimpleNamespace(
        name="animation", video=video, sound=[], container=container, notes=[], starts_anew=False, is_clear=False,
        rate=1 / (frame.duration * _TICK),
    )  # fmt: skip
