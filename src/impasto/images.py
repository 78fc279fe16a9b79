"""Photographs in, pictures out: the one place that knows file formats.

Inside impasto an image is a float32 tensor (3, H, W), sRGB in [0, 1], or where that is enough an array of levels, (H, W, 3) uint8,
for which torch need not be imported. EXIF turning, colour profiles, transparency,
bit depths and rounding live here and nowhere else, and so does the mistrust of files from strangers.
"""

from __future__ import annotations

import importlib
import io
import itertools
import os
import re
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, overload

import numpy as np
from PIL import ExifTags, IcoImagePlugin, Image, ImageCms, ImageDraw, ImageFont, ImageOps, UnidentifiedImageError

from impasto.errors import ImageError, UsageError, printable
from impasto.system.files import written_whole
from impasto.system.lazy import lazy

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from torch.nn import functional
else:
    torch, functional = lazy("torch"), lazy("torch.nn.functional")

Source = str | Path | BinaryIO

MAX_PIXELS = 120_000_000
_MIN_SIDE = 16  # what reflection padding and norms at an eighth of the resolution need
_LEAST_JPEG = 8  # a JPEG can be read at an eighth of its sides
_MAX_BYTES = 2**30  # more than that many pixels take, even uncompressed with 16 bits

# Never EPS (Pillow would run Ghostscript on it) nor SVG.
_SUFFIXES = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png", ".apng"),
    "WEBP": (".webp",),
    "GIF": (".gif",),
    "BMP": (".bmp",),
    "TIFF": (".tiff", ".tif"),
    "AVIF": (".avif",),
    "MPO": (".mpo",),
    "ICO": (".ico",),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm", ".pfm"),
    "JPEG2000": (".jp2", ".j2k", ".jpx", ".j2c", ".jpf"),
    "TGA": (".tga",),
}
with suppress(ImportError):  # the extra `heic`
    importlib.import_module("pillow_heif").register_heif_opener()
    _SUFFIXES["HEIF"] = (".heic", ".heif")
# Pictures that people have and we do not read, and what to do about them.
FOREIGN: dict[str, str] = dict.fromkeys(
    (".jxl", ".psd", ".xcf", ".svg", ".eps", ".pdf", ".exr", ".hdr"), "export it as PNG or JPEG"
)
FOREIGN |= dict.fromkeys(
    (".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2"), "develop it into TIFF or JPEG"
)
if "HEIF" not in _SUFFIXES:
    FOREIGN |= dict.fromkeys((".heic", ".heif"), "pip install 'impasto[heic]'")
IMAGE_SUFFIXES = frozenset(suffix for suffixes in _SUFFIXES.values() for suffix in suffixes)

_SAVE_OPTIONS: dict[str, dict[str, object]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "PNG": {"compress_level": 3},  # three times as fast as the default, hardly larger
    "WEBP": {"quality": 95},
    "AVIF": {"quality": 90, "subsampling": "4:4:4"},
    "TIFF": {"compression": "tiff_adobe_deflate"},
    **{name: {} for name in ("GIF", "BMP", "PPM", "JPEG2000", "TGA")},
}
WRITABLE_SUFFIXES = frozenset(suffix for name in _SAVE_OPTIONS for suffix in _SUFFIXES[name])
_HOLDS_ALPHA = {"PNG", "WEBP", "TIFF", "AVIF", "JPEG2000", "TGA"}

_Exif = ExifTags.Base
# What remains true of a photograph once it is painted: neither orientation nor thumbnail nor the layout of its TIFF.
_KEPT_TAGS = {_Exif.ImageDescription, _Exif.Make, _Exif.Model, _Exif.Software, _Exif.DateTime, _Exif.Artist}
_KEPT_TAGS |= {_Exif.Copyright, _Exif.ExifOffset, _Exif.GPSInfo}


_MOST_EXIF = 65_533 - 6  # bytes of a JPEG's segment without its mark


