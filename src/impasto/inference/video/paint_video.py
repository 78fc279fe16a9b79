"""Clips, cameras and raw frames through a painter: reading, painting and writing at the same time."""

from __future__ import annotations

import time
from contextlib import closing, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from impasto.inference.video.chain import Frame, Painter, Progress, ahead, painted_frames, raw_frames
from impasto.inference.video.colours import FramePlan, upright_frames
from impasto.inference.video.reading import opened
from impasto.inference.video.writing import Writer, check_clip_writable
from impasto.system.choices import MAX_PIXELS
from impasto.system.files import written_whole


@dataclass(frozen=True)
class VideoReport:
    """What became of a clip."""

    frames: int
    seconds: float  # from opening it to closing the result
    notes: tuple[str, ...]  # one line each on what the result leaves out
    damage: str | None  # in one line, when the clip breaks off or holds broken parts; the rest of it is painted

    @property
    def frames_per_second(self) -> float:
        return self.frames / max(self.seconds, 1e-9)


def paint_video(
    paint: Painter,
    source: str | Path | int,
    target: str | Path,
    *,
    size: int | None = None,
    max_pixels: int = MAX_PIXELS,
    keep_metadata: bool = False,
    progress: Progress | None = None,
) -> VideoReport:
    """Paint the clip `source`, or what the camera of that number sees, into `target`; written whole or not at all.

    Every frame keeps its time. The sound is copied as it is. The result is upright, of the input's size, or `size`
    pixels on its longer side; H.264 needs even sides, so an odd one gets its last line twice. A camera is filmed until
    it stops or Ctrl-C.

    Raises:
        VideoError: no video, no camera, or a result that cannot be written, in one line with the remedy.
        ImpastoError: what `paint` raises.
    """
    started, target = time.perf_counter(), Path(target)
    check_clip_writable(target)
    with opened(source) as clip:
        first, items = clip.peeked()
        plan = FramePlan.of(clip, first, size, max_pixels, step=1 if target.suffix.lower() == ".webm" else 2)
        with written_whole(target) as temporary, Writer(temporary, target, clip, plan, keep_metadata) as writer:
            painted = painted_frames(paint, ahead(upright_frames(items, clip, plan)))
            with closing(ahead(painted)) as chain, suppress(KeyboardInterrupt) if clip.is_camera else nullcontext():
                for item in chain:
                    writer.write(item)
                    if progress and isinstance(item, Frame):
                        progress(writer.frames, clip.expected)
            writer.finish()
        seconds = time.perf_counter() - started
        return VideoReport(writer.frames, seconds, (*clip.notes, *plan.notes, *clip.remarks()), clip.damage())


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
