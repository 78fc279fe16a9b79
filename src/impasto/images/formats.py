"""The formats of pictures: their suffixes, what is read and written of them and with which options."""

from __future__ import annotations

import importlib
from contextlib import suppress
from pathlib import Path, PurePath
from typing import BinaryIO

from impasto.errors import ImageError

Source = str | Path | BinaryIO

# Never EPS (Pillow would run Ghostscript on it) nor SVG.
SUFFIXES = {
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
    SUFFIXES["HEIF"] = (".heic", ".heif")
# Pictures that people have and we do not read, and what to do about them.
FOREIGN: dict[str, str] = {
    **dict.fromkeys((".jxl", ".psd", ".xcf", ".svg", ".eps", ".pdf", ".exr", ".hdr"), "export it as PNG or JPEG"),
    **dict.fromkeys((".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2"), "develop it into TIFF or JPEG"),
}
if "HEIF" not in SUFFIXES:
    FOREIGN.update(dict.fromkeys((".heic", ".heif"), "pip install 'impasto[heic]'"))
IMAGE_SUFFIXES = frozenset(suffix for suffixes in SUFFIXES.values() for suffix in suffixes)

SAVE_OPTIONS: dict[str, dict[str, object]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "PNG": {"compress_level": 3},  # three times as fast as the default, hardly larger
    "WEBP": {"quality": 95},
    "AVIF": {"quality": 90, "subsampling": "4:4:4"},
    "TIFF": {"compression": "tiff_adobe_deflate"},
    **{name: {} for name in ("GIF", "BMP", "PPM", "JPEG2000", "TGA")},
}
WRITABLE_SUFFIXES = frozenset(suffix for name in SAVE_OPTIONS for suffix in SUFFIXES[name])
HOLDS_ALPHA = {"PNG", "WEBP", "TIFF", "AVIF", "JPEG2000", "TGA"}


def is_picture(path: PurePath) -> bool:
    """Whether a file is a picture, by its suffix alone."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def readable_formats(source: object) -> list[str]:
    # A TGA file bears no signature: tried on any name, it would take rubbish for a picture. MPO comes with JPEG.
    is_tga = isinstance(source, (str, Path)) and Path(source).suffix.lower() in SUFFIXES["TGA"]
    return [name for name in SUFFIXES if name != "MPO" and (name != "TGA" or is_tga)]


def remedy_for(source: Source) -> str:
    """Say what to do with a picture of a kind that is not read, as far as its suffix tells."""
    suffix = Path(source).suffix.lower() if isinstance(source, (str, Path)) else ""
    return f"{suffix} is not read here; {FOREIGN[suffix]}" if suffix in FOREIGN else ""


def format_of(suffix: str) -> str:
    for name in SAVE_OPTIONS:
        if suffix.lower() in SUFFIXES[name]:
            return name
    raise ImageError(f"cannot write {suffix or 'without a suffix'}; choose .png, .jpg, .webp, .avif or .tiff")