@dataclass(frozen=True)
class Picture:
    """A picture as read: upright unless asked otherwise, sRGB, its transparency beside it."""

    pixels: Tensor | np.ndarray  # (3, H, W) float32 in [0, 1]; (H, W, 3) uint8 only where `as_levels` asks for it
    alpha: Tensor | None  # (1, H, W) float32 in [0, 1], or None when opaque
    exif: bytes | None  # without the orientation, for those who keep metadata
    notes: tuple[str, ...]  # one line each on what the tensor leaves out


def read_picture(
    source: Source,
    *,
    max_pixels: int = MAX_PIXELS,
    at_least: int = 0,
    upright: bool = True,
    as_levels: bool = False,
) -> Picture:
    """Read the first picture of a file or of an open binary stream.

    With `at_least`, a much larger JPEG comes back reduced, several times faster; no side falls below that many pixels.
    Not `upright`, a JPEG or PNG comes back as its pixels are stored, whatever its EXIF says.
    With `as_levels`, an opaque 8-bit picture comes as an array of levels: in a quarter of the memory, and painted sooner.

    Raises:
        ImageError: whatever is wrong with the file, in one line that names it and the remedy.
    """
    try:
        with _opened(source) as stream:
            return _picture(*_loaded(stream, _formats(source), max_pixels, at_least), upright, as_levels)
    except Exception as error:  # Pillow raises nearly every class there is on bad data
        remedy = isinstance(error, UnidentifiedImageError) and _remedy_for(source)
        raise ImageError(f"{printable(source)}: {remedy or _reason(error)}") from error


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
        format = Image.open(stream, formats=_formats(stream)).format
    except Exception as error:
        raise ImageError(f"{printable(stream)}: {_reason(error)}") from error
    return _SUFFIXES["JPEG" if format == "MPO" else format][0] if format in {*_SAVE_OPTIONS, "MPO"} else ".png"


def read_image(source: Source, *, max_pixels: int = MAX_PIXELS, at_least: int = 0, upright: bool = True) -> Tensor:
    """Read as `read_picture` does; return (3, H, W) float32 in [0, 1], its transparency composited on white."""
    picture = read_picture(source, max_pixels=max_pixels, at_least=at_least, upright=upright)
    return from_levels(_on_white(picture.pixels, picture.alpha))


def read_levels(source: Source, *, upright: bool = True) -> Tensor | np.ndarray:
    """Read as `read_image` does, but an opaque 8-bit picture as an array of levels."""
    picture = read_picture(source, upright=upright, as_levels=True)
    return _on_white(picture.pixels, picture.alpha)


def stored_size(path: Path) -> tuple[int, int] | None:
    """Return height and width of a picture as it is stored, not decoded; None where it cannot be read."""
    with suppress(Exception), _opened(path) as stream:  # as in `read_picture`
        picture = Image.open(stream, formats=_formats(path))
        return picture.height, picture.width
    return None


def check_writable(path: Path) -> None:
    """Find out before the work whether `write_image` could write to `path`.

    Raises:
        ImageError: no known suffix, a folder of that name, or a folder that cannot be written.
    """
    _format_of(path.suffix)
    if path.is_dir():
        raise ImageError(f"{printable(path)}: a folder; name a file")
    if path.parent.is_dir() and not os.access(path.parent, os.W_OK):
        raise ImageError(f"{printable(path)}: its folder cannot be written; choose another place")


def write_image(
    path: Source,
    image: Tensor | np.ndarray,
    *,
    alpha: Tensor | None = None,
    exif: bytes | None = None,
    format: str = "",
) -> tuple[str, ...]:
    """Write `image` (3, H, W), clamped to [0, 1] and rounded to 8 bits, or an array of levels, whole or not at all.

    The suffix tells the format; an open binary stream needs `format` ("png"). `alpha` (1, H, W) is kept where the
    format holds it and composited on white elsewhere. No metadata but the sRGB tag is written unless given in `exif`.
    Returns a line for each thing that the format cannot hold.

    Raises:
        ImageError: this format or this picture cannot be written, or the disk refuses.
    """
    try:
        name = _format_of(f".{format}" if format or not isinstance(path, (str, Path)) else Path(path).suffix)
        exif, notes = _fitting(exif, name)
        if isinstance(path, (str, Path)):
            with written_whole(Path(path)) as temporary, io.BufferedRandom(_File(temporary, "w+b")) as file:
                _encode(file, image, alpha, exif, name)
        else:
            buffer = io.BytesIO()  # a stream gets a whole picture or none
            _encode(buffer, image, alpha, exif, name)
            path.write(buffer.getvalue())
            path.flush()
        return notes
    except BrokenPipeError:
        raise
    except Exception as error:
        raise ImageError(f"{printable(path)}: {_reason(error, writing=True)}") from error


