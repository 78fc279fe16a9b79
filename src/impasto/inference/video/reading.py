"""Clips and cameras opened with mistrust, and their packets and frames."""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from impasto.errors import VideoError, printable
from impasto.inference.video.chain import T

# What is read, by ffmpeg's names: containers that hold what they play. Playlists and their like make a reader open
# other files, or the network.
_DEMUXERS = {
    "mov": (".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".f4v"),
    "matroska": (".mkv", ".webm", ".mk3d"),
    "avi": (".avi", ".divx"),
    "mpegts": (".ts", ".mts", ".m2ts", ".m2t"),
    "mpeg": (".mpg", ".mpeg", ".mpe", ".vob"),
    "mpegvideo": (".m1v", ".m2v", ".mpv"),
    "asf": (".wmv", ".asf"),
    "flv": (".flv",),
    "ogg": (".ogv", ".ogm"),
    "mxf": (".mxf",),
}
_ANIMATIONS = {"gif": (".gif",), "apng": (".apng",)}
VIDEO_SUFFIXES = frozenset(suffix for suffixes in _DEMUXERS.values() for suffix in suffixes)
ANIMATION_SUFFIXES = frozenset(suffix for suffixes in _ANIMATIONS.values() for suffix in suffixes)


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
    container: Any
    is_camera: bool = False
    video: Any = field(init=False)
    sound: list[Any] = field(init=False)
    notes: list[str] = field(init=False, default_factory=list)
    broken: int = 0  # packets that could not be read or decoded
    frames: int = 0
    seen: float = 0.0  # seconds up to which there was anything
    is_interlaced: bool = False  # as far as it was decoded
    is_clear: bool = False  # or may be, somewhere

    def __post_init__(self) -> None:
        streams = self.container.streams
        moving = [stream for stream in streams.video if not int(stream.disposition) & 0x400]  # no cover picture
        if not moving:
            raise VideoError(f"{self.name}: holds no video; give a clip")
        self.video, self.sound = moving[0], list(streams.audio)
        self.video.thread_type = "AUTO"
        if len(moving) > 1:
            self.notes.append("several videos in one file: only the first is painted")
        if streams.subtitles:
            self.notes.append("its subtitles are left out")
        if len(streams.video) > len(moving):
            self.notes.append("its cover picture is left out")
        marks = bool(self.container.chapters()) and "mov" in self.container.format.name  # a track with their titles
        if len(streams) > len(streams.video) + len(streams.audio) + len(streams.subtitles) + marks:
            self.notes.append("its data, such as time codes and attachments, are left out")

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
        return (self.container.duration + start) / 1e6

    @property
    def expected(self) -> int | None:
        if self.video.frames or not self.end:
            return self.video.frames or None
        return round((self.end - (self.container.start_time or 0) / 1e6) * self.rate)

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

    def peeked(self) -> tuple[Any, Generator[Any, None, None]]:
        """Return the first frame, and everything from the start: frames and packets of sound."""
        items, head = self._items(), []
        for item in items:
            head.append(item)
            if not self.is_sound(item):
                return item, _chained(head, items)
        raise VideoError(f"{self.name}: no frame in it can be decoded; get it again")

    def packets(self) -> Iterator[Any]:
        """Yield the packets of the video and of the sound, as far as they can be read."""
        from av.error import FFmpegError

        while True:
            try:
                for packet in self.container.demux(self.video, *self.sound):
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
        for packet in self.packets():
            self.count(packet)
            if packet.stream.index != self.video.index:  # a last, empty packet has the stream, but not its number
                if packet.size:
                    yield packet
            else:
                yield from self._decoded(packet)

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


def _chained(head: list[T], items: Generator[T, None, None]) -> Generator[T, None, None]:
    with closing(items):
        yield from head
        head.clear()
        yield from items


@contextmanager
def opened(source: str | Path | int) -> Generator[Clip]:
    name = f"camera {source}" if isinstance(source, int) else printable(source)
    with _camera(source) if isinstance(source, int) else _file(Path(source)) as container:
        yield Clip(name, container, is_camera=isinstance(source, int))


def _file(path: Path) -> AbstractContextManager[Any]:
    av = pyav()
    try:
        if not path.is_file():
            raise VideoError(path, "no such file", "give a clip")
        if not path.stat().st_size:
            raise VideoError(path, "the file is empty", "get it again")
        return av.open(
            f"file:{path}", options={"format_whitelist": ",".join(_DEMUXERS | _ANIMATIONS)}
        )  # file: a name may look like an address
    except (av.error.FFmpegError, OSError, ValueError) as error:
        if isinstance(error, PermissionError):
            raise VideoError(path, "may not be read", "check its permissions") from error
        raise VideoError(path, "no video, or cut short before its index", "get it again") from error


def _camera(number: int) -> AbstractContextManager[Any]:
    av = pyav()
    try:
        if sys.platform.startswith("linux"):
            return av.open(f"/dev/video{number}", format="v4l2")
        if sys.platform == "darwin":
            return av.open(str(number), format="avfoundation", options={"framerate": "30"})
        devices = importlib.import_module("av.device").enumerate_input_devices("dshow")
        names = [device.name for device in devices if "video" in device.media_types]
        return av.open(f"video={names[number]}", format="dshow")
    except (av.error.FFmpegError, ImportError, IndexError, OSError, ValueError) as error:
        raise VideoError(
            f"camera {number}: there is none, or another program has it; connect or free it, or give a clip"
        ) from error


def pyav() -> Any:
    try:
        av = importlib.import_module("av")
        importlib.import_module("av.video.reformatter")
    except ImportError as error:
        raise VideoError("clips and cameras need PyAV: pip install 'impasto[video]'") from error
    return av
