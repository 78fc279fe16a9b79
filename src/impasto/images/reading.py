"""Photographs in: files, streams and Pillow pictures, opened with mistrust and decoded to `Picture`."""

from __future__ import annotations

import io
import os
import re
import stat
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from PIL import ExifTags, IcoImagePlugin, Image, ImageCms, UnidentifiedImageError

from impasto.errors import ImageError
from impasto.images.arrays import as_floats
from impasto.images.colour import fill_hidden, on_white, split_alpha, three_channels, to_srgb
from impasto.images.exif import turn_upright
from impasto.images.formats import SAVE_OPTIONS, SUFFIXES, Source, readable_formats, remedy_for
from impasto.images.reasons import reason_for
from impasto.images.tensors import from_levels
from impasto.system.choices import MAX_PIXELS
from impasto.system.files import is_address

if TYPE_CHECKING:
    from torch import Tensor

_LEAST_JPEG = 8  # a JPEG can be read at an eighth of its sides
_MAX_BYTES = 2**30  # more than that many pixels take, even uncompressed with 16 bits


@dataclass(frozen=True)
class Picture:
    """A picture as read: upright unless asked otherwise, sRGB, its transparency beside it."""

    pixels: np.ndarray  # (H, W, 3) uint8; float32 in [0, 1] where 16 bits or transparency need it
    alpha: np.ndarray | None  # (H, W, 1) float32 in [0, 1], or None when opaque
    exif: bytes | None  # without the orientation, for those who keep metadata
    notes: tuple[str, ...]  # one line each on what the pixels leave out


def read_picture(
    source: Source,
    *,
    max_pixels: int = MAX_PIXELS,
    at_least: int = 0,
    upright: bool = True,
    fill: bool = True,
) -> Picture:
    """Read the first picture of a file or of an open binary stream.

    With `at_least`, a much larger JPEG comes back reduced, several times faster; no side falls below that many pixels.
    Not `upright`, a JPEG or PNG comes back as its pixels are stored, whatever its EXIF says. Without `fill`, what is
    fully transparent keeps the colour that the file has there: for those who look at the transparency alone.

    Raises:
        ImageError: whatever is wrong with the file, in one line that names it and the remedy.
    """
    try:
        with opened_file(source) as stream:
            return _picture(*_loaded(stream, readable_formats(source), max_pixels, at_least), upright, fill)
    except Exception as error:  # Pillow raises nearly every class there is on bad data
        remedy = isinstance(error, UnidentifiedImageError) and remedy_for(source)
        raise ImageError(source, remedy or reason_for(error)) from error


def buffered(stream: BinaryIO) -> BinaryIO:
    """Return what a stream holds, as far as it can be a picture, as one of the same name that can be read again."""
    held = _Held(stream.read(_MAX_BYTES))
    held.name = getattr(stream, "name", "stream")
    return held


class _Held(io.BytesIO):
    name: str


def suffix_of(stream: BinaryIO) -> str:
    """Return the suffix with which to write what was read from `stream`: of its own format, or .png.

    Raises:
        ImageError: it holds no picture.
    """
    try:
        stream.seek(0)
        format = Image.open(stream, formats=readable_formats(stream)).format
    except Exception as error:
        raise ImageError(stream, reason_for(error)) from error
    return SUFFIXES["JPEG" if format == "MPO" else format][0] if format in {*SAVE_OPTIONS, "MPO"} else ".png"


def read_image(source: Source, *, max_pixels: int = MAX_PIXELS, at_least: int = 0, upright: bool = True) -> Tensor:
    """Read as `read_picture` does; return (3, H, W) float32 in [0, 1], its transparency composited on white."""
    picture = read_picture(source, max_pixels=max_pixels, at_least=at_least, upright=upright)
    return from_levels(on_white(picture.pixels, picture.alpha))


def read_levels(source: Source, *, upright: bool = True) -> np.ndarray:
    """Read as `read_picture` does; return (H, W, 3), its transparency composited on white."""
    picture = read_picture(source, upright=upright)
    return on_white(picture.pixels, picture.alpha)


def stored_size(path: Path) -> tuple[int, int] | None:
    """Return height and width of a picture as it is stored, not decoded; None where it cannot be read."""
    with suppress(Exception), opened_file(path) as stream:  # as in `read_picture`
        picture = Image.open(stream, formats=readable_formats(path))
        return picture.height, picture.width
    return None


def orientation_of(path: Path) -> int:
    """Return how a picture's EXIF says that it is to be turned, 1 to 8; 1, not at all, where it says nothing."""
    with suppress(Exception), opened_file(path) as stream:  # as in `read_picture`
        return int(Image.open(stream, formats=readable_formats(path)).getexif().get(ExifTags.Base.Orientation, 1))
    return 1


def from_pil(image: Image.Image) -> Tensor:
    """Return a Pillow picture of any mode as (3, H, W) float32, upright, sRGB, on white, as `read_image` would.

    Raises:
        ImageError: the picture cannot be decoded.
    """
    picture = picture_from_pil(image)
    return from_levels(on_white(picture.pixels, picture.alpha))


def picture_from_pil(image: Image.Image) -> Picture:
    """Return a Pillow picture of any mode as `read_picture` would; raises ImageError where it cannot be decoded."""
    try:
        return _picture(image.copy(), [])
    except Exception as error:
        raise ImageError(f"picture in memory: {reason_for(error)}") from error


