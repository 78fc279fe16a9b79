"""Animated GIF, WebP and PNG, written frame by frame.

Pillow keeps all frames of an animation until it is written. Here it encodes single pictures, and their data are put
together, so that memory stays as it is for however many frames.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from fractions import Fraction
from typing import BinaryIO, Protocol

import numpy as np
from PIL import Image

from impasto.errors import ImageError

WRITABLE_ANIMATIONS = frozenset({".gif", ".webp", ".png", ".apng"})
_WEBP = {"quality": 90, "method": 4}
_PNG = {"compress_level": 6}


class AnimationWriter(Protocol):
    """Writes an animation; a frame is a whole picture, and replaces the one before."""

    tick: Fraction  # seconds, in which the format counts

    def add(self, pixels: np.ndarray, alpha: np.ndarray | None, ticks: int) -> None:
        """Append (H, W, 3) uint8, with its transparency (H, W, 1) uint8, shown for so many ticks."""
        ...

    def finish(self) -> None: ...


def animation_writer(
    suffix: str, file: BinaryIO, size: tuple[int, int], plays: int, *, may_be_clear: bool
) -> AnimationWriter:
    """Return what writes an animation into an open file.

    Args:
        suffix: one of `WRITABLE_ANIMATIONS`.
        size: width and height.
        plays: how often it is shown, 0 for ever.
        may_be_clear: whether a frame may have transparency.

    Raises:
        ImageError: larger than the format holds.
    """
    most = {".gif": 65535, ".webp": 16383}.get(suffix, 2**31 - 1)
    if max(size) > most:
        raise ImageError(f"a {suffix} holds at most {most} pixels a side; choose a smaller --size")
    if suffix == ".gif":
        return _Gif(file, size, plays)
    return (_WebP if suffix == ".webp" else _Apng)(file, size, plays, may_be_clear)


class _Gif:
    """A palette of 255 colours for each frame, by an octree and with Floyd and Steinberg's dither, and a clear one.

    Seen from a little away, a painting comes out truer so than by median cut, which takes ten times as long.
    """

    tick = Fraction(1, 100)

    def __init__(self, file: BinaryIO, size: tuple[int, int], plays: int):
        self._file, self._size = file, size
        self._waiting: tuple[bytes, bytes, bool, int] | None = None
        file.write(b"GIF89a" + struct.pack("<HHBBB", *size, 0x70, 0, 0))
        if plays != 1:
            file.write(b"\x21\xff\x0bNETSCAPE2.0\x03\x01" + struct.pack("<HB", min(65535, max(0, plays - 1)), 0))

    def add(self, pixels: np.ndarray, alpha: np.ndarray | None, ticks: int) -> None:
        picture = Image.fromarray(pixels)
        palette = picture.quantize(255, Image.Quantize.FASTOCTREE)
        indexed = picture.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
        is_clear = alpha is not None and bool((alpha < 128).any())
        if alpha is not None and is_clear:
            indices = np.where(alpha[..., 0] < 128, np.uint8(255), np.asarray(indexed))
            colours = (indexed.getpalette() or [])[: 255 * 3]
            indexed = Image.fromarray(indices)  # a grey picture until it has its palette
            indexed.putpalette(colours + [0] * (768 - len(colours)))
        self._put(is_clear)
        self._waiting = (*_gif_data(indexed), is_clear, min(ticks, 65535))

    def finish(self) -> None:
        self._put(False)
        self._file.write(b"\x3b")

    def _put(self, next_is_clear: bool) -> None:
        """Write the frame that waits; it is wiped out before one through which it would show."""
        if self._waiting is None:
            return
        palette, data, is_clear, ticks = self._waiting
        bits = max(1, (len(palette) // 3 - 1).bit_length())
        flags = (2 if next_is_clear else 1) << 2 | is_clear
        self._file.write(b"\x21\xf9\x04" + struct.pack("<BHBB", flags, ticks, 255 if is_clear else 0, 0))
        self._file.write(b"\x2c" + struct.pack("<HHHHB", 0, 0, *self._size, 0x80 | bits - 1))
        self._file.write(palette + data)


def _gif_data(picture: Image.Image) -> tuple[bytes, bytes]:
    """Return the palette and the compressed indices of a picture, as a GIF of it has them."""
    still = io.BytesIO()
    picture.save(still, "GIF", optimize=False, interlace=0)
    data = still.getvalue()
    colours = 3 << (data[10] & 7) + 1
    palette, place = data[13 : 13 + colours], 13 + colours
    while data[place] == 0x21:  # extensions
        place += 2
        while data[place]:
            place += data[place] + 1
        place += 1
    if data[place + 9] & 0x80:
        raise ImageError("a GIF of two palettes was written")
    return palette, data[place + 10 : data.rindex(b"\x3b")]


class _Apng:
    """Every frame a whole PNG's data."""

    tick = Fraction(1, 1000)

    def __init__(self, file: BinaryIO, size: tuple[int, int], plays: int, may_be_clear: bool):
        self._file, self._size, self._plays, self._is_clear = file, size, plays, may_be_clear
        self._frames = self._numbers = 0
        file.write(b"\x89PNG\r\n\x1a\n")
        self._chunk(b"IHDR", struct.pack(">IIBBBBB", *size, 8, 6 if may_be_clear else 2, 0, 0, 0))
        self._place = file.tell()
        self._chunk(b"acTL", struct.pack(">II", 0, plays))
        self._chunk(b"sRGB", b"\0")

    def add(self, pixels: np.ndarray, alpha: np.ndarray | None, ticks: int) -> None:
        still = io.BytesIO()
        _with_alpha(pixels, alpha, self._is_clear).save(still, "PNG", **_PNG)
        per_second = next(rate for rate in (1000, 100, 10, 1) if ticks * rate // 1000 <= 65535 or rate == 1)
        lasts = min(65535, ticks * per_second // 1000)
        self._chunk(b"fcTL", struct.pack(">IIIIIHHBB", self._number(), *self._size, 0, 0, lasts, per_second, 0, 0))
        for kind, data in _png_chunks(still.getvalue()):
            if kind == b"IDAT":
                self._chunk(*((b"fdAT", struct.pack(">I", self._number()) + data) if self._frames else (kind, data)))
        self._frames += 1

    def finish(self) -> None:
        self._chunk(b"IEND", b"")
        self._file.seek(self._place)
        self._chunk(b"acTL", struct.pack(">II", self._frames, self._plays))

    def _number(self) -> int:
        self._numbers += 1
        return self._numbers - 1

    def _chunk(self, kind: bytes, data: bytes) -> None:
        self._file.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = 8
    while place < len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        yield data[place + 4 : place + 8], data[place + 8 : place + 8 + length]
        place += length + 12


class _WebP:
    """Every frame a whole lossy WebP's data."""

    tick = Fraction(1, 1000)

    def __init__(self, file: BinaryIO, size: tuple[int, int], plays: int, may_be_clear: bool):
        self._file, self._size, self._is_clear = file, size, may_be_clear
        file.write(b"RIFF\0\0\0\0WEBP")
        self._chunk(b"VP8X", bytes([0x02 | (0x10 if may_be_clear else 0), 0, 0, 0]) + self._sides())
        self._chunk(b"ANIM", struct.pack("<IH", 0, min(plays, 65535)))

    def add(self, pixels: np.ndarray, alpha: np.ndarray | None, ticks: int) -> None:
        still = io.BytesIO()
        _with_alpha(pixels, alpha, alpha is not None).save(still, "WEBP", **_WEBP)
        data = b"".join(chunk for kind, chunk in _webp_chunks(still.getvalue()) if kind in (b"ALPH", b"VP8 ", b"VP8L"))
        head = bytes(6) + self._sides() + min(ticks, 2**24 - 1).to_bytes(3, "little") + b"\x02"  # replaces what was
        self._chunk(b"ANMF", head + data)

    def finish(self) -> None:
        size = self._file.tell() - 8
        self._file.seek(4)
        self._file.write(struct.pack("<I", size))

    def _sides(self) -> bytes:
        return b"".join((side - 1).to_bytes(3, "little") for side in self._size)

    def _chunk(self, kind: bytes, data: bytes) -> None:
        self._file.write(kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2))


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the kind of each chunk, and all of it."""
    place = 12
    while place < len(data):
        length = 8 + int.from_bytes(data[place + 4 : place + 8], "little")
        length += length % 2
        yield data[place : place + 4], data[place : place + length]
        place += length


def _with_alpha(pixels: np.ndarray, alpha: np.ndarray | None, is_clear: bool) -> Image.Image:
    picture = Image.fromarray(pixels)
    if is_clear:
        picture.putalpha(255 if alpha is None else Image.fromarray(np.ascontiguousarray(alpha[..., 0])))
    return picture
