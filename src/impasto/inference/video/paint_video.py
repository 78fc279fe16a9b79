"""Clips, cameras and raw frames through a painter: reading, painting and writing at the same time."""

from __future__ import annotations

import io
import time
from collections.abc import Generator
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

from impasto.errors import UsageError
from impasto.inference.records import absolute, state_of
from impasto.inference.video import paint_animation
from impasto.inference.video.chain import Frame, Mark, Painter, Progress, ahead, painted_frames, raw_frames
from impasto.inference.video.colours import FramePlan, upright_frames
from impasto.inference.video.containers import pyav
from impasto.inference.video.parts import Parts, frames_in_a_part, remove_parts
from impasto.inference.video.reading import Clip, Span, opened
from impasto.inference.video.report import VideoReport as VideoReport
from impasto.inference.video.writing import Encoder, Writer, chapters_of, check_clip_writable
from impasto.system.choices import MAX_PIXELS
from impasto.system.files import written_whole

LONG = 1500  # frames, a minute of film: from there on, what is painted is kept until the film is whole


@dataclass(frozen=True)
class _Task:
    """What is painted, how and into what."""

    paint: Painter
    source: str | Path | int
    target: Path
    span: Span
    size: int | None
    max_pixels: int
    keep_metadata: bool
    progress: Progress | None

    def planned(self, clip: Clip) -> tuple[FramePlan, Generator[Any, None, None]]:
        """Return how the frames are read and written, and everything in the clip from the first on."""
        first, items = clip.peeked(may_seek=not getattr(self.paint, "counts_frames", False))
        step = 1 if self.target.suffix.lower() == ".webm" else 2
        return FramePlan.of(clip, first, self.size, self.max_pixels, step), items

    @contextmanager
    def painted(
        self, items: Generator[Any, None, None], clip: Clip, plan: FramePlan, behind: Mark | None = None
    ) -> Generator[Generator[Any, None, None]]:
        painted = painted_frames(self.paint, ahead(upright_frames(items, clip, plan, behind)))
        with closing(ahead(painted)) as chain:
            yield chain


def paint_video(
    paint: Painter,
    source: str | Path | int,
    target: str | Path,
    *,
    size: int | None = None,
    max_pixels: int = MAX_PIXELS,
    keep_metadata: bool = False,
    progress: Progress | None = None,
    start: float | Fraction = 0,
    end: float | Fraction | None = None,
    resume: bool = False,
    settings: str | None = None,
) -> VideoReport:
    """Paint the clip `source`, or what the camera of that number sees, into `target`; written whole or not at all.

    Every frame keeps its time. The sound is copied as it is. The result is upright, of the input's size, or `size`
    pixels on its longer side; H.264 needs even sides, so an odd one gets its last line twice. A camera is filmed until
    it stops or Ctrl-C. An animated GIF, WebP or PNG is a clip, too, as `source` and as `target`.

    Args:
        paint: takes and returns (H, W, 3) uint8. It may have the method `paint_at` of `FilmPainter`.
        progress: called with the frames that are done, those of an earlier run among them, and with all there will be.
        start, end: paint the frames from second `start` of the clip on, up to `end` and without it. The result's times
            then begin at 0, and its sound and chapters are those of that span; sound is cut between packets.
        resume: go on behind what an earlier run has painted of the same film, if it was interrupted. Parts of some
            seconds lie in a hidden folder beside `target` until it is whole. The film is the same in however many runs
            it was painted, unless the painter remembers frames, as a stabilized one does: each run begins without.
        settings: what decides on the paintings, such as a digest of the painter's file: what was painted with others
            is removed. Where it is given, parts are kept of every film of `LONG` frames and more.

    Raises:
        ImageError: an animated picture that cannot be read or written.
        VideoError: no video, no camera, no frame in the span, or a result that cannot be written, in one line with the
            remedy.
        UsageError: a span that ends before it begins, or of a camera.
        ImpastoError: what `paint` raises.
    """
    started, target = time.perf_counter(), Path(target)
    span = Span(_exact(start), None if end is None else _exact(end))
    if span.start < 0 or (span.end is not None and span.end <= span.start):
        raise UsageError(f"the span {span} holds nothing; end it after it begins")
    if isinstance(source, int) and not span.is_all:
        raise UsageError(f"camera {source}: has no beginning and no end; leave --from and --to out")
    if not isinstance(source, int) and paint_animation.takes(Path(source), target):
        return paint_animation.paint_animation(
            paint, Path(source), target, size=size, max_pixels=max_pixels, progress=progress, span=span
        )
    check_clip_writable(target)
    task = _Task(paint, source, target, span, size, max_pixels, keep_metadata, progress)
    if not isinstance(source, int) and (resume or (settings is not None and _is_long(task))):
        return _paint_in_parts(task, started, settings, resume)
    report = _paint_at_once(task, started)
    remove_parts(target)
    return report


