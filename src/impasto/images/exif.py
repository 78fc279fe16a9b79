"""What remains of a photograph's EXIF block, and which part of it a file can hold."""

from __future__ import annotations

from contextlib import suppress

from PIL import ExifTags, Image, ImageOps

_Exif = ExifTags.Base
# What remains true of a photograph once it is painted: neither orientation nor thumbnail nor the layout of its TIFF.
_KEPT_TAGS = {
    _Exif.ImageDescription, _Exif.Make, _Exif.Model, _Exif.Software, _Exif.DateTime, _Exif.Artist, _Exif.Copyright,
    _Exif.ExifOffset, _Exif.GPSInfo,
}  # fmt: skip

_MOST_EXIF = 65_533 - 6  # bytes of a JPEG's segment without its mark


def turn_upright(picture: Image.Image) -> bytes | None:
    """Turn `picture` in place as its EXIF says; return what of the EXIF remains true."""
    with suppress(Exception):  # a damaged EXIF block is no reason to refuse a photograph
        ImageOps.exif_transpose(picture, in_place=True)
        exif = picture.getexif()
        for tag in set(exif) - _KEPT_TAGS:
            del exif[tag]
        return exif.tobytes() if exif else None
    return None


def fitting_exif(exif: bytes | None, format: str) -> tuple[bytes | None, tuple[str, ...]]:
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
