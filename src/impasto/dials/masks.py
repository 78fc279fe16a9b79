"""Where to paint: masks from picture files, and a photograph and its paintings laid together along them.

A mask is an array (H, W), float32 in [0, 1]: 0 keeps the photograph, 1 is the painting, and between them both are
blended in Oklab (`impasto.images.oklab`), as `Dials.strength` does, so that a soft edge has no dark or dull seam.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from impasto.dials.blocks import blocks, each_block
from impasto.errors import ImageError, UsageError, printable
from impasto.images.arrays import as_floats
from impasto.images.formats import is_picture
from impasto.images.oklab import cones_of, encoded, light_of
from impasto.images.reading import Picture, picture_from_pil, read_picture

MASK_ENDINGS = ("", ".mask", "_mask", "-mask")  # of the stem of a mask's file after that of its photograph
_LIKENESS = 0.02  # relative difference of aspect ratios that rounding and cropping may make
_ROUNDING = np.float32(1e-5)  # of a resampled mask
_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)  # of Rec. 709, for a mask in colours

Mask = np.ndarray | Image.Image | str | Path  # what `mask_from` takes

log = logging.getLogger(__name__)


def mask_from(mask: Mask, size: tuple[int, int]) -> np.ndarray:
    """Return a mask of any kind as one for a photograph of `size`, its height and width.

    Args:
        mask: the path of a picture file, as for `read_mask`; a PIL image of the same meaning; or an array (H, W) of
            bool, uint8, uint16 or floats in [0, 1], of the photograph's own aspect ratio.

    Returns:
        (H, W) float32 in [0, 1], of `size`.

    Raises:
        ImageError: a file that is not readable, or another shape than the photograph's.
        UsageError: no mask of these kinds.
    """
    if isinstance(mask, (str, Path)):
        return read_mask(mask, size)
    if isinstance(mask, Image.Image):
        return fitted(_mask_of(picture_from_pil(mask)), size, "mask")
    if not isinstance(mask, np.ndarray) or mask.ndim != 2:
        shown = f"an array of shape {mask.shape}" if isinstance(mask, np.ndarray) else type(mask).__name__
        raise UsageError(f"{shown} is no mask; give an array (H, W), a PIL image or a file")
    try:
        values = as_floats(mask.astype(np.float32) if mask.dtype == bool else mask)[..., 0]
    except ImageError as error:
        raise UsageError(f"no mask: {error}") from error
    return fitted(np.ascontiguousarray(values), size, "mask")


def read_mask(path: str | Path, size: tuple[int, int], *, invert: bool = False, note: bool = True) -> np.ndarray:
    """Read a picture file as a mask for a photograph of `size`, its height and width.

    White is 1 and black is 0, of 1, 8 or 16 bits; colours count by their luma. A picture with transparency is a mask by
    its alpha channel, whatever its colours. It is turned upright as its EXIF says, and resampled to `size`. A mask that
    is 0 everywhere is logged and no error.

    Args:
        invert: paint what the mask leaves out.
        note: log it if the mask is empty.

    Returns:
        (H, W) float32 in [0, 1], of `size`.

    Raises:
        ImageError: not readable, or of another shape than the photograph.
    """
    mask = fitted(_mask_of(read_picture(path, fill=False)), size, path)
    mask = np.float32(1) - mask if invert else mask
    if note and not mask.any():
        log.info(f"{printable(path)}: an empty mask: the photograph stays as it is")
    return mask


def fitted(mask: np.ndarray, size: tuple[int, int], name: object) -> np.ndarray:
    """Resample a mask (H, W) to `size`; raises ImageError, which calls it `name`, for another aspect ratio."""
    if not _has_shape_of(mask.shape, size):
        raise ImageError(
            name,
            f"a mask of another shape: {mask.shape[1]} x {mask.shape[0]} pixels for a photograph of "
            f"{size[1]} x {size[0]}",
            "draw it on the photograph itself, upright and uncropped",
        )
    return _resampled(mask, size)


def find_mask(masks: str | Path, photograph: str | Path) -> Path:
    """Return the mask for a photograph: `masks` itself, or in a folder the picture that bears the photograph's name.

    In a folder, cat.png, cat.mask.png, cat_mask.png or cat-mask.png, of any readable kind, is the mask of cat.jpg.

    Raises:
        ImageError: no mask found, or several.
    """
    folder, stem = Path(masks), Path(photograph).stem
    if not folder.is_dir():
        if not folder.exists():
            raise ImageError(folder, "no mask found", "give a picture, or a folder of them")
        return folder
    found = masks_named_like(photograph, folder)
    if len(found) != 1:
        reason = f"masks {found[0].name} and {found[1].name} both fit" if found else "no mask found"
        raise ImageError(
            folder,
            f"{printable(reason)} for {printable(Path(photograph).name)}",
            f"keep one, such as {printable(stem)}.png",
        )
    return found[0]


def masks_named_like(photograph: str | Path, folder: Path) -> list[Path]:
    """Return the pictures in a folder whose name says that they are masks of a photograph, as of `find_mask`."""
    names = {Path(photograph).stem + ending for ending in MASK_ENDINGS}
    found = sorted(path for path in folder.iterdir() if path.stem in names and is_picture(path))
    return [path for path in found if path.resolve() != Path(photograph).resolve()]


def _mask_of(picture: Picture) -> np.ndarray:
    return _values(picture.pixels) if picture.alpha is None else picture.alpha[..., 0]


def _values(pixels: np.ndarray) -> np.ndarray:
    """Return the luma of (H, W, 3), uint8 or float32 in [0, 1], as (H, W) float32 in [0, 1]; grey is exact."""
    if pixels.dtype == np.uint8:
        grey = pixels[..., 0]
        if _is_grey(pixels):
            return grey / np.float32(255)
        return (pixels @ (_LUMA / np.float32(255))).clip(0, 1)
    if _is_grey(pixels):
        return np.ascontiguousarray(pixels[..., 0])
    return (pixels @ _LUMA).clip(0, 1)


def _is_grey(pixels: np.ndarray) -> bool:
    red, green, blue = (pixels[..., channel] for channel in range(3))  # whole planes: several times faster
    return np.array_equal(red, green) and np.array_equal(green, blue)


def _resampled(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bring a mask (H, W) to `size`, its height and width; what is 0 or 1 all around stays so exactly."""
    if mask.shape == tuple(size):
        return mask
    plane = Image.fromarray(np.ascontiguousarray(mask, np.float32))
    values = np.asarray(plane.resize((size[1], size[0]), Image.Resampling.BILINEAR))  # Lanczos would ring
    return ((values - _ROUNDING) / np.float32(1 - 2 * _ROUNDING)).clip(0, 1)


