"""Clips, cameras and raw frames through a painter: reading, painting and writing at the same time.

Three generators stand one behind the other, the first two in threads of their own, a few frames apart: memory stays as it
is for however long a clip. Rotation, colour ranges and matrices, timestamps and sound live here and nowhere else.
"""

from __future__ import annotations

import importlib
import io
import itertools
import os
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import Any, BinaryIO, TypeVar

import numpy as np

from impasto.errors import VideoError, printable
from impasto.images.formats import MAX_PIXELS
from impasto.system.files import written_whole

Painter = Callable[[np.ndarray], np.ndarray]  # (H, W, 3) uint8 -> the same
Progress = Callable[[int, int | None], None]  # frames done, frames in all as far as they are known
T = TypeVar("T")

_MUXERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
WRITABLE_SUFFIXES = frozenset(_MUXERS)
# What is read, by ffmpeg's names: containers that hold what they play. Playlists and their like make a reader open other
# files, or the network.
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
_AHEAD = 4  # frames between two neighbours in the chain

# swscale's number for each matrix that a file can name (AVColorSpace), and what is taken where none is named.
_MATRICES = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}
# Bilinear, with whole chroma and exact rounding: swscale's quick way makes every picture darker by more than a level.
_CAREFUL = 0x2 | 0x2000 | 0x40000
_BT709, _BT601, _UNSPECIFIED, _LIMITED, _FULL = 1, 5, 2, 1, 2


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

    Every frame keeps its time. The sound is copied as it is. The result is upright, of the input's size, or `size` pixels
    on its longer side; H.264 needs even sides, so an odd one gets its last line twice. A camera is filmed until it
    stops or Ctrl-C.

    Raises:
        VideoError: no video, no camera, or a result that cannot be written, in one line with the remedy.
        ImpastoError: what `paint` raises.
    """
    started, target = time.perf_counter(), Path(target)
    check_writable(target)
    with _opened(source) as clip:
        first, items = clip.peeked()
        plan = _Plan.of(clip, first, size, max_pixels, step=1 if target.suffix.lower() == ".webm" else 2)
        with written_whole(target) as temporary, _Writer(temporary, target, clip, plan, keep_metadata) as writer:
            painted = _painted(paint, _ahead(_upright(items, clip, plan)))
            with closing(_ahead(painted)) as chain, suppress(KeyboardInterrupt) if clip.is_camera else nullcontext():
                for item in chain:
                    writer.write(item)
                    if progress and isinstance(item, _Frame):
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
    with closing(_ahead(_painted(paint, _ahead(_raw_frames(source, width, height))))) as chain:
        for number, frame in enumerate(chain, 1):
            sink.write(frame.pixels.tobytes())
            sink.flush()
            if progress:
                progress(number, None)
    return number


def is_whole(path: Path) -> bool:
    """Whether `path` is a clip that holds as much as it announces; nothing is decoded but its first frame."""
    with suppress(VideoError), _opened(path) as clip:
        clip.peeked()
        for packet in clip.packets():
            clip.count(packet)
        return clip.damage() is None
    return False


def suffix_for(path: Path) -> str:
    """Return .mp4, which everything plays, or .mkv where the clip's sound can only be put there."""
    with suppress(VideoError), _opened(path) as clip:
        if not all(_holds("mp4", _codec(stream)) for stream in clip.sound):
            return ".mkv"
    return ".mp4"


def _codec(stream: Any) -> str:
    context = stream.codec_context
    return context.codec.canonical_name if context else "of an unknown kind"


def _holds(muxer: str, codec: str) -> bool:
    """Whether files of a kind can hold what a codec made."""
    with _av().open(io.BytesIO(), "w", format=muxer) as file:
        return codec in file.supported_codecs


