"""Oklab, a colour space in which equal steps look equal and a straight line keeps its hue (Ottosson 2020).

B. Ottosson, "A perceptual color space for image processing", 2020. Lightness L lies in [0, 1]; a (green to red) and b
(blue to yellow) lie in about [-0.4, 0.4] for sRGB. Oklab is a linear map of the cube roots of three cone responses.
A blend in Oklab is thus a blend of those roots, called `cones` here, which saves a matrix product each way.
Cones are planar, (3, n), because a product of two small matrices is fastest so.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

# Linear sRGB -> cone responses, and cube roots of these -> L, a, b, as Ottosson states them.
_RESPONSES_FROM_RGB = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
LAB_FROM_CONES = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
CONES_FROM_LAB = np.linalg.inv(LAB_FROM_CONES)
_TO_RESPONSES = _RESPONSES_FROM_RGB.astype(np.float32)
_TO_RGB = np.linalg.inv(_RESPONSES_FROM_RGB).astype(np.float32)

_CODES = 4096  # by the square root of linear light, a step is at most a tenth of a level


def to_oklab(picture: np.ndarray) -> np.ndarray:
    """Return sRGB (..., 3), uint8 or floats in [0, 1], as L, a, b: (..., 3) float32."""
    lab = LAB_FROM_CONES.astype(np.float32) @ cones_of(picture.reshape(-1, 3))
    return _interleaved(lab).reshape(picture.shape)


def from_oklab(lab: np.ndarray) -> np.ndarray:
    """Return L, a, b (..., 3) as sRGB (..., 3), float32 in [0, 1]; what lies outside the gamut is clipped."""
    cones = CONES_FROM_LAB.astype(np.float32) @ lab.reshape(-1, 3).T.astype(np.float32)
    return encoded(light_of(cones), np.dtype(np.float32)).reshape(lab.shape)


def cones_of(pixels: np.ndarray) -> np.ndarray:
    """Return sRGB (n, 3), uint8 or floats in [0, 1], as the cube roots of the cone responses: (3, n) float32."""
    cones = _TO_RESPONSES @ linear(pixels).T
    return np.cbrt(cones, out=cones)


def light_of(cones: np.ndarray) -> np.ndarray:
    """Return `cones` (3, n) as linear sRGB (3, n); a colour is in the gamut where all of it lies in [0, 1]."""
    responses = cones * cones
    responses *= cones
    return light_of_responses(responses)


def light_of_responses(responses: np.ndarray) -> np.ndarray:
    """Return cone responses (3, n), the cubes of cones, as linear sRGB (3, n)."""
    return _TO_RGB @ responses


def linear(pixels: np.ndarray) -> np.ndarray:
    """Return sRGB of any shape, uint8 or floats in [0, 1], as linear light: float32 in [0, 1]."""
    if pixels.dtype == np.uint8:
        return _light_of_levels().take(pixels.astype(np.intp), mode="wrap")  # the mode that checks no bounds
    return _decoded(pixels).astype(np.float32, copy=False)


def encoded(light: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return linear light (3, n), clipped to [0, 1], as sRGB (n, 3): float32 in [0, 1], or the nearest levels in uint8.

    `light` is overwritten.
    """
    np.clip(light, 0, 1, out=light)
    if dtype != np.uint8:
        low = light <= 0.0031308
        curve = np.float32(1.055) * light ** np.float32(1 / 2.4) - np.float32(0.055)
        return _interleaved(np.where(low, np.float32(12.92) * light, curve))
    np.sqrt(light, out=light)
    light *= np.float32(_CODES - 1)
    light += np.float32(0.5)
    levels = np.empty(light.shape, np.uint8)
    _levels_of_codes().take(light.astype(np.intp), out=levels, mode="wrap")
    return _interleaved(levels)


def _interleaved(planes: np.ndarray) -> np.ndarray:
    """Planes (3, n) as pixels (n, 3): a copy by planes takes a third of the time of a transposed one."""
    pixels = np.empty(planes.shape[::-1], planes.dtype)
    for channel, plane in enumerate(planes):
        pixels[:, channel] = plane
    return pixels


def _decoded(values: np.ndarray) -> np.ndarray:
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


@lru_cache(maxsize=1)
def _light_of_levels() -> np.ndarray:
    return _decoded(np.arange(256) / 255).astype(np.float32)


@lru_cache(maxsize=1)
def _levels_of_codes() -> np.ndarray:
    """The level of each code: the nearest to the light whose square root the code is."""
    light = (np.arange(_CODES) / (_CODES - 1)) ** 2
    values = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.rint(values * 255).astype(np.uint8)
