"""What Pillow's errors mean and what to do about them."""

from __future__ import annotations

from PIL import Image, UnidentifiedImageError

from impasto.errors import ImageError, printable


def reason_for(error: Exception, *, writing: bool = False) -> str:
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