def check_writable(path: Path) -> None:
    """Find out before the work whether a clip could be written to `path`.

    Raises:
        VideoError: PyAV is missing, no known suffix, a folder of that name, or a folder that cannot be written.
    """
    _av()
    if path.suffix.lower() not in _MUXERS:
        raise VideoError(f"{printable(path)}: cannot write a clip there; choose .mp4, .mov, .mkv or .webm")
    if path.is_dir():
        raise VideoError(f"{printable(path)}: a folder; name a file")
    if path.parent.is_dir() and not os.access(path.parent, os.W_OK):
        raise VideoError(f"{printable(path)}: its folder cannot be written; choose another place")


# The chain: read and turned upright in one thread, painted in a second, encoded in the caller's.


@dataclass(frozen=True)
class _Frame:
    pixels: np.ndarray  # (H, W, 3) uint8, upright
    pts: int = 0
    duration: int = 0


def _ahead(items: Generator[T, None, None], depth: int = _AHEAD) -> Generator[T, None, None]:
    """Yield `items`, made in a thread of their own, at most `depth` of them before they are asked for."""
    ready: Queue[tuple[str, Any]] = Queue(depth)
    is_over = Event()

    def hand_over(kind: str, value: object) -> bool:
        while not is_over.is_set():
            with suppress(Full):
                ready.put((kind, value), timeout=0.1)
                return True
        return False

    def work() -> None:
        try:
            with closing(items):
                for item in items:
                    if not hand_over("item", item):
                        return
            hand_over("end", None)
        except BaseException as error:  # raised again where the items are wanted
            hand_over("error", error)

    worker = Thread(target=work, daemon=True)
    worker.start()
    try:
        while (entry := _patiently(ready))[0] == "item":
            yield entry[1]
        if entry[0] == "error":
            raise entry[1]
    finally:
        is_over.set()
        worker.join()


def _patiently(ready: Queue[T]) -> T:
    while True:  # with pauses, in which Ctrl-C is heard on every system
        with suppress(Empty):
            return ready.get(timeout=0.5)


def _painted(paint: Painter, items: Generator[Any, None, None]) -> Generator[Any, None, None]:
    with closing(items):
        for item in items:
            if isinstance(item, _Frame):
                item = _Frame(paint(item.pixels), item.pts, item.duration)
            yield item


def _raw_frames(source: BinaryIO, width: int, height: int) -> Generator[_Frame, None, None]:
    size = width * height * 3
    for number in itertools.count():
        data = source.read(size)
        if not data:
            return
        if len(data) < size:
            raise VideoError(
                f"the input ends {size - len(data)} bytes short of frame {number + 1}; is it rgb24 of {width}x{height}?"
            )
        yield _Frame(np.frombuffer(data, np.uint8).reshape(height, width, 3))


# Reading.


@dataclass
class _Clip:
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
            if not self._is_sound(item):
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
    def _is_sound(item: Any) -> bool:
        return hasattr(item, "stream_index")


def _chained(head: list[T], items: Generator[T, None, None]) -> Generator[T, None, None]:
    with closing(items):
        yield from head
        head.clear()
        yield from items


@contextmanager
def _opened(source: str | Path | int) -> Iterator[_Clip]:
    name = f"camera {source}" if isinstance(source, int) else printable(source)
    with _camera(source) if isinstance(source, int) else _file(Path(source)) as container:
        yield _Clip(name, container, is_camera=isinstance(source, int))


def _file(path: Path) -> AbstractContextManager[Any]:
    av = _av()
    try:
        if not path.is_file():
            raise VideoError(f"{printable(path)}: no such file; give a clip")
        if not path.stat().st_size:
            raise VideoError(f"{printable(path)}: the file is empty; get it again")
        return av.open(
            f"file:{path}", options={"format_whitelist": ",".join(_DEMUXERS | _ANIMATIONS)}
        )  # file: a name may look like an address
    except (av.error.FFmpegError, OSError, ValueError) as error:
        if isinstance(error, PermissionError):
            raise VideoError(f"{printable(path)}: may not be read; check its permissions") from error
        raise VideoError(f"{printable(path)}: no video, or cut short before its index; get it again") from error