def from_pil(image: Image.Image) -> Tensor:
    """Return a Pillow picture of any mode as (3, H, W) float32, upright, sRGB, on white, as `read_image` would.

    Raises:
        ImageError: the picture cannot be decoded.
    """
    return from_levels(levels_from_pil(image))


def levels_from_pil(image: Image.Image) -> Tensor | np.ndarray:
    """As `from_pil`, but an opaque 8-bit picture comes as an array of levels."""
    picture = picture_from_pil(image)
    return _on_white(picture.pixels, picture.alpha)


def picture_from_pil(image: Image.Image) -> Picture:
    """As `from_pil`, but with the transparency beside the colour; an opaque 8-bit picture comes as an array of levels."""
    try:
        return _picture(image.copy(), [], as_levels=True)
    except Exception as error:
        raise ImageError(f"picture in memory: {_reason(error)}") from error


def to_pil(image: Tensor | np.ndarray) -> Image.Image:
    """Return `image` (3, H, W), or a mask (1, H, W), as an 8-bit Pillow picture, clamped to [0, 1] and rounded.

    uint8 is taken as it is, an array of levels among it.

    Raises:
        ImageError: another shape, or values that are not finite.
    """
    if isinstance(image, np.ndarray):
        return Image.fromarray(image)
    if image.ndim != 3 or len(image) not in (1, 3) or 0 in image.shape:
        raise ImageError(f"a tensor of shape {tuple(image.shape)} is no picture; give (3, H, W)")
    levels = image if image.dtype == torch.uint8 else to_levels(image)
    array = levels.permute(1, 2, 0).contiguous().cpu().numpy()
    return Image.fromarray(array if len(image) == 3 else array[..., 0])


def to_levels(image: Tensor) -> Tensor:
    """Return `image` of floats, clamped to [0, 1], as the nearest of 255 levels: uint8 of the same shape.

    Raises:
        ImageError: values that are not finite.
    """
    if not torch.isfinite(image).all():
        raise ImageError("the picture holds NaN or infinite values; try another model or --device cpu")
    # Rounded, not truncated, which would darken every picture by half a level.
    return image.detach().float().clamp(0, 1).mul_(255).round_().to(torch.uint8)


def from_levels(image: Tensor | np.ndarray) -> Tensor:
    """Return `image`, levels in uint8 or floats, as float32 in [0, 1]: (3, H, W) of an array of levels."""
    if isinstance(image, np.ndarray):
        return from_array(image)
    return image.float().div_(255) if image.dtype == torch.uint8 else image.float()


def from_array(array: np.ndarray) -> Tensor:
    """Return (H, W, 3) or (H, W) of uint8, uint16 or float in [0, 1] as a (3, H, W) float32 tensor of its own.

    Raises:
        ImageError: another shape, another type, or floats outside [0, 1].
    """
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[-1] not in (1, 3) or 0 in array.shape:
        raise ImageError(f"an array of shape {array.shape} is no picture; give (H, W, 3) or (H, W)")
    full = {"uint8": 255, "uint16": 65535}.get(array.dtype.name)
    if full is None and not (array.dtype.kind == "f" and array.min() >= 0 and array.max() <= 1):
        raise ImageError(f"an array of {array.dtype} must lie in [0, 1]; or give uint8 or uint16")
    # Bytes are transposed before they are widened: a third less time than the other way round.
    values = torch.from_numpy(np.array(array if full == 255 else array.astype(np.float32), order="C"))
    tensor = values.permute(2, 0, 1).expand(3, -1, -1).contiguous().float()
    return tensor.div_(full) if full else tensor


