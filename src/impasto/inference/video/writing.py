"""Frames encoded and sound copied into one file."""

from __future__ import annotations

import importlib
import io
import os
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from impasto.errors import VideoError, printable
from impasto.inference.video.chain import Frame
from impasto.inference.video.colours import FramePlan
from impasto.inference.video.containers import pyav
from impasto.inference.video.reading import Clip, opened

_VP9 = "libvpx-vp9"
_MUXERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
WRITABLE_CLIP_SUFFIXES = frozenset(_MUXERS)


def suffix_for(path: Path) -> str:
    """Return .mp4, which everything plays, or .mkv where the clip's sound can only be put there."""
    with suppress(VideoError), opened(path) as clip:
        if not all(_holds("mp4", _codec(stream)) for stream in clip.sound):
            return ".mkv"
    return ".mp4"


def _codec(stream: Any) -> str:
    context = stream.codec_context
    return context.codec.canonical_name if context else "of an unknown kind"


def _holds(muxer: str, codec: str) -> bool:
    """Whether files of a kind can hold what a codec made."""
    with pyav().open(io.BytesIO(), "w", format=muxer) as file:
        return codec in file.supported_codecs


def check_clip_writable(path: Path) -> None:
    """Find out before the work whether a clip could be written to `path`.

    Raises:
        VideoError: PyAV is missing, no known suffix, a folder of that name, or a folder that cannot be written.
    """
    pyav()
    if path.suffix.lower() not in _MUXERS:
        raise VideoError(path, "cannot write a clip there", "choose .mp4, .mov, .mkv or .webm; .gif, .webp or .apng")
    if path.is_dir():
        raise VideoError(path, "a folder", "name a file")
    folder = next(parent for parent in path.absolute().parents if parent.exists())  # those below it will be made
    if not folder.is_dir():
        raise VideoError(path, f"{printable(folder)} is no folder", "choose another place")
    if not os.access(folder, os.W_OK):
        raise VideoError(path, "its folder cannot be written", "choose another place")


def video_stream(container: Any, clip: Clip, plan: FramePlan) -> Any:
    """Add the stream of the painted frames to a container, with its encoder."""
    codec = _VP9 if container.format.name == "webm" else "libx264"
    height, width = (plan.width, plan.height) if plan.turn[0] else (plan.height, plan.width)
    # Its quick sums over the lookahead differ from run to run by a bit.
    options = {"crf": "18", "preset": "veryfast", "x264-params": "cpu-independent=1"}
    if codec == _VP9:
        options = {"crf": "30", "b": "0", "deadline": "good", "cpu-used": "5", "row-mt": "1"}
    stream = container.add_stream(
        codec, rate=clip.rate, options=options, time_base=clip.video.time_base, pix_fmt="yuv420p",
        width=width + plan.padding[1], height=height + plan.padding[0],
    )  # fmt: skip
    stream.codec_context.flags |= 0x100  # packets last as long as their frames (AV_CODEC_FLAG_FRAME_DURATION)
    stream.codec_context.sample_aspect_ratio = plan.aspect
    for name, value in plan.tags.items():
        setattr(stream.codec_context, name, value)
    return stream


def chapters_of(clip: Clip) -> list[Any]:
    """Return the chapters, at the result's times; those of a span end with it."""
    chapters = clip.container.chapters()
    if not clip.starts_anew:
        return chapters
    zero = clip.zero * clip.video.time_base
    end = None if clip.span.end is None else clip.start + clip.span.end - zero
    kept = []
    for chapter in chapters:
        base = chapter["time_base"]
        first, last = chapter["start"] * base - zero, chapter["end"] * base - zero
        last = last if end is None else min(last, end)
        if last > max(first, 0):
            kept.append({**chapter, "start": round(max(first, 0) / base), "end": round(last / base)})
    return kept


