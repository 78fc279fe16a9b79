"""A film painted in parts, each a closed file beside the result, so that a run that was interrupted can go on.

A part holds the packets of so many frames, the first a key frame, from an encoder of its own: whoever paints it, in
however many runs, it is the same. In the end the packets are joined, none encoded anew, and the sound is laid beside
them. A part's file is its packets, one behind the other; then, as JSON, what they are; then the length of that JSON
and its checksum. What does not fit its checksum is no part, and is painted again.
"""

from __future__ import annotations

import errno
import heapq
import json
import os
import re
import struct
import zlib
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, fields, replace
from fractions import Fraction
from pathlib import Path
from typing import IO, Any, NamedTuple

from impasto.errors import VideoError, counted, printable
from impasto.inference.video.chain import Frame, Mark, Progress
from impasto.inference.video.containers import pyav
from impasto.inference.video.reading import Clip
from impasto.inference.video.writing import Encoder, Writer, telling
from impasto.system.files import written_whole

_FORMAT = 2  # of a part's file
_PIXELS, _LEAST, _MOST = 110_000_000, 24, 250  # of a part, and frames
_FOOT = 8  # bytes: of a length and a checksum
_MADE_FROM = "made_from.json"
_OURS = re.compile(r"\d{6}\.film|made_from\.json|\.impasto-.*\.part")
_REMEDY = "free some space; --resume then goes on"
_REMEDIES = {errno.ENOSPC: _REMEDY, errno.ENOENT: "choose another place, or end other runs that paint the same film"}