def _camera(number: int) -> AbstractContextManager[Any]:
    av = _av()
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


def _av() -> Any:
    try:
        av = importlib.import_module("av")
        importlib.import_module("av.video.reformatter")
    except ImportError as error:
        raise VideoError("clips and cameras need PyAV: pip install 'impasto[video]'") from error
    return av


# What a frame looks like in the file, and upright in RGB.


@dataclass(frozen=True)
class _Plan:
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
    def of(cls, clip: _Clip, first: Any, size: int | None, max_pixels: int, step: int) -> _Plan:
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
            frame, self.width, self.height, "rgba" if self.has_alpha else "rgb24", src_colorspace=self.matrix, src_color_range=self.range,
            dst_color_range=_FULL, interpolation=_CAREFUL,
        )  # fmt: skip
        return _turned(rgb.to_ndarray(), *self.turn)

    def coded(self, pixels: np.ndarray, reformatter: Any) -> Any:
        """Return (H, W, 3) uint8 as a frame for the encoder, in the colours that the clip had."""
        bottom, right = self.padding
        if bottom or right:
            pixels = np.pad(pixels, ((0, bottom), (0, right), (0, 0)), mode="edge")
        rgb = _av().VideoFrame.from_ndarray(np.ascontiguousarray(pixels), "rgb24")
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


def _upright(items: Generator[Any, None, None], clip: _Clip, plan: _Plan) -> Generator[Any, None, None]:
    """Turn decoded frames into `_Frame`s, their times strictly rising; packets of sound pass as they are."""
    reformatter = importlib.import_module("av.video.reformatter").VideoReformatter()
    origin = last = None
    end = clip.video.duration and (clip.video.start_time or 0) + clip.video.duration
    with closing(items):
        for item in items:
            if not clip._is_sound(item):
                step = item.duration or max(1, round(1 / (clip.rate * clip.video.time_base)))
                pts = item.pts if item.pts is not None else (0 if last is None else last + step)
                if origin is None:
                    origin = pts if clip.is_camera else 0  # a camera counts from when the machine was started
                last = pts - origin if last is None else max(pts - origin, last + 1)
                # With B-frames a duration is the time to the next frame in coding order: at the end it may be too long.
                duration = min(item.duration or 0, max(0, end - last)) if end else item.duration or 0
                pixels = plan.read(item, reformatter)
                if plan.has_alpha:
                    clip.is_clear |= bool(pixels[..., 3].min() < 255)
                    pixels = _on_white(pixels)
                item = _Frame(pixels, last, duration)
            yield item


# Writing.