class Encoder:
    """Encodes frames into packets that go into no file yet; the first of them is a key frame.

    Args:
        target: the file that they are for.
    """

    def __init__(self, target: Path, clip: Clip, plan: FramePlan):
        self.plan, self.time_base = plan, clip.video.time_base
        self.reformatter = importlib.import_module("av.video.reformatter").VideoReformatter()
        self._nowhere = pyav().open(io.BytesIO(), "w", format=_MUXERS[target.suffix.lower()])
        self.stream = video_stream(self._nowhere, clip, plan)

    def packets(self, frame: Frame | None) -> list[Any]:
        """Return what is ready once a frame has come, or none will any more; raises FFmpegError."""
        if frame is None:
            return self.stream.encode(None)
        coded = self.plan.coded(frame.pixels, self.reformatter)
        coded.pts, coded.time_base, coded.duration = frame.pts, self.time_base, frame.duration
        return self.stream.encode(coded)

    def close(self) -> None:
        """Free the encoder at once: it and its container hold each other, and its frames are tens of megabytes."""
        self._nowhere.close()


@contextmanager
def telling(target: Path, remedy: str = "check the disk, or choose another format or size") -> Generator[None]:
    """Turn what goes wrong in writing into one line on `target`."""
    from av.error import FFmpegError

    try:
        yield
    except (FFmpegError, ValueError) as error:
        reason = printable(getattr(error, "strerror", None) or error).lower()
        raise VideoError(target, f"cannot be written ({reason})", remedy) from error


class Writer:
    """Encodes frames and copies sound into one file."""

    def __init__(self, path: Path | BinaryIO, target: Path, clip: Clip, plan: FramePlan, keep_metadata: bool):
        self.target, self.plan, self.frames, self.time_base = target, plan, 0, clip.video.time_base
        self.reformatter = importlib.import_module("av.video.reformatter").VideoReformatter()
        muxer = _MUXERS[target.suffix.lower()]
        options = {"movflags": "faststart"} if muxer in ("mp4", "mov") else {}
        with telling(self.target):
            self.container = pyav().open(
                str(path) if isinstance(path, Path) else path, "w", format=muxer, options=options
            )
        try:
            with telling(self.target):
                self.video = video_stream(self.container, clip, plan)
            self.sound = {stream.index: self._sound(stream, clip) for stream in clip.sound}
            if keep_metadata:
                self.container.metadata.update(clip.container.metadata)
            if chapters := chapters_of(clip):
                self.container.set_chapters(chapters)
        except BaseException:
            self.container.close()
            raise

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        with suppress(Exception) if kind else telling(self.target):
            self.container.close()

    def write(self, item: Any) -> None:
        """Encode a `Frame`, or copy a packet of sound."""
        with telling(self.target):
            if isinstance(item, Frame):
                frame = self.plan.coded(item.pixels, self.reformatter)
                frame.pts, frame.time_base, frame.duration = item.pts, self.time_base, item.duration
                self.container.mux(self.video.encode(frame))
                self.frames += 1
            else:
                self.container.mux(list(self.sound[item.stream_index](item)))

    def write_coded(self, packet: Any) -> None:
        """Put in a packet that an `Encoder` made."""
        with telling(self.target):
            packet.stream = self.video
            self.container.mux(packet)

    def finish(self, *, is_coded: bool = False) -> None:
        """Write what is still on its way; no frame but those of `write` is, where the frames came as packets."""
        with telling(self.target):
            if not is_coded:
                self.container.mux(self.video.encode(None))
            for track in self.sound.values():
                self.container.mux(list(track(None)))

    def _sound(self, stream: Any, clip: Clip) -> Callable[[Any], Iterator[Any]]:
        """Return what makes the result's packets of a packet of `stream`, and of None at the end."""
        codec = _codec(stream)
        try:
            track: Any = _Copied(self.container.add_stream_from_template(stream, opaque=True))
        except (OSError, ValueError) as error:
            if stream.codec_context is None or _holds("matroska", codec):
                raise VideoError(
                    self.target, f"its sound ({codec}) cannot be put there", "choose -o FILE.mkv"
                ) from error
            track = _Encoded(self.container, stream)
            clip.notes.append(f"its sound ({codec}) can be put into none of our files as it is: encoded anew")
        track.stream.disposition = stream.disposition
        track.stream.metadata.update({name: stream.metadata[name] for name in ("language",) if name in stream.metadata})
        return track


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
        self.resampler = pyav().AudioResampler(context.format, layout, rate, context.frame_size)

    def __call__(self, packet: Any) -> Iterator[Any]:
        frames = packet.decode() if packet is not None else [*self.source.codec_context.decode(None), None]
        for frame in frames:
            for part in self.resampler.resample(frame):
                yield from self.stream.encode(part)
        if packet is None:
            yield from self.stream.encode(None)
