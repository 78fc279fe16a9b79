"""Clips and cameras opened with mistrust, and their packets and frames."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from impasto.errors import VideoError, printable
from impasto.inference.video.chain import Mark, T
from impasto.inference.video.containers import open_camera, open_file

_BEFORE = 10  # seconds before what is sought at which reading begins: some key frames are not whole at once
_LATE = 5  # seconds by which a file may lag with its sound


@dataclass(frozen=True)
class Span:
    """What of a clip is painted: the frames from second `start` of it on, up to second `end` and without it."""

    start: Fraction = Fraction(0)
    end: Fraction | None = None

    @property
    def is_all(self) -> bool:
        return not self.start and self.end is None

    def __str__(self) -> str:
        until = "on" if self.end is None else f"to {float(self.end):g} s"
        return f"from {float(self.start):g} s {until}"


WHOLE = Span()


def is_whole_clip(path: Path) -> bool:
    """Whether `path` is a clip that holds as much as it announces; nothing is decoded but its first frame."""
    with suppress(VideoError), opened(path) as clip:
        clip.peeked()
        for packet in clip.packets():
            clip.count(packet)
        return clip.damage() is None
    return False


@dataclass
class Clip:
    """An open clip or camera and what is known of it."""

    name: str
    open: Callable[[], Any]  # its container, anew each time
    is_camera: bool = False
    span: Span = WHOLE
    hears: bool = True  # whether packets of sound are read, too
    container: Any = field(init=False)
    video: Any = field(init=False)
    sound: list[Any] = field(init=False)
    notes: list[str] = field(init=False, default_factory=list)
    broken: int = 0  # packets that could not be read or decoded
    frames: int = 0
    seen: float = 0.0  # seconds up to which there was anything
    is_interlaced: bool = False  # as far as it was decoded
    is_clear: bool = False  # or may be, somewhere
    zero: int = 0  # what the result's times are less than the clip's, in ticks of the video
    began: Fraction = Fraction(0)  # second of the first frame, where the clip does not say when it begins
    passed: int = 0  # frames before the span, as far as they were read

    def __post_init__(self) -> None:
        moving = self._rewind()
        streams = self.container.streams
        if len(moving) > 1:
            self.notes.append("several videos in one file: only the first is painted")
        if streams.subtitles:
            self.notes.append("its subtitles are left out")
        if len(streams.video) > len(moving):
            self.notes.append("its cover picture is left out")
        marks = bool(self.container.chapters()) and "mov" in self.container.format.name  # a track with their titles
        if len(streams) > len(streams.video) + len(streams.audio) + len(streams.subtitles) + marks:
            self.notes.append("its data, such as time codes and attachments, are left out")

    def _rewind(self) -> list[Any]:
        """Open the clip at its beginning; return its moving pictures."""
        self.container = self.open()
        streams = self.container.streams
        moving = [stream for stream in streams.video if not int(stream.disposition) & 0x400]  # no cover picture
        if not moving:
            raise VideoError(f"{self.name}: holds no video; give a clip")
        self.video, self.sound = moving[0], list(streams.audio)
        self.video.thread_type = "AUTO"
        self.broken = self.passed = self.frames = 0
        return moving

    @property
    def starts_anew(self) -> bool:
        """Whether the result's times begin at 0, whatever those of the clip."""
        return self.is_camera or not self.span.is_all

    @property
    def start(self) -> Fraction:
        """The time at which the clip begins, in seconds: what its players call 0."""
        if self.container.start_time is None:
            return self.began
        rounded = Fraction(self.container.start_time, 10**6)
        exact = (self.video.start_time or 0) * self.video.time_base
        return exact if abs(exact - rounded) <= Fraction(1, 10**6) else rounded

    @property
    def rate(self) -> Fraction:
        return self.video.average_rate or self.video.guessed_rate or Fraction(30)

    @property
    def end(self) -> float | None:
        """The second at which the clip ends, as far as it says so."""
        if self.is_camera or not self.container.duration:
            return None
        # Matroska counts its duration from zero, wherever the clip begins; all others from its beginning.
        start = 0 if "matroska" in self.container.format.name else self.container.start_time or 0
        end = (self.container.duration + start) / 1e6
        return end if self.span.end is None else min(end, float(self.start + self.span.end))

    @property
    def expected(self) -> int | None:
        if self.span.is_all and (self.video.frames or not self.end):
            return self.video.frames or None
        if not self.end:
            return None
        return max(0, round((self.end - float(self.start + self.span.start)) * self.rate))

    def remarks(self) -> list[str]:
        """Return what to tell of the clip once it has been read to its end, a line each."""
        notes = []
        if self.is_interlaced:
            notes.append(
                "interlaced: painted as it is, combs and all; deinterlace it first: ffmpeg -i CLIP -vf bwdif NEW"
            )
        if self.is_clear:
            notes.append("its transparency is left out: painted on white")
        return notes

    def damage(self) -> str | None:
        """Say in one line what is wrong with the clip, once it has been read to its end."""
        if self.end and self.end - self.seen > min(0.5, self.end / 10):
            return f"breaks off after {self.seen:.1f} of {self.end:.1f} s; what came before is painted; get it again"
        if self.broken:
            return f"{self.broken} broken places were passed over, the rest is painted; get it again"
        return None

    def peeked(self, *, may_seek: bool = True) -> tuple[Any, Generator[Any, None, None]]:
        """Return the first frame of the span, and everything in it from there: frames and packets of sound.

        Unless the clip `may_seek`, the frames before the span are counted, in `passed`.
        """
        first, items = _headed(self._in_span(may_seek=may_seek), self.is_sound)
        if first is None:
            if self.frames:
                raise VideoError(f"{self.name}: holds no frame {self.span}; it ends after {self.seen:.1f} s")
            raise VideoError(f"{self.name}: no frame in it can be decoded; get it again")
        self.zero = (first.pts or 0) if self.starts_anew else 0
        return first, items

    def items_behind(self, mark: Mark, painted: int) -> Generator[Any, None, None]:
        """Yield what follows on a frame that was read in another run, the last of `painted` ones of the span."""
        items = self._sought_behind(mark) or self._counted_behind(painted)
        self.broken, self.passed, self.zero = mark.broken, mark.number, mark.origin
        self.is_interlaced |= mark.is_interlaced
        self.is_clear |= mark.is_clear
        return items

    def _sought_behind(self, mark: Mark) -> Generator[Any, None, None] | None:
        if not mark.is_steady or mark.pts is None:
            return None
        self._rewind()
        self._seek(mark.pts * self.video.time_base - self.start)
        items = self._items()
        for item in items:
            if not self.is_sound(item) and (item.pts is None or item.pts >= mark.pts):
                if item.pts == mark.pts:
                    return items
                break
        items.close()
        return None

    def _counted_behind(self, painted: int) -> Generator[Any, None, None]:
        self._rewind()
        items = self._in_span(may_seek=False)
        for item in items:
            painted -= not self.is_sound(item)
            if not painted:
                break
        return items

    def _in_span(self, *, may_seek: bool) -> Generator[Any, None, None]:
        """Yield the frames and the packets of sound that lie in the span."""
        if self.span.start and may_seek and self._seek(self.span.start):
            first, items = _headed(self._items(), self.is_sound)
            if first is not None and first.pts is not None and self.moment(first) <= self.span.start:
                yield from self._cut(items)
                self.passed = 0  # nobody knows
                return
            items.close()
            self._rewind()
        yield from self._cut(self._items())

    def _cut(self, items: Generator[Any, None, None]) -> Generator[Any, None, None]:
        with closing(items):
            for item in items:
                if self.is_sound(item) or self.moment(item) >= self.span.start:
                    yield item
                else:
                    self.passed += 1

    def moment(self, frame: Any) -> Fraction:
        """Return the second of the clip at which a frame is shown; where none is said, frames come at an even rate."""
        if frame.pts is None:
            return (self.frames - 1) / self.rate
        return frame.pts * self.video.time_base - self.start

    def _seek(self, moment: Fraction) -> bool:
        """Go to a key frame before a second of the clip; return whether that is not its beginning."""
        from av.error import FFmpegError

        if moment <= _BEFORE or self.container.start_time is None:  # a bare stream, whose times are guessed
            return False
        try:
            ticks = int((moment - _BEFORE + self.start) / self.video.time_base)
            self.container.seek(ticks, stream=self.video, backward=True)
        except (FFmpegError, OSError):
            self._rewind()
            return False
        return True

    def sound_packets(self) -> Generator[Any, None, None]:
        """Yield the packets of sound that lie in the span, at the result's times; nothing is decoded."""
        for packet in self.packets():
            self.count(packet)
            if packet.stream.index != self.video.index and packet.size and (heard := self.at_result(packet)):
                yield heard
            if self._is_past_all(packet):
                return

    def at_result(self, packet: Any) -> Any | None:
        """Move a packet of sound to the time that it has in the result; return None where it has none there."""
        if not self.starts_anew or packet.pts is None:
            return packet
        zero, moment = self.zero * self.video.time_base, packet.pts * packet.time_base
        if moment < zero or (self.span.end is not None and moment - self.start >= self.span.end):
            return None
        shift = round(zero / packet.time_base)
        packet.pts = max(0, packet.pts - shift)
        packet.dts = packet.pts if packet.dts is None else max(0, packet.dts - shift)
        return packet

    def _is_past_all(self, packet: Any) -> bool:
        """Whether nothing of the span can follow on a packet."""
        if self.span.end is None or packet.dts is None:
            return False
        end = self.span.end + (_LATE if self.sound and self.hears else 0)
        return packet.dts * packet.time_base - self.start >= end

    def packets(self) -> Iterator[Any]:
        """Yield the packets of the video and of the sound, as far as they can be read."""
        from av.error import FFmpegError

        while True:
            try:
                for packet in self.container.demux(self.video, *(self.sound if self.hears else ())):
                    if packet.is_corrupt:
                        self.broken += 1
                    else:
                        yield packet
                return
            except BlockingIOError:  # a camera on macOS that has no frame yet
                time.sleep(0.005)
            except FFmpegError:
                self.broken += 1
                return

    def count(self, packet: Any) -> None:
        if packet.pts is not None:
            # Windows Media and others give no durations: a frame then lasts as long as frames do.
            unsaid = 1 / self.rate if packet.stream.index == self.video.index else Fraction(0)
            lasts = packet.duration * packet.time_base if packet.duration else unsaid
            self.seen = max(self.seen, float(packet.pts * packet.time_base + lasts))

    def _items(self) -> Generator[Any, None, None]:
        is_over = False
        for packet in self.packets():
            self.count(packet)
            if packet.stream.index != self.video.index:  # a last, empty packet has the stream, but not its number
                if packet.size:
                    yield packet
            elif not is_over:
                for frame in self._decoded(packet):
                    if not self.frames and frame.pts is not None:
                        self.began = frame.pts * self.video.time_base
                    self.frames += 1
                    is_over |= self.span.end is not None and self.moment(frame) >= self.span.end
                    if not is_over:
                        yield frame
            if is_over and (not (self.sound and self.hears) or self._is_past_all(packet)):
                return

    def _decoded(self, packet: Any) -> list[Any]:
        from av.error import FFmpegError

        try:
            frames = packet.decode()
        except FFmpegError:
            self.broken += 1
            return []
        self.is_interlaced |= any(frame.interlaced_frame for frame in frames)
        return frames

    @staticmethod
    def is_sound(item: Any) -> bool:
        return hasattr(item, "stream_index")


def _headed(
    items: Generator[Any, None, None], is_sound: Callable[[Any], bool]
) -> tuple[Any | None, Generator[Any, None, None]]:
    """Return the first frame among `items`, None where there is none, and all of them."""
    head: list[Any] = []
    for item in items:
        head.append(item)
        if not is_sound(item):
            return item, _chained(head, items)
    return None, _chained(head, items)


def _chained(head: list[T], items: Generator[T, None, None]) -> Generator[T, None, None]:
    with closing(items):
        yield from head
        head.clear()
        yield from items


@contextmanager
def opened(source: str | Path | int, span: Span = WHOLE, *, hears: bool = True) -> Generator[Clip]:
    name = f"camera {source}" if isinstance(source, int) else printable(source)
    with ExitStack() as stack:

        def open_anew() -> Any:
            return stack.enter_context(open_camera(source) if isinstance(source, int) else open_file(Path(source)))

        yield Clip(name, open_anew, isinstance(source, int), span, hears)
