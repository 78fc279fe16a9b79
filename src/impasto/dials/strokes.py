"""The size of the strokes: a painter works at another size, and its painting is brought back to the picture's.

A painter's strokes have a size in pixels, those that it was trained with. Measured against the picture, they are as
large as the picture is small. So the size that the painter works at decides on their size, whatever the picture's own.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter

from impasto.dials.blocks import blocks, each_block
from impasto.images.oklab import CONES_FROM_LAB, LAB_FROM_CONES, cones_of, encoded, light_of, to_oklab

REFERENCE = 1024  # longer side, in pixels, at which a painter's strokes have the size 1
_DETAIL = 0.5  # share of a second pass's fine lightness that an enlargement by 2 takes over
_HARDLY_LARGER = 0.1  # octaves by which interpolation alone enlarges well enough
_MEASURED = 256  # longer side, in pixels, at which strokes are measured
_FLAT = 1e-9  # mean square of a lightness that is no detail but rounding

Paint = Callable[[np.ndarray], np.ndarray]


def working_size(height: int, width: int, stroke: float) -> tuple[int, int]:
    """Return height and width at which a painter works for strokes of that size, the longer `REFERENCE / stroke`."""
    scale = REFERENCE / stroke / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def paint_at_stroke(paint: Paint, picture: np.ndarray, stroke: float) -> np.ndarray:
    """Paint with strokes of a size measured against the picture, the same at every number of pixels.

    A painting larger than the picture is reduced. A smaller one is enlarged by steps of about 2. After each step the
    painter passes over the enlargement once more, and the fine lightness of that second pass is mixed in: finer
    strokes lie along the large ones where interpolation alone would leave a blur.

    Args:
        paint: takes what `picture` is, at other sizes too, and returns its painting, of the same kind.
        picture: (H, W, 3) or (N, H, W, 3), uint8 or float32 in [0, 1].
        stroke: above 0; 1 works at a longer side of `REFERENCE` pixels, 2 at half of it.

    Returns:
        The same kind, of the same size.
    """
    target: tuple[int, int] = picture.shape[-3:-1]
    size = working_size(target[0], target[1], stroke)
    painting = paint(resized(picture, size))
    if max(size) >= max(target):
        return resized(painting, target)
    steps = max(0, math.ceil(math.log2(max(target) / max(size)) - _HARDLY_LARGER))
    for step in range(1, steps + 1):
        larger = tuple(round(low * (high / low) ** (step / steps)) for low, high in zip(size, target, strict=True))
        painting = _enlarged(paint, painting, larger)
    return resized(painting, target)


def _enlarged(paint: Paint, painting: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return `painting` at a `size` of about twice its own, crisp."""
    factor = max(size) / max(painting.shape[-3:-1])
    larger = resized(_without_fringes(painting), size)
    second = paint(larger)
    share = _DETAIL * math.log2(factor)
    if larger.ndim == 3:
        return _with_detail(larger, second, factor, share)
    return np.stack([_with_detail(*pair, factor, share) for pair in zip(larger, second, strict=True)])


def _without_fringes(painting: np.ndarray) -> np.ndarray:
    """Smooth a and b of Oklab over three pixels: fringes of colour, unseen at a painter's own size, grow with it."""
    lab = to_oklab(painting)
    for axis in (-3, -2):
        chroma = lab[..., 1:]
        before, after = (np.take(chroma, _shifted(chroma.shape[axis], by), axis=axis) for by in (-1, 1))
        lab[..., 1:] = chroma / 2 + (before + after) / 4
    cones = CONES_FROM_LAB.astype(np.float32) @ lab.reshape(-1, 3).T
    return encoded(light_of(cones), painting.dtype).reshape(painting.shape)


def _shifted(length: int, by: int) -> np.ndarray:
    return (np.arange(length) + by).clip(0, length - 1)


def _with_detail(larger: np.ndarray, second: np.ndarray, radius: float, share: float) -> np.ndarray:
    """Add to the L of `larger` (H, W, 3) what of the L of `second` is finer than `radius` pixels."""
    lightness = _lightness(second)
    levels = Image.fromarray(np.rint(lightness.clip(0, 1) * 255).astype(np.uint8))
    lightness -= np.asarray(levels.filter(ImageFilter.GaussianBlur(radius))) / np.float32(255)
    lightness *= np.float32(share)
    result = np.empty_like(larger)

    def mix_rows(rows: slice) -> None:
        cones = cones_of(larger[rows].reshape(-1, 3))
        cones += lightness[rows].reshape(1, -1)  # L is a part of each of them alike
        result[rows] = encoded(light_of(cones), larger.dtype).reshape(result[rows].shape)

    each_block(mix_rows, blocks(*larger.shape[:2]))
    return result