def size_of(image: Tensor | np.ndarray) -> tuple[int, int]:
    """Return height and width of a tensor (C, H, W) or of an array of levels."""
    height, width = image.shape[:2] if isinstance(image, np.ndarray) else image.shape[-2:]
    return height, width


@overload
def resize(image: Tensor, size: int) -> Tensor: ...
@overload
def resize(image: np.ndarray, size: int) -> np.ndarray: ...
def resize(image: Tensor | np.ndarray, size: int) -> Tensor | np.ndarray:
    """Return `image` (C, H, W) or an array of levels with its longer side `size` long, antialiased; no side becomes 0."""
    height, width = size_of(image)
    longer = max(height, width)
    if size == longer:
        return image
    target = [max(1, round(side * size / longer)) for side in (height, width)]
    if isinstance(image, np.ndarray):
        return np.asarray(Image.fromarray(image).resize((target[1], target[0]), Image.Resampling.BICUBIC))
    resized = functional.interpolate(image[None], size=target, mode="bicubic", antialias=True)[0]
    return resized if image.dtype == torch.uint8 else resized.clamp(0, 1)


def padding(height: int, width: int, multiple: int) -> tuple[int, int, str]:
    """Return how much to add at the bottom and on the right, for sides that are multiples and large enough, and how.

    The border is mirrored where the picture is large enough for that, else repeated: no foreign colour comes in.
    """
    bottom, right = (max(-(-side // multiple) * multiple, _MIN_SIDE) - side for side in (height, width))
    return bottom, right, "reflect" if bottom < height and right < width else "replicate"


def centre_square(image: Tensor, size: int) -> Tensor:
    """Scale (3, H, W) until its shorter side is `size` and cut the middle: (3, size, size)."""
    height, width = image.shape[-2:]
    longest = 4 * min(height, width)  # of a strip, lest scaling it take memory without end
    image = image[:, max(0, (height - longest) // 2) :, max(0, (width - longest) // 2) :][:, :longest, :longest]
    height, width = image.shape[-2:]
    scaled = resize(image, max(size, round(max(height, width) * size / min(height, width))))
    top, left = ((side - size) // 2 for side in scaled.shape[-2:])
    return scaled[:, top : top + size, left : left + size].contiguous()


@dataclass(frozen=True)
class Found:
    """A file, and the folders between what was named and it: `cat` of tree/cat/1.jpg where tree was named."""

    path: Path
    below: Path = Path()


def find_images(sources: Sequence[str | Path], suffixes: Set[str] = IMAGE_SUFFIXES) -> list[Path]:
    """Return the paths of what `find` finds."""
    return [found.path for found in find(sources, suffixes)]


def find(
    sources: Sequence[str | Path],
    suffixes: Set[str] = IMAGE_SUFFIXES,
    passed_over: Callable[[str], None] = lambda line: None,
    closed: Callable[[OSError], None] = lambda error: None,
) -> list[Found]:
    """Return the files that `sources` mean: files as they are, folders walked, patterns expanded; each path once.

    From folders and patterns come only regular files with one of the `suffixes`, sorted; hidden files and folders, and what
    impasto itself leaves in a folder, are passed over. Linked folders are followed, each folder once.
    `passed_over` is called with a line for each kind of picture that is not read, `closed` with the error for each
    folder that may not be.

    Raises:
        UsageError: a source means no file.
    """
    found: dict[Path, Found] = {}
    for source in sources:
        if os.path.isdir(source):  # noqa: PTH112 - Path.is_dir raises where a folder above is closed
            matches = _walked(Path(source), suffixes, passed_over, closed)
        elif os.path.lexists(source):
            matches = [Found(Path(source))]
        elif is_address(source):
            raise UsageError(f"{printable(source)}: an address, and addresses are not fetched; download it first")
        else:
            matches = _globbed(Path(source), suffixes)
        if not matches:
            raise UsageError(f"{printable(source)}: no picture there; give a file, a folder or a pattern like '*.jpg'")
        for match in matches:
            found.setdefault(match.path, match)
    return list(found.values())


def is_address(source: object) -> bool:
    """Whether what should be a path is an address such as https://…, which `Path` writes with one slash."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", str(source)) is not None


def contact_sheet(rows: Sequence[Sequence[Tensor]], *, titles: Sequence[str] = (), tile: int = 256) -> Tensor:
    """Lay `rows` of pictures (3, h, w) out on white, each fitted to a tile, a title over each column: (3, H, W)."""
    gutter, letter = max(2, tile // 64), max(10, tile // 14)
    step = tile + gutter
    top = letter + 3 * gutter if titles else gutter
    columns = max([len(titles), *map(len, rows)])
    sheet = Image.new("RGB", (gutter + columns * step, top + max(1, len(rows)) * step), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=letter)
    for x, title in enumerate(titles):
        draw.text((gutter + x * step + tile / 2, top / 2), printable(title), fill="black", font=font, anchor="mm")
    for y, row in enumerate(rows):
        for x, image in enumerate(row):
            picture = to_pil(resize(image, tile))
            left_over = (tile - picture.width) // 2, (tile - picture.height) // 2
            sheet.paste(picture, (gutter + x * step + left_over[0], top + y * step + left_over[1]))
    return from_array(np.array(sheet))


# Reading: open, identify, decode, turn upright, split off the transparency, bring the colour to sRGB.


@contextmanager
def _opened(source: Source) -> Iterator[BinaryIO]:
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


def _formats(source: object) -> list[str]:
    # A TGA file bears no signature: tried on any name, it would take rubbish for a picture. MPO comes with JPEG.
    is_tga = isinstance(source, (str, Path)) and Path(source).suffix.lower() in _SUFFIXES["TGA"]
    return [name for name in _SUFFIXES if name != "MPO" and (name != "TGA" or is_tga)]


def _loaded(stream: BinaryIO, formats: list[str], max_pixels: int, at_least: int) -> tuple[Image.Image, list[str]]:
    """Identify, check and decode the first picture of `stream`; return it with the notes on it."""
    if Image.MAX_IMAGE_PIXELS is not None:  # Pillow's guard stays on behind ours, but must not be the stricter one
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, max_pixels * (_LEAST_JPEG**2 if at_least else 1))
    stream.seek(0)
    start = stream.read(4)
    if not start:
        raise ImageError("the file is empty; download or export it again")
    if start == b"\0\0\1\0":
        _check_size(_icon_content(stream), max_pixels)
    picture = Image.open(stream, formats=formats)
    _check_effort(picture, stream)
    notes = _remarks(picture)
    if at_least:
        picture.draft(None, (at_least, at_least))
    _check_size(picture, max_pixels)
    picture.load()
    return picture, notes


def _remedy_for(source: Source) -> str:
    """Say what to do with a picture of a kind that is not read, as far as its suffix tells."""
    suffix = Path(source).suffix.lower() if isinstance(source, (str, Path)) else ""
    return f"{suffix} is not read here; {FOREIGN[suffix]}" if suffix in FOREIGN else ""


def _icon_content(stream: BinaryIO) -> Image.Image:
    # Pillow decodes an icon while it opens it, whatever the size of the PNG inside: that one is looked at first.
    stream.seek(0)
    stream.seek(IcoImagePlugin.IcoFile(stream).entry[0].offset)
    return Image.open(io.BytesIO(stream.read()), formats=["PNG", "DIB"])


def _check_size(picture: Image.Image, max_pixels: int) -> None:
    pixels = picture.width * picture.height
    if pixels > max_pixels:
        raise ImageError(
            f"{pixels / 1e6:.3g} megapixels, over the limit of {max_pixels / 1e6:.3g}; make it smaller, or raise --max-pixels"
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


def _picture(picture: Image.Image, notes: list[str], upright: bool = True, as_levels: bool = False) -> Picture:
    picture.load()
    exif = _turn_upright(picture) if upright else None
    colour, mask = _split(picture)
    try:
        values = _srgb(colour, picture.info.get("icc_profile"))
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        values = _srgb(colour, None)
        notes.append("colour profile damaged or of another kind: taken as sRGB")
    is_opaque = mask is None or mask.getextrema() == (255, 255)
    if as_levels and is_opaque and values.dtype == np.uint8:
        return Picture(_as_levels(values), None, exif, tuple(notes))
    pixels = from_array(values)
    if mask is None or is_opaque:
        return Picture(pixels, None, exif, tuple(notes))
    alpha = torch.from_numpy(np.array(mask))[None].float().div_(255)
    return Picture(_fill_hidden(pixels, alpha), alpha, exif, tuple(notes))


def _turn_upright(picture: Image.Image) -> bytes | None:
    """Turn `picture` in place as its EXIF says; return what of the EXIF remains true."""
    with suppress(Exception):  # a damaged EXIF block is no reason to refuse a photograph
        ImageOps.exif_transpose(picture, in_place=True)
        exif = picture.getexif()
        for tag in set(exif) - _KEPT_TAGS:
            del exif[tag]
        return exif.tobytes() if exif else None
    return None


def _split(picture: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Return the colour and the transparency of a picture of any mode."""
    if picture.mode in ("La", "RGBa"):
        picture = picture.convert(picture.mode.upper())
    if picture.mode in ("1", "L", "P", "PA", "RGB") and picture.has_transparency_data:
        picture = picture.convert("RGBA")
    if picture.mode in ("LA", "RGBA"):
        return picture.convert(picture.mode[:-1]), picture.getchannel("A")
    return picture, None


def _srgb(picture: Image.Image, profile: bytes | None) -> np.ndarray:
    """Return the colour of an opaque picture as sRGB: (H, W, 3) or (H, W), uint8, uint16, or float in [0, 1]."""
    if picture.mode == "LAB":  # Pillow's conversion is to sRGB already
        picture, profile = picture.convert("RGB"), None
    if picture.mode not in ("L", "RGB", "CMYK") and picture.mode[0] not in "IF":
        picture = picture.convert("L" if picture.mode == "1" else "RGB")
    if profile:
        mode, transform = _transform(profile)
        if (picture.mode, mode) == ("L", "RGB"):
            picture = picture.convert("RGB")
        if transform:  # raises if the profile is for another kind of colour
            picture = ImageCms.applyTransform(picture, transform) or picture
    if picture.mode[0] in "IF":
        return _scaled(np.asarray(picture))
    return _array(picture.convert("RGB") if picture.mode == "CMYK" else picture)


def _array(picture: Image.Image) -> np.ndarray:
    """Return `picture` as an array of its own, band by band: Pillow holds three copies of what it hands over."""
    array = np.empty((picture.height, picture.width, *([] if picture.mode == "L" else [3])), np.uint8)
    for top in range(0, picture.height, 256):
        array[top : top + 256] = np.asarray(picture.crop((0, top, picture.width, min(top + 256, picture.height))))
    return array


def _as_levels(array: np.ndarray) -> np.ndarray:
    """Show (H, W, 3) or (H, W) uint8 as (H, W, 3) without a copy."""
    return array if array.ndim == 3 else np.lib.stride_tricks.as_strided(array, (*array.shape, 3), (*array.strides, 0))


def _scaled(values: np.ndarray) -> np.ndarray:
    """Bring grey of 16 bits, 32 bits or floats to [0, 1]: by its full scale, or by its own wider range."""
    if values.dtype.kind == "u":
        return values.astype(np.uint16)
    finite = values[np.isfinite(values)]
    low, high = finite.min(initial=0), float(finite.max(initial=1 if values.dtype.kind == "f" else 65535))
    return np.nan_to_num((np.clip(values.astype(np.float64), low, high) - low) / (high - low))


@lru_cache(maxsize=4)
def _transform(profile: bytes) -> tuple[str, ImageCms.ImageCmsTransform | None]:
    """Return the mode that `profile` is for and the way from there to sRGB, None where that changes nothing."""
    mode = {b"GRAY": "L", b"RGB ": "RGB", b"CMYK": "CMYK"}.get(profile[16:20], "")
    source, target = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
    relative, flags = ImageCms.Intent.RELATIVE_COLORIMETRIC, ImageCms.Flags.BLACKPOINTCOMPENSATION
    transform = ImageCms.buildTransform(source, target, mode, "RGB", relative, flags)
    return mode, None if mode != "CMYK" and _is_identity(transform, mode) else transform


def _is_identity(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Whether no colour moves by more than a level: sRGB under one of its many names, best left exactly as it is."""
    levels = np.linspace(0, 255, 16).round().astype(np.uint8)
    colours = Image.fromarray(np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(64, 64, 3)).convert(mode)
    moved = np.asarray(ImageCms.applyTransform(colours, transform), dtype=np.int16)
    return bool(np.abs(moved - np.asarray(colours.convert("RGB"))).max() <= 1)


def _fill_hidden(pixels: Tensor, alpha: Tensor) -> Tensor:
    """Give fully transparent pixels the colour of the visible ones around them.

    Painters look at neighbourhoods: whatever an editor left there, often black, would bleed over the edge.
    """
    return _spread(pixels[None], alpha[None])[0]


def _spread(colour: Tensor, weight: Tensor) -> Tensor:
    # Averages over ever larger squares, weighted by what is visible in them, reach every pixel in linear time.
    visible = weight > 0
    if visible.all():
        return colour
    if visible.numel() == 1:
        return torch.ones_like(colour)
    total = functional.avg_pool2d(colour * weight, 2, ceil_mode=True)
    share = functional.avg_pool2d(weight, 2, ceil_mode=True)
    coarse = _spread(total / share.clamp_min(1e-9), share)
    around = functional.interpolate(coarse, size=weight.shape[-2:], mode="bilinear")
    return torch.where(visible, colour, around)


def _on_white(pixels: Tensor | np.ndarray, alpha: Tensor | None) -> Tensor | np.ndarray:
    if alpha is None:
        return pixels
    colour = from_levels(pixels)
    return torch.lerp(torch.ones_like(colour), colour, alpha)


def _walked(
    folder: Path, suffixes: Set[str], passed_over: Callable[[str], None], closed: Callable[[OSError], None]
) -> list[Found]:
    files = list(_files_below(folder, closed))
    foreign = Counter(suffix for path in files if (suffix := path.suffix.lower()) in FOREIGN)
    for suffix, number in sorted(foreign.items()):
        passed_over(f"{printable(folder)}: {number} {suffix} passed over: {FOREIGN[suffix]}")
    for path in sorted(files):
        if path.suffix.lower() in suffixes and path.is_symlink() and not os.path.exists(path):  # noqa: PTH110 - as below
            passed_over(f"{printable(path)}: passed over, a link to nothing")
    wanted = sorted(path for path in files if _is_wanted(path, suffixes))
    return [Found(path, path.parent.relative_to(folder)) for path in wanted]


def _files_below(folder: Path, closed: Callable[[OSError], None]) -> Iterator[Path]:
    """Yield every file below `folder` but our own leavings and what hidden folders hold; through links, too, each folder once."""
    seen: set[tuple[int, int]] = set()
    waiting = [folder]
    while waiting:  # links come last: what really lies here keeps its own path
        links: list[Path] = []
        for top in waiting:
            for parent, folders, names in os.walk(top, onerror=closed):
                status = os.stat(parent)  # noqa: PTH116 - os.walk gives strings
                if (status.st_dev, status.st_ino) in seen:
                    folders.clear()
                    continue
                seen.add((status.st_dev, status.st_ino))
                below = [Path(parent, name) for name in sorted(folders) if not name.startswith(".")]
                links += [path for path in below if path.is_symlink()]
                folders[:] = [path.name for path in below if not path.is_symlink()]
                yield from (Path(parent, name) for name in names if not _is_leaving(name, names))
        waiting = links


def _is_leaving(name: str, beside: Sequence[str]) -> bool:
    """Whether a file is what training or comparing draws into a folder, as the other files there tell."""
    return name in ("contact_sheet.png", "curve.png") and not {"report.json", "config.yaml", "metrics.csv"}.isdisjoint(
        beside
    )


def _globbed(pattern: Path, suffixes: Set[str]) -> list[Found]:
    with suppress(ValueError, IndexError, NotImplementedError, OSError):  # no pattern, or none that can be followed
        fixed = Path(*itertools.takewhile(lambda part: not set(part) & set("*?["), pattern.parts[:-1]))
        found = Path(pattern.anchor).glob(str(pattern.relative_to(pattern.anchor)))
        return [Found(path, path.parent.relative_to(fixed)) for path in sorted(found) if _is_wanted(path, suffixes)]
    return []


def _is_wanted(path: Path, suffixes: Set[str]) -> bool:
    if path.suffix.lower() not in suffixes or path.name.startswith("."):
        return False
    if not os.path.isfile(path):  # noqa: PTH113 - Path.is_file raises where a link leads into a closed folder
        return False
    return path.suffix.lower() != ".ts" or _is_transport_stream(path)


def _is_transport_stream(path: Path) -> bool:
    """Whether a file is what recorders call .ts, and not a program in TypeScript."""
    with suppress(OSError), path.open("rb") as stream:
        return stream.read(1) == b"G"  # the sync byte of every packet
    return True  # what cannot be read is named when it is opened


# Writing.


def _format_of(suffix: str) -> str:
    for name in _SAVE_OPTIONS:
        if suffix.lower() in _SUFFIXES[name]:
            return name
    raise ImageError(f"cannot write {suffix or 'without a suffix'}; choose .png, .jpg, .webp, .avif or .tiff")


class _File(io.FileIO):
    """A file without a descriptor: Pillow then writes by way of Python, which says why the disk refuses."""

    def fileno(self) -> int:
        raise io.UnsupportedOperation("fileno")


def _encode(file: BinaryIO, image: Tensor | np.ndarray, alpha: Tensor | None, exif: bytes | None, format: str) -> None:
    if format not in _HOLDS_ALPHA:
        image, alpha = _on_white(image, alpha), None
    picture = to_pil(image)
    if alpha is not None:
        picture.putalpha(to_pil(alpha))
    options = _SAVE_OPTIONS[format] | {"icc_profile": _srgb_profile()}
    if exif:
        options |= {"exif": exif, "compression": None}  # libtiff, which compresses, cannot write an EXIF block
    picture.save(file, format, **options)


def _fitting(exif: bytes | None, format: str) -> tuple[bytes | None, tuple[str, ...]]:
    """Return as much of an EXIF block as a file of that format can hold, with a line on what it cannot."""
    if not exif or format != "JPEG" or len(exif) <= _MOST_EXIF:
        return exif, ()
    block = Image.Exif()
    block.load(exif)
    details = block.get_ifd(_Exif.ExifOffset)
    for tag in (_Exif.MakerNote, _Exif.UserComment):  # what cameras fill with data of their own
        details.pop(tag, None)
    smaller = block.tobytes()
    if len(smaller) <= _MOST_EXIF:
        return smaller, ("its EXIF is too long for a JPEG: written without the camera's own notes",)
    return None, ("its EXIF is too long for a JPEG: left out; PNG and WebP can hold it",)


@lru_cache(maxsize=1)
def _srgb_profile() -> bytes:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    # Bytes 24 to 36 hold the time of creation; the same picture shall give the same file.
    return profile[:24] + bytes.fromhex("07d0 0001 0001 0000 0000 0000") + profile[36:]


def _reason(error: Exception, *, writing: bool = False) -> str:
    """Say in one line what went wrong and what to do about it."""
    if isinstance(error, ImageError):
        return str(error)
    if isinstance(error, UnidentifiedImageError):
        return "not a picture of a known format, or its beginning is damaged; convert it to JPEG or PNG"
    if isinstance(error, Image.DecompressionBombError):
        return "more pixels than allowed; make it smaller, or raise --max-pixels"
    if isinstance(error, MemoryError):
        return "not enough memory; make the picture smaller"
    if isinstance(error, OSError) and error.strerror and (writing or error.filename):
        return f"{error.strerror.lower()}; check the name, the permissions and the disk"
    detail = printable(str(error))[:80] or type(error).__name__
    if writing:
        return f"cannot be written ({detail}); choose another format or size"
    return f"damaged or cut short ({detail}); download or export it again"