def frames_in_a_part(width: int, height: int) -> int:
    """Return how many frames make a part: the larger they are, the fewer."""
    return max(_LEAST, min(_MOST, _PIXELS // (width * height)))


def parts_folder(target: Path) -> Path:
    """Return the folder in which the parts of a film lie while it is painted."""
    name = target.name if len(os.fsencode(target.name)) < 200 else f"{target.stem[:40]}-{len(target.name)}"
    return target.with_name(f".{name}.parts")


def remove_parts(target: Path) -> None:
    """Remove the parts of a film, which is whole now or is not painted further."""
    folder = parts_folder(target)
    with suppress(OSError):
        for path in folder.iterdir():
            if _OURS.fullmatch(path.name):
                path.unlink(missing_ok=True)
        folder.rmdir()


def frames_kept(target: Path) -> int:
    """Return how many frames the parts of a film hold that is not whole yet."""
    return sum(part.frames for part in _parts_in(parts_folder(target)))


class _Row(NamedTuple):
    """A packet, in coding order."""

    size: int
    pts: int
    duration: int
    is_key: bool
    checksum: int


@dataclass(frozen=True)
class _Part:
    path: Path
    rows: list[_Row]
    mark: Mark  # how far the source had been read
    is_last: bool

    @property
    def frames(self) -> int:
        return len(self.rows)

    @property
    def delay(self) -> int:
        """By how many packets one may come later than it is shown."""
        order = {pts: place for place, pts in enumerate(sorted(row.pts for row in self.rows))}
        return max(place - order[row.pts] for place, row in enumerate(self.rows))


@dataclass(frozen=True)
class _Known:
    """What is remembered of a part."""

    path: Path
    frames: int
    mark: Mark
    is_last: bool
    delay: int


class Parts:
    """The parts of one film.

    Args:
        target: the film.
        made_from: all that decides on its frames: parts that were made from something else are removed.
        goes_on: whether to keep those that were made from the same.
        frames_each: the length of a part.

    Raises:
        VideoError: nothing can be written there.
    """

    def __init__(self, target: Path, made_from: Mapping[str, object], *, goes_on: bool, frames_each: int):
        self.target, self.folder, self._frames_each = target, parts_folder(target), frames_each
        stated = {**made_from, "format": _FORMAT, "frames": frames_each}
        self.notes: tuple[str, ...] = ()
        with self._telling():
            if goes_on and self.folder.is_dir() and _stated_in(self.folder) != stated:
                self.notes = ("what an earlier run had painted was made from something else: painted anew",)
            if not goes_on or self.notes:
                remove_parts(target)
            self.folder.mkdir(parents=True, exist_ok=True)
            for path in self.folder.glob(".impasto-*.part"):
                path.unlink(missing_ok=True)
            with written_whole(self.folder / _MADE_FROM, durable=True) as temporary:
                temporary.write_text(json.dumps(stated), encoding="utf-8")
        self._known = [_Known(p.path, p.frames, p.mark, p.is_last, p.delay) for p in _parts_in(self.folder)]
        if self.frames:
            self.notes = (
                f"{counted(self.frames, 'frame')} of it {'was' if self.frames == 1 else 'were'} painted before",
            )

    @property
    def frames(self) -> int:
        return sum(part.frames for part in self._known)

    @property
    def mark(self) -> Mark | None:
        return self._known[-1].mark if self._known else None

    @property
    def is_whole(self) -> bool:
        return bool(self._known) and self._known[-1].is_last

    def fill(
        self, items: Iterator[Frame], encoder: Callable[[], Encoder], clip: Clip, progress: Progress | None
    ) -> None:
        """Encode the frames that are still missing, part by part; raises VideoError."""
        frame = next(items, None)
        while frame is not None:
            with self._telling(), telling(self.target, _REMEDY), closing(encoder()) as one:
                frame = self._add(frame, items, one, clip, progress)

    def _add(
        self, frame: Frame, items: Iterator[Frame], encoder: Encoder, clip: Clip, progress: Progress | None
    ) -> Frame | None:
        """Write one part, from `frame` on; return the frame behind it, None at the end of the film."""
        path, following, frames = self.folder / f"{len(self._known):06}.film", frame, 0
        mark = frame.mark
        with written_whole(path, durable=True) as temporary, temporary.open("wb") as file:
            rows: list[_Row] = []
            while following is not None and frames < self._frames_each:
                rows += _written(encoder.packets(following), file)
                frames, mark = frames + 1, following.mark
                if progress:
                    progress(self.frames + frames, clip.expected)
                following = next(items, None)
            rows += _written(encoder.packets(None), file)
            assert mark is not None
            part = _Part(path, rows, mark, is_last=following is None)
            if part.is_last:  # what was broken behind the last frame
                part = _Part(path, rows, replace(mark, broken=clip.broken), is_last=True)
            stated = {"packets": part.rows, "mark": asdict(part.mark), "is_last": part.is_last}
            foot = json.dumps(stated).encode()
            file.write(foot + struct.pack(">II", len(foot), zlib.crc32(foot)))
        self._known.append(_Known(path, frames, part.mark, part.is_last, part.delay))
        return following

    def join(self, clip: Clip, writer_to: Callable[[Path], Writer]) -> None:
        """Write the film: all packets, and those of the clip's sound beside them, in the order of their times.

        Args:
            clip: just opened; afterwards it knows what those knew who read its frames.
            writer_to: opens a file to be written.

        Raises:
            VideoError: it cannot be written, or another run has removed the parts.
        """
        mark = self._known[-1].mark
        clip.zero = mark.origin
        sound = ((False, packet) for packet in clip.sound_packets())
        coded = ((True, packet) for packet in self._packets(clip.video.time_base))
        with (
            self._telling(),
            written_whole(self.target, within=self.folder) as temporary,
            writer_to(temporary) as writer,
        ):
            for is_coded, packet in heapq.merge(coded, sound, key=lambda item: _decoded_at(item[1])):
                if is_coded:
                    writer.write_coded(packet)
                else:
                    writer.write(packet)
            writer.finish(is_coded=True)
        clip.broken, clip.is_interlaced, clip.is_clear = mark.broken, mark.is_interlaced, mark.is_clear

    def _packets(self, time_base: Fraction) -> Generator[Any, None, None]:
        """Yield the packets of all parts, with the times at which they are decoded, as one encoder would give them.

        A packet is decoded when the frame is shown that comes so many packets earlier as any packet is late.
        """
        make, delay = pyav().Packet, max(part.delay for part in self._known)
        before: list[int] = []
        for known in self._known:
            part = _read(known.path)
            if part is None:
                raise VideoError(self.target, "its parts are gone", "end other runs that paint it, and begin anew")
            shown = before + sorted(row.pts for row in part.rows)
            lead = shown[delay] - shown[0] if len(shown) > delay else delay
            with part.path.open("rb") as file:
                for place, row in enumerate(part.rows, len(before) - delay):
                    if zlib.crc32(data := file.read(row.size)) != row.checksum:
                        part.path.unlink(missing_ok=True)
                        raise VideoError(
                            self.target, "a part of it was damaged on the disk", "--resume paints that part again"
                        )
                    packet = make(data)
                    packet.pts, packet.duration, packet.time_base = row.pts, row.duration, time_base
                    packet.dts = shown[place] if place >= 0 else shown[place + delay] - lead
                    packet.is_keyframe = row.is_key
                    yield packet
            before = shown[len(shown) - delay :]

    @contextmanager
    def _telling(self) -> Generator[None]:
        from av.error import FFmpegError

        try:
            yield
        except FFmpegError:
            raise
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            remedy = _REMEDIES.get(error.errno or 0, "choose another place")
            raise VideoError(
                self.target, f"what is painted cannot be kept in {printable(self.folder)} ({reason})", remedy
            ) from error


def _decoded_at(packet: Any) -> Fraction:
    ticks = packet.dts if packet.dts is not None else packet.pts or 0
    return ticks * packet.time_base


def _written(packets: list[Any], file: IO[bytes]) -> list[_Row]:
    rows: list[_Row] = []
    for packet in packets:
        data = bytes(packet)
        file.write(data)
        rows.append(_Row(packet.size, packet.pts, packet.duration or 0, packet.is_keyframe, zlib.crc32(data)))
    return rows


def _stated_in(folder: Path) -> object:
    with suppress(OSError, ValueError):
        return json.loads((folder / _MADE_FROM).read_text(encoding="utf-8"))
    return None


def _parts_in(folder: Path) -> Iterator[_Part]:
    """Yield the parts that are whole, up to the first that is not."""
    for path in (folder / f"{number:06}.film" for number in range(10**6)):
        if (part := _read(path)) is None:
            return
        yield part


def _read(path: Path) -> _Part | None:
    """Read what a part says of itself; None where it is none, or is not whole."""
    names = {field.name for field in fields(Mark)}
    with suppress(OSError, ValueError, TypeError, KeyError), path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(size - _FOOT)
        length, checksum = struct.unpack(">II", file.read(_FOOT))
        file.seek(size - _FOOT - length)
        if zlib.crc32(foot := file.read(length)) != checksum:
            return None
        stated = json.loads(foot)
        rows = [_Row(*row) for row in stated["packets"]]
        mark = Mark(**{name: stated["mark"][name] for name in names})
        if rows and min(row.size for row in rows) >= 0 and sum(row.size for row in rows) + length + _FOOT == size:
            return _Part(path, rows, mark, bool(stated["is_last"]))
    return None