class _Writer:
    """Encodes frames and copies sound into one file."""

    def __init__(self, path: Path, target: Path, clip: _Clip, plan: _Plan, keep_metadata: bool):
        self.target, self.plan, self.frames, self.time_base = target, plan, 0, clip.video.time_base
        self.reformatter = importlib.import_module("av.video.reformatter").VideoReformatter()
        muxer = _MUXERS[target.suffix.lower()]
        options = {"movflags": "faststart"} if muxer in ("mp4", "mov") else {}
        with self._telling():
            self.container = _av().open(str(path), "w", format=muxer, options=options)
        try:
            with self._telling():
                self.video = self._video(clip, "libvpx-vp9" if muxer == "webm" else "libx264")
            self.sound = {stream.index: self._sound(stream, clip) for stream in clip.sound}
            if keep_metadata:
                self.container.metadata.update(clip.container.metadata)
            if chapters := clip.container.chapters():
                self.container.set_chapters(chapters)
        except BaseException:
            self.container.close()
            raise

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        with suppress(Exception) if kind else self._telling():
            self.container.close()

    def write(self, item: Any) -> None:
        """Encode a `_Frame`, or copy a packet of sound."""
        with self._telling():
            if isinstance(item, _Frame):
                frame = self.plan.coded(item.pixels, self.reformatter)
                frame.pts, frame.time_base, frame.duration = item.pts, self.time_base, item.duration
                self.container.mux(self.video.encode(frame))
                self.frames += 1
            else:
                self.container.mux(list(self.sound[item.stream_index](item)))

    def finish(self) -> None:
        with self._telling():
            self.container.mux(self.video.encode(None))
            for track in self.sound.values():
                self.container.mux(list(track(None)))

    def _video(self, clip: _Clip, codec: str) -> Any:
        plan = self.plan
        height, width = (plan.width, plan.height) if plan.turn[0] else (plan.height, plan.width)
        options = {"crf": "18", "preset": "veryfast"}
        if codec == "libvpx-vp9":
            options = {"crf": "30", "b": "0", "deadline": "good", "cpu-used": "5", "row-mt": "1"}
        stream = self.container.add_stream(
            codec, rate=clip.rate, options=options, time_base=self.time_base, pix_fmt="yuv420p",
            width=width + plan.padding[1], height=height + plan.padding[0],
        )  # fmt: skip
        stream.codec_context.flags |= 0x100  # packets last as long as their frames (AV_CODEC_FLAG_FRAME_DURATION)
        stream.codec_context.sample_aspect_ratio = plan.aspect
        for name, value in plan.tags.items():
            setattr(stream.codec_context, name, value)
        return stream

    def _sound(self, stream: Any, clip: _Clip) -> Callable[[Any], Iterator[Any]]:
        """Return what makes the result's packets of a packet of `stream`, and of None at the end."""
        codec = _codec(stream)
        try:
            track: Any = _Copied(self.container.add_stream_from_template(stream, opaque=True))
        except (OSError, ValueError) as error:
            if stream.codec_context is None or _holds("matroska", codec):
                raise VideoError(
                    f"{printable(self.target)}: its sound ({codec}) cannot be put there; choose -o FILE.mkv"
                ) from error
            track = _Encoded(self.container, stream)
            clip.notes.append(f"its sound ({codec}) can be put into none of our files as it is: encoded anew")
        track.stream.disposition = stream.disposition
        track.stream.metadata.update({name: stream.metadata[name] for name in ("language",) if name in stream.metadata})
        return track

    @contextmanager
    def _telling(self) -> Iterator[None]:
        from av.error import FFmpegError

        try:
            yield
        except (FFmpegError, ValueError) as error:
            reason = printable(getattr(error, "strerror", None) or error).lower()
            raise VideoError(
                f"{printable(self.target)}: cannot be written ({reason}); check the disk, or choose another format or size"
            ) from error


class _Copied:
    """Sound put into the result as it is."""

    def __init__(self, stream: Any):
        self.stream = stream

    def __call__(self, packet: Any) -> Iterator[Any]:
        if packet is not None:
            packet.stream = self.stream
            yield packet


class _Encoded:
    """Sound that no file we write can hold as it is, encoded anew."""

    def __init__(self, container: Any, source: Any):
        codec, rate = ("libopus", 48000) if container.format.name == "webm" else ("aac", min(source.rate, 48000))
        layout = source.layout.name
        if layout.endswith("channels"):  # which is which, its file does not say
            layout = "mono" if source.layout.nb_channels == 1 else "stereo"
        self.source, self.stream = source, container.add_stream(codec, rate=rate, layout=layout)
        context = self.stream.codec_context
        context.open()
        self.resampler = _av().AudioResampler(context.format, layout, rate, context.frame_size)

    def __call__(self, packet: Any) -> Iterator[Any]:
        frames = packet.decode() if packet is not None else [*self.source.codec_context.decode(None), None]
        for frame in frames:
            for part in self.resampler.resample(frame):
                yield from self.stream.encode(part)
        if packet is None:
            yield from self.stream.encode(None)