@contextmanager
def opened_file(source: Source) -> Generator[BinaryIO]:
    if not isinstance(source, (str, Path)):
        yield source if source.seekable() else io.BytesIO(source.read(_MAX_BYTES))
        return
    # Opened without waiting, lest a FIFO hang, and looked at afterwards, so that nobody can swap it in between. Pillow
    # gets the open file and never its name: it would map the file into memory, where cutting it short kills us.
    if is_address(source) and not os.path.exists(source):  # noqa: PTH110 - Path.exists raises for long names
        raise ImageError("an address, and addresses are not fetched; download it first")
    with open(source, "rb", opener=lambda name, mode: os.open(name, mode | getattr(os, "O_NONBLOCK", 0))) as stream:
        status = os.fstat(stream.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ImageError("not a regular file; give a picture")
        if status.st_size > _MAX_BYTES:
            raise ImageError("larger than any picture of an allowed size; reduce it first")
        yield stream


def _loaded(stream: BinaryIO, formats: list[str], max_pixels: int, at_least: int) -> tuple[Image.Image, list[str]]:
    """Identify, check and decode the first picture of `stream`; return it with the notes on it."""
    if Image.MAX_IMAGE_PIXELS is not None:  # Pillow's guard stays on behind ours, but must not be the stricter one
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, max_pixels * (_LEAST_JPEG**2 if at_least else 1))
    stream.seek(0)
    start = stream.read(4)
    if not start:
        raise ImageError("the file is empty; download or export it again")
    if start == b"\0\0\1\0":
        checked_size(_icon_content(stream), max_pixels)
    picture = Image.open(stream, formats=formats)
    _check_effort(picture, stream)
    notes = _remarks(picture)
    if at_least:
        picture.draft(None, (at_least, at_least))
    checked_size(picture, max_pixels)
    picture.load()
    return picture, notes


def _icon_content(stream: BinaryIO) -> Image.Image:
    # Pillow decodes an icon while it opens it, whatever the size of the PNG inside: that one is looked at first.
    stream.seek(0)
    stream.seek(IcoImagePlugin.IcoFile(stream).entry[0].offset)
    return Image.open(io.BytesIO(stream.read()), formats=["PNG", "DIB"])


def checked_size(picture: Image.Image, max_pixels: int) -> None:
    pixels = picture.width * picture.height
    if pixels > max_pixels:
        raise ImageError(
            f"{pixels / 1e6:.3g} megapixels, over the limit of {max_pixels / 1e6:.3g}; make it smaller, or raise "
            "--max-pixels"
        )


# JPEG 2000's coding styles (COD, COC): levels, size of the code blocks, a transform, size of the precincts per level.
_CODING_STYLE = re.compile(rb"(?s)(?=\xff(?:\x52\0(.).{5}|\x53\0(.)..)[\0-\x20]([\0-\x08][\0-\x08]).[\0\1](.{0,33}))")


def _check_effort(picture: Image.Image, stream: BinaryIO) -> None:
    """Refuse the known ways of asking for hours or gigabytes in few bytes and few pixels."""
    tags = getattr(picture, "tag_v2", {})
    tile = tags.get(ExifTags.Base.TileWidth, 0) * tags.get(ExifTags.Base.TileLength, 0)
    is_excessive = tile > max(2**22, picture.width * picture.height)
    data = b""
    if picture.format == "JPEG2000" or picture.info.get("progressive"):
        place = stream.tell()
        stream.seek(0)
        data = stream.read()
        stream.seek(place)
    if picture.format == "JPEG2000":  # OpenJPEG keeps a kilobyte for each code block and each precinct
        for cod, coc, blocks, rest in _CODING_STYLE.findall(data):
            sides = rest[: max(0, cod[0] - 12 if cod else coc[0] - 9)]
            sides = [min(side % 16, side // 16) + reduced for reduced, side in enumerate(reversed(sides))]
            is_excessive |= sum(blocks) < 4 or min(sides, default=4) < 4
    elif data.count(b"\xff\xda") > 200:  # each pass over a whole JPEG may cost its author a hundred bytes
        is_excessive = True
    if is_excessive:
        raise ImageError("made to exhaust its reader; export it again")


def _remarks(picture: Image.Image) -> list[str]:
    """Return what to tell of `picture`, opened and not yet decoded."""
    notes, tags = [], getattr(picture, "tag_v2", {})
    raw_modes = [str(tile.args)[:12] for tile in getattr(picture, "tile", [])]
    is_inverted = picture.mode == "I;16" and tags.get(ExifTags.Base.PhotometricInterpretation) == 0
    if is_inverted or any("I;12" in raw for raw in raw_modes):
        raise ImageError("grey of a kind that Pillow misreads; export it with 8 bits")
    if getattr(picture, "is_animated", False) and picture.format != "MPO":  # whose further frames are previews
        notes.append("several frames: only the first is read")
    if picture.mode[0] in "IF" or any(";16" in raw for raw in raw_modes):
        notes.append("16-bit picture: written with 8 bits")
    return notes


def _picture(picture: Image.Image, notes: list[str], upright: bool = True, fill: bool = True) -> Picture:
    picture.load()
    exif = turn_upright(picture) if upright else None
    colour, mask = split_alpha(picture)
    try:
        values = to_srgb(colour, picture.info.get("icc_profile"))
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        values = to_srgb(colour, None)
        notes.append("colour profile damaged or of another kind: taken as sRGB")
    is_opaque = mask is None or mask.getextrema() == (255, 255)
    if is_opaque and values.dtype == np.uint8:
        return Picture(three_channels(values), None, exif, tuple(notes))
    pixels = as_floats(values)
    if mask is None or is_opaque:
        return Picture(pixels, None, exif, tuple(notes))
    alpha = np.asarray(mask)[..., None].astype(np.float32) / np.float32(255)
    return Picture(fill_hidden(pixels, alpha) if fill else pixels, alpha, exif, tuple(notes))
