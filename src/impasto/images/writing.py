"""Pictures into files, whole or not at all."""

from __future__ import annotations

import io
import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from PIL import ImageCms

from impasto.errors import ImageError
from impasto.images.colour import on_white
from impasto.images.exif import fitting_exif
from impasto.images.formats import HOLDS_ALPHA, SAVE_OPTIONS, Source, format_of
from impasto.images.reasons import reason_for
from impasto.images.tensors import as_picture, to_pil
from impasto.system.files import written_whole

if TYPE_CHECKING:
    from torch import Tensor


def check_writable(path: Path) -> None:
    """Find out before the work whether `write_image` could write to `path`.

    Raises:
        ImageError: no known suffix, a folder of that name, or a folder that cannot be written.
    """
    format_of(path.suffix)
    if path.is_dir():
        raise ImageError(path, "a folder", "name a file")
    if path.parent.is_dir() and not os.access(path.parent, os.W_OK):
        raise ImageError(path, "its folder cannot be written", "choose another place")


def write_image(
    path: Source,
    image: Tensor | np.ndarray,
    *,
    alpha: Tensor | np.ndarray | None = None,
    exif: bytes | None = None,
    format: str = "",
) -> tuple[str, ...]:
    """Write a picture (H, W, 3), or a tensor (3, H, W), clamped to [0, 1] and rounded to 8 bits, whole or not at all.

    The suffix tells the format; an open binary stream needs `format` ("png"). `alpha`, of one channel, is kept where
    the format holds it and composited on white elsewhere. No metadata but the sRGB tag is written unless given in
    `exif`. Returns a line for each thing that the format cannot hold.

    Raises:
        ImageError: this format or this picture cannot be written, or the disk refuses.
    """
    try:
        name = format_of(f".{format}" if format or not isinstance(path, (str, Path)) else Path(path).suffix)
        exif, notes = fitting_exif(exif, name)
        image, alpha = as_picture(image), None if alpha is None else as_picture(alpha)
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
        raise ImageError(path, reason_for(error, writing=True)) from error


class _File(io.FileIO):
    """A file without a descriptor: Pillow then writes by way of Python, which says why the disk refuses."""

    def fileno(self) -> int:
        raise io.UnsupportedOperation("fileno")


def _encode(file: BinaryIO, image: np.ndarray, alpha: np.ndarray | None, exif: bytes | None, format: str) -> None:
    if format not in HOLDS_ALPHA:
        image, alpha = on_white(image, alpha), None
    picture = to_pil(image)
    if alpha is not None:
        picture.putalpha(to_pil(alpha))
    options = SAVE_OPTIONS[format] | {"icc_profile": _srgb_profile()}
    if exif:
        options |= {"exif": exif, "compression": None}  # libtiff, which compresses, cannot write an EXIF block
    picture.save(file, format, **options)


@lru_cache(maxsize=1)
def _srgb_profile() -> bytes:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    # Bytes 24 to 36 hold the time of creation; the same picture shall give the same file.
    return profile[:24] + bytes.fromhex("07d0 0001 0001 0000 0000 0000") + profile[36:]