def _lightness(picture: np.ndarray) -> np.ndarray:
    """Return the L of Oklab of (H, W, 3): (H, W) float32 in [0, 1]."""
    lightness = np.empty(picture.shape[:2], np.float32)
    of_cones = LAB_FROM_CONES[0].astype(np.float32)

    def read_rows(rows: slice) -> None:
        lightness[rows] = (of_cones @ cones_of(picture[rows].reshape(-1, 3))).reshape(lightness[rows].shape)

    each_block(read_rows, blocks(*picture.shape[:2]))
    return lightness


def resized(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return (H, W, C), (H, W) or (N, H, W, C), uint8 or float32 in [0, 1], at `size`, its height and width.

    Lanczos, antialiased. A picture of that size comes back as it is.
    """
    if picture.ndim == 4:
        return picture if picture.shape[1:3] == size else np.stack([resized(each, size) for each in picture])
    if picture.shape[:2] == tuple(size):
        return picture
    to = size[1], size[0]
    if picture.dtype == np.uint8:
        return np.asarray(Image.fromarray(picture).resize(to, Image.Resampling.LANCZOS))
    if picture.ndim == 2:
        plane = Image.fromarray(np.ascontiguousarray(picture, np.float32))
        return np.asarray(plane.resize(to, Image.Resampling.LANCZOS)).clip(0, 1)
    return np.stack([resized(plane, size) for plane in np.moveaxis(picture, -1, 0)], axis=-1)


def stroke_length(painting: np.ndarray) -> float:
    """Measure the strokes of a painting (H, W, 3): the correlation length of its fine lightness, in longer sides.

    It is the distance at which the autocorrelation of Oklab's L, without what is coarser than an 8th of the longer
    side, averaged over all directions, falls to 1 / e. It is measured at 256 pixels, where the finest strokes of a
    large picture are as invisible as to somebody who sees the whole of it. Compare paintings of the same photograph
    only. A painting of one colour has strokes of length 0.
    """
    scale = _MEASURED / max(painting.shape[:2])
    size = max(1, round(painting.shape[0] * scale)), max(1, round(painting.shape[1] * scale))
    lightness = _lightness(np.ascontiguousarray(resized(painting, size)))
    longer = max(size)
    down, across = (np.hanning(side + 2)[1:-1] for side in lightness.shape)
    detail = _fine(lightness, longer / 8) * np.outer(down, across)
    power = np.abs(np.fft.rfft2(detail, [2 * side for side in detail.shape])) ** 2  # padded, lest ends meet
    reach = min(longer // 8, min(detail.shape) - 1)
    around = np.roll(np.fft.irfft2(power), (reach, reach), axis=(0, 1))[: 2 * reach + 1, : 2 * reach + 1]
    offset = np.arange(around.shape[0])[:, None] - reach, np.arange(around.shape[1]) - reach
    distance = np.rint(np.sqrt(offset[0] ** 2 + offset[1] ** 2)).astype(np.intp).ravel()
    profile = np.bincount(distance, around.ravel())[:reach] / np.bincount(distance)[:reach]
    if not profile.size or profile[0] < _FLAT * detail.size:
        return 0.0
    profile /= profile[0]
    below = int(np.argmax(profile < 1 / math.e))
    if below == 0:
        return len(profile) / longer
    high, low = profile[below - 1], profile[below]
    return float((below - 1 + (high - 1 / math.e) / (high - low)) / longer)


def _fine(values: np.ndarray, sigma: float) -> np.ndarray:
    """Return what of (H, W) is finer than `sigma` pixels."""
    down, across = np.fft.fftfreq(values.shape[0]), np.fft.rfftfreq(values.shape[1])
    kept = 1 - np.exp(-2 * (math.pi * sigma) ** 2 * (down[:, None] ** 2 + across**2))
    return np.fft.irfft2(np.fft.rfft2(values) * kept, values.shape)