def _has_shape_of(mask: tuple[int, ...], photograph: tuple[int, int]) -> bool:
    """Whether the aspect ratios agree within 2 %, or within the pixel that rounding a small mask costs."""
    expected = mask[1] * photograph[0] / photograph[1]
    across = mask[0] * photograph[1] / photograph[0]
    return (
        abs(mask[0] - expected) <= _LIKENESS * max(mask[0], expected)
        or abs(mask[0] - expected) <= 1
        or abs(mask[1] - across) <= 1
    )


def feathered(mask: np.ndarray, share: float = 0.005) -> np.ndarray:
    """Return a mask (H, W) with a soft edge inside its own: what was 0 stays 0, what lies deep inside stays as it is.

    Args:
        share: width of the edge, as a share of the longer side; 0 leaves the mask as it is. What is narrower than twice
            the edge fades.

    Raises:
        UsageError: a share out of [0, 0.5].
    """
    if not 0 <= share <= 0.5:
        raise UsageError(f"feather {share!r}: give a share of the longer side from 0 to 0.5")
    radius = share * max(mask.shape)
    if radius < 0.5:
        return mask
    # A box blur of a straight edge is a ramp, 1/2 at the edge and 1 a radius inside.
    blurred = Image.fromarray(np.rint(mask * 255).astype(np.uint8)).filter(ImageFilter.BoxBlur(radius))
    ramp = (np.asarray(blurred) / np.float32(127.5) - 1).clip(0, 1)
    return np.minimum(mask, ramp * ramp * (3 - 2 * ramp))