def _exact(seconds: float | Fraction) -> Fraction:
    """Return what a float is meant to be: 0.1 is a little more than a tenth."""
    return Fraction(seconds).limit_denominator(10**9)


def _is_long(task: _Task) -> bool:
    with opened(task.source, task.span) as clip:
        return (clip.expected or 0) >= LONG


def _paint_at_once(task: _Task, started: float) -> VideoReport:
    with opened(task.source, task.span) as clip:
        plan, items = task.planned(clip)
        with (
            written_whole(task.target) as temporary,
            Writer(temporary, task.target, clip, plan, task.keep_metadata) as writer,
        ):
            with (
                task.painted(items, clip, plan) as chain,
                suppress(KeyboardInterrupt) if clip.is_camera else nullcontext(),
            ):
                for item in chain:
                    writer.write(item)
                    if task.progress and isinstance(item, Frame):
                        task.progress(writer.frames, clip.expected)
            writer.finish()
        return _report(clip, plan, writer.frames, started)


def _paint_in_parts(task: _Task, started: float, settings: str | None, resume: bool) -> VideoReport:
    with opened(task.source, task.span, hears=False) as clip:
        plan, items = task.planned(clip)
        with Writer(io.BytesIO(), task.target, clip, plan, keep_metadata=False):
            pass  # now we know that the sound can be put there
        each = frames_in_a_part(plan.width, plan.height)
        parts = Parts(task.target, _made_from(task, settings), goes_on=resume, frames_each=each)
        before = parts.frames
        if not parts.is_whole:
            _fill(parts, task, clip, plan, items)
    with opened(task.source, task.span) as clip:
        frames, notes = parts.frames, parts.notes
        parts.join(clip, lambda path: Writer(path, task.target, clip, plan, task.keep_metadata))
        report = _report(clip, plan, frames, started, notes, before)
    remove_parts(task.target)
    return report


def _fill(parts: Parts, task: _Task, clip: Clip, plan: FramePlan, items: Generator[Any, None, None]) -> None:
    """Paint what the parts lack."""
    if mark := parts.mark:
        items.close()
        items = clip.items_behind(mark, parts.frames)
    try:
        with task.painted(items, clip, plan, mark) as chain:
            parts.fill(chain, lambda: Encoder(task.target, clip, plan), clip, task.progress)
    except BaseException:
        if not parts.frames:
            remove_parts(task.target)
        raise


def _made_from(task: _Task, settings: str | None) -> dict[str, object]:
    assert not isinstance(task.source, int)
    source = Path(task.source)
    return {
        "source": absolute(source), "state": list(state_of(source)), "settings": settings,
        "span": [str(task.span.start), str(task.span.end)], "size": task.size, "kind": task.target.suffix.lower(),
        "encoder": [pyav().__version__, str(pyav().library_versions)],
    }  # fmt: skip


def _report(
    clip: Clip, plan: FramePlan, frames: int, started: float, notes: tuple[str, ...] = (), before: int = 0
) -> VideoReport:
    if clip.starts_anew and chapters_of(clip):
        notes = (*notes, "its chapters are those of what is painted")
    notes = (*clip.notes, *plan.notes, *clip.remarks(), *notes)
    return VideoReport(frames, time.perf_counter() - started, notes, clip.damage(), before)


def paint_raw(
    paint: Painter, source: BinaryIO, sink: BinaryIO, width: int, height: int, progress: Progress | None = None
) -> int:
    """Paint raw RGB24 frames of width x height from `source` into `sink` until it ends; return how many.

    Raises:
        VideoError: `source` ends within a frame. Those before it are painted.
        BrokenPipeError: nobody reads the sink any more.
    """
    number = 0
    with closing(ahead(painted_frames(paint, ahead(raw_frames(source, width, height))))) as chain:
        for number, frame in enumerate(chain, 1):
            sink.write(frame.pixels.tobytes())
            sink.flush()
            if progress:
                progress(number, None)
    return number
