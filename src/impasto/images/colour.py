"""Colour as sRGB and transparency beside it, whatever mode, bit depth and profile a picture comes with."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageCms

from impasto.images.arrays import as_floats
from impasto.images.tensors import as_array, as_tensor
from impasto.system.lazy import lazy

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from torch.nn import functional
else:
    torch = lazy("torch")
    functional = lazy("torch.nn.functional")


def split_alpha(picture: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Return the colour and the transparency of a picture of any mode."""
    if picture.mode in ("La", "RGBa"):
        picture = picture.convert(picture.mode.upper())
    if picture.mode in ("1", "L", "P", "PA", "RGB") and picture.has_transparency_data:
        picture = picture.convert("RGBA")
    if picture.mode in ("LA", "RGBA"):
        return picture.convert(picture.mode[:-1]), picture.getchannel("A")
    return picture, None


def to_srgb(picture: Image.Image, profile: bytes | None) -> np.ndarray:
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


def three_channels(array: np.ndarray) -> np.ndarray:
    """Show (H, W, 3) or (H, W) as (H, W, 3) without a copy."""
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


def fill_hidden(pixels: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Give fully transparent pixels of (H, W, 3) floats the colour of the visible ones around them; `alpha` is (H, W,
    1).

    Painters look at neighbourhoods: whatever an editor left there, often black, would bleed over the edge.
    """
    return as_array(_spread(*(as_tensor(array)[None].contiguous() for array in (pixels, alpha)))[0])


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


def on_white(pixels: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    """Lay (H, W, 3) on white: float32 in [0, 1]; without transparency, (H, W, 1) float32, it comes back as it is."""
    if alpha is None:
        return pixels
    colour = as_tensor(as_floats(pixels) if pixels.dtype == np.uint8 else pixels)
    return as_array(torch.lerp(torch.ones_like(colour), colour, as_tensor(alpha)))