def compose(photograph: np.ndarray, painted: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Lay a painting on its photograph where a mask says so, soft values blended in Oklab.

    Args:
        photograph: (H, W, 3), uint8 or float32 in [0, 1].
        painted: of the same shape and type.
        mask: (H, W) in [0, 1].

    Returns:
        The same kind: the photograph's own values where the mask is 0, the painting's where it is 1.

    Raises:
        UsageError: shapes or types that do not fit together.
    """
    return compose_regions(photograph, [(mask, painted)])


def compose_regions(photograph: np.ndarray, regions: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Lay several paintings on their photograph in one pass, each where its mask says so, blended in Oklab.

    A later region lies on the earlier ones: it takes its weight first, the earlier ones share what it leaves, and what
    they all leave is the photograph's, so that the weights of a pixel add up to 1. Where the edges of two masks
    complement each other, they are joined without a trace of the photograph.

    Args:
        photograph: (H, W, 3), uint8 or float32 in [0, 1].
        regions: masks (H, W) in [0, 1], each with its painting, of the photograph's shape and type.

    Returns:
        The same kind; where one weight is 1, the very values of that picture.

    Raises:
        UsageError: shapes or types that do not fit together.
    """
    for mask, painted in regions:
        _check_fit(photograph, painted, mask)
    weights, left = [], np.ones(photograph.shape[:2], np.float32)
    for mask, _ in reversed(regions):
        weight = np.minimum(mask, left, dtype=np.float32)
        left = left - weight
        weights.insert(0, weight.reshape(-1))
    pictures = [photograph, *(painted for _, painted in regions)]
    return _weighted([picture.reshape(-1, 3) for picture in pictures], [left.reshape(-1), *weights]).reshape(
        photograph.shape
    )


def _weighted(pictures: Sequence[np.ndarray], weights: Sequence[np.ndarray]) -> np.ndarray:
    """Blend pixels (n, 3) by weights (n,) that add up to 1; where one of them is 1, its pixels are copied."""
    result = pictures[0].copy()

    def blend(part: slice) -> None:
        is_mixed = weights[0][part] != 1
        for picture, weight in zip(pictures[1:], weights[1:], strict=True):
            is_alone = weight[part] == 1
            if is_alone.any():
                np.copyto(result[part], picture[part], where=is_alone[:, None])
                is_mixed &= ~is_alone
        where = np.flatnonzero(is_mixed) + part.start
        if not where.size:
            return
        cones = np.zeros((3, len(where)), np.float32)
        for picture, weight in zip(pictures, weights, strict=True):
            cones += cones_of(picture.take(where, axis=0, mode="clip")) * weight[where]
        result[where] = encoded(light_of(cones), result.dtype)

    each_block(blend, blocks(len(result)))
    return result


def _check_fit(photograph: np.ndarray, painted: np.ndarray, mask: np.ndarray) -> None:
    if photograph.shape != painted.shape or photograph.dtype != painted.dtype or mask.shape != photograph.shape[:2]:
        raise UsageError(
            f"a photograph of {photograph.dtype} {photograph.shape}, a painting of {painted.dtype} {painted.shape} and "
            f"a mask of {mask.shape} do not fit together"
        )
    if not (mask.min(initial=0) >= 0 and mask.max(initial=0) <= 1):
        raise UsageError("a mask must lie in [0, 1]")
