"""The painter's hands: how strongly, in whose colours and with which strokes any painter paints, chosen at painting
time.

Strength and colour are arithmetic on the photograph and its painting in Oklab (`impasto.images.oklab`), in one pass.
Strokes are a matter of the size that the painter works at. No dial needs torch or another network.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from numbers import Real
from types import NoneType
from typing import Any

import numpy as np

from impasto.dials.blocks import blocks, each_block
from impasto.dials.strokes import paint_at_stroke
from impasto.errors import ModelError, UsageError
from impasto.images.oklab import (
    CONES_FROM_LAB,
    LAB_FROM_CONES,
    cones_of,
    encoded,
    light_of,
    light_of_responses,
    to_oklab,
)
from impasto.system.choices import COLORS, DEFAULT_COLOR, MAX_STRENGTH, STROKE_RANGE

_STEPS = tuple(np.float32(0.5**halving) for halving in range(1, 6))  # on the way into the gamut
_GAMUT_SLACK = 1e-5  # of linear light: what clipping may take away unseen
_STATISTICS_PIXELS = 2**14  # enough for a palette's mean and covariance
_MOST_GAIN = 3.0  # of a palette's spread, and its inverse the least
_LEAST_SPREAD = 0.01  # of a palette, as a standard deviation: below it, there is noise and no palette

_LIGHTNESS = np.outer(CONES_FROM_LAB[:, 0], LAB_FROM_CONES[0])  # of cones, the part that is L
_CHROMA = np.eye(3) - _LIGHTNESS


@dataclass(frozen=True)
class Dials:
    """How a painting is made of a photograph, whoever the painter is.

    Args:
        strength: from 0, the photograph, by way of 1, the painting, to `MAX_STRENGTH`, where its difference to the
            photograph has grown by a half. Blended in Oklab.
        stroke: size of the strokes against the picture, within `STROKE_RANGE`; 1 is what the painter does to a picture
            of `strokes.REFERENCE` pixels. None paints at the picture's own size.
        color: one of `COLORS`: "style" as painted; "photo", the photograph's a and b of Oklab under the painting's L;
            "match", the painting's palette moved to the photograph's mean and covariance in Oklab.

    Raises:
        UsageError: a value out of its range.
    """

    strength: float = 1.0
    stroke: float | None = None
    color: str = DEFAULT_COLOR

    def __post_init__(self):
        if not _is_within(self.strength, 0, MAX_STRENGTH):
            raise UsageError(f"strength {self.strength!r}: give a number from 0 to {MAX_STRENGTH}")
        if self.stroke is not None and not _is_within(self.stroke, *STROKE_RANGE):
            raise UsageError(f"stroke {self.stroke!r}: give a number from {STROKE_RANGE[0]} to {STROKE_RANGE[1]}")
        if self.color not in COLORS:
            raise UsageError(f"color {self.color!r}: choose one of {', '.join(COLORS)}")
        for name in ("strength", "stroke"):
            if not isinstance(value := getattr(self, name), (int, float, NoneType)):  # JSON knows no others
                object.__setattr__(self, name, float(value))

    @classmethod
    def of_style(cls, name: str, record: Mapping[str, Any] | None) -> Dials:
        """Return the dials that a style model carries as `StyleRecord.dials`; unknown keys are of other versions.

        Raises:
            ModelError: a value out of its range.
        """
        try:
            return cls(**{key: value for key, value in (record or {}).items() if key in cls.__dataclass_fields__})
        except UsageError as error:
            raise ModelError(name, f"its own dials cannot be set: {error}") from error

    def given(self, strength: float | None = None, stroke: float | None = None, color: str | None = None) -> Dials:
        """Return these dials with those set that are not None; raises UsageError for a value out of its range."""
        named = {"strength": strength, "stroke": stroke, "color": color}
        return replace(self, **{name: value for name, value in named.items() if value is not None})

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def is_neutral(self) -> bool:
        """Whether the painting comes out as the painter made it."""
        return self == Dials()

    def paint(
        self,
        paint: Callable[[np.ndarray], np.ndarray],
        photographs: np.ndarray,
        *,
        side: int | None = None,
        settle: Callable[[np.ndarray], np.ndarray] = lambda painting: painting,
    ) -> np.ndarray:
        """Return what `paint`, a painter of arrays, makes of `photographs` with these dials.

        Args:
            paint: takes what `photographs` is, at other sizes too, and returns its painting, of the same kind.
            photographs: (H, W, 3) or (N, H, W, 3), uint8 or float32 in [0, 1].
            side: longer side of the picture that strokes are measured against, where these are parts of it.
            settle: what becomes of the painting before it is mixed with the photograph.

        Returns:
            The same kind.
        """
        if self.strength == 0:
            return photographs
        if self.stroke is None:
            return self.mix(photographs, settle(paint(photographs)))
        longer = max(photographs.shape[-3:-1])
        painting = paint_at_stroke(paint, photographs, self.stroke * (side or longer) / longer)
        return self.mix(photographs, settle(painting))

    def mix(self, photographs: np.ndarray, paintings: np.ndarray) -> np.ndarray:
        """Return photographs and their paintings as colour and strength say.

        Args:
            photographs: (H, W, 3) or (N, H, W, 3), uint8 or float32 in [0, 1].
            paintings: of the same shape and type.

        Returns:
            The same kind; `photographs` itself at strength 0, `paintings` itself at strength 1 in the style's colours.

        Raises:
            UsageError: a photograph and a painting of different shapes or types.
        """
        if photographs.shape != paintings.shape or photographs.dtype != paintings.dtype:
            raise UsageError(
                f"a photograph of {photographs.dtype} {photographs.shape} and a painting of {paintings.dtype} "
                f"{paintings.shape} do not fit together"
            )
        if self.strength == 0:
            return photographs
        if self.strength == 1 and self.color == "style":
            return paintings
        if photographs.ndim == 3:
            return self._mixed(photographs, paintings)
        return np.stack([self._mixed(*pair) for pair in zip(photographs, paintings, strict=True)])

    def _mixed(self, photograph: np.ndarray, painting: np.ndarray) -> np.ndarray:
        of_photograph, of_painting, shift = self._recipe(photograph, painting)
        photo = np.ascontiguousarray(photograph).reshape(-1, 3)
        paint = np.ascontiguousarray(painting).reshape(-1, 3)
        result = np.empty(photo.shape, photo.dtype)
        anchor = {"photo": _photograph_itself, "match": _grey_of_that_lightness}.get(self.color, _painting_itself)
        can_leave_gamut = self.strength > 1 or self.color != "style"
        needs_photograph = bool(of_photograph.any())  # not for a matched palette alone

        def mix_block(block: slice) -> None:
            cones_paint = cones_of(paint[block])
            cones_photo = cones_of(photo[block]) if needs_photograph else cones_paint
            if self.color == "style":  # a product of matrices that scale alone would take longer
                cones = cones_paint - cones_photo
                cones *= np.float32(self.strength)
                cones += cones_photo
            else:
                cones = of_painting @ cones_paint
                if needs_photograph:
                    cones += of_photograph @ cones_photo
                cones += shift
            light = light_of(cones)
            if can_leave_gamut:
                _bring_into_gamut(light, cones, lambda where: anchor(cones_photo, cones_paint, cones, where))
            result[block] = encoded(light, result.dtype)

        each_block(mix_block, blocks(len(photo)))
        return result.reshape(photograph.shape)

    def _recipe(self, photograph: np.ndarray, painting: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return two matrices (3, 3) and a shift (3, 1) that make the result's cones of the photograph's and the
        painting's.
        """
        of_photograph, of_painting, shift = np.zeros((3, 3)), np.eye(3), np.zeros((3, 1))
        if self.color == "photo":
            of_photograph, of_painting = _CHROMA, _LIGHTNESS
        elif self.color == "match":
            matrix, offset = palette_transport(_sample(painting), _sample(photograph))
            of_painting, shift = CONES_FROM_LAB @ matrix @ LAB_FROM_CONES, CONES_FROM_LAB @ offset[:, None]
        strength = self.strength
        of_photograph = (1 - strength) * np.eye(3) + strength * of_photograph
        return _single(of_photograph), _single(strength * of_painting), _single(strength * shift)


def palette_transport(source: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the optimal transport between two palettes, taken as Gaussians: the map x -> `matrix` x + `offset`.

    In closed form (Olkin and Pukelsheim 1982; for colours, Pitié and Kokaram 2007). The gain along each of its axes is
    bounded, so that a palette of one colour neither vanishes nor becomes noise.

    Args:
        source, target: colours (n, 3) in Oklab.

    Returns:
        `matrix` (3, 3), symmetric, with eigenvalues within `1 / 3` and `3`, and `offset` (3,).
    """
    planes = [np.ascontiguousarray(colours.T, np.float64) for colours in (source, target)]  # several times faster
    means = [plane.mean(axis=1) for plane in planes]
    from_, to = (np.cov(plane, bias=True) + _LEAST_SPREAD**2 * np.eye(3) for plane in planes)
    root = _root(from_)
    inverse = np.linalg.inv(root)
    values, axes = np.linalg.eigh(inverse @ _root(root @ to @ root) @ inverse)
    matrix = axes * values.clip(1 / _MOST_GAIN, _MOST_GAIN) @ axes.T
    return matrix, means[1] - matrix @ means[0]


def _single(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32)


def _root(matrix: np.ndarray) -> np.ndarray:
    values, axes = np.linalg.eigh(matrix)
    return axes * np.sqrt(values.clip(0)) @ axes.T


def _sample(picture: np.ndarray) -> np.ndarray:
    """Return evenly spread pixels of (H, W, 3) in Oklab: (n, 3)."""
    step = max(1, math.isqrt(picture.shape[0] * picture.shape[1] // _STATISTICS_PIXELS))
    return to_oklab(np.ascontiguousarray(picture[step // 2 :: step, step // 2 :: step])).reshape(-1, 3)


# Into the gamut. Each way leads straight to a colour that lies inside and keeps what the dial promises to keep.


def _photograph_itself(photo: np.ndarray, paint: np.ndarray, cones: np.ndarray, where: np.ndarray) -> np.ndarray:
    return photo.take(where, axis=1, mode="clip")  # of the same a and b: lightness gives way, chroma stays


def _painting_itself(photo: np.ndarray, paint: np.ndarray, cones: np.ndarray, where: np.ndarray) -> np.ndarray:
    return paint.take(where, axis=1, mode="clip")  # less exaggerated in the same direction


def _grey_of_that_lightness(photo: np.ndarray, paint: np.ndarray, cones: np.ndarray, where: np.ndarray) -> np.ndarray:
    lightness = LAB_FROM_CONES[0].astype(np.float32) @ cones.take(where, axis=1, mode="clip")
    return np.broadcast_to(lightness.clip(0, 1), (3, len(where)))  # grey has three equal cones: hue stays


def _bring_into_gamut(light: np.ndarray, cones: np.ndarray, anchor: Callable[[np.ndarray], np.ndarray]) -> None:
    """Move the colours of `light` (3, n) that cannot be shown towards their anchors, no farther than they must."""
    where = np.flatnonzero(_excess(light - np.float32(0.5)) > _GAMUT_SLACK)
    if not where.size:
        return
    start = anchor(where)
    way = cones.take(where, axis=1, mode="clip") - start
    # Along a way, each channel is a cubic.
    constant, cube = light_of(start), light_of(way)
    linear, square = light_of_responses(3 * start * start * way), light_of_responses(3 * start * way * way)
    constant -= np.float32(0.5)
    share, tried_light = np.zeros(len(where), np.float32), np.empty_like(cube)
    for step in _STEPS:
        _along(cube, square, linear, constant, share + step, tried_light)
        share += step * (_excess(tried_light) <= _GAMUT_SLACK)
    light[:, where] = _along(cube, square, linear, constant, share, tried_light) + np.float32(0.5)


def _along(
    cube: np.ndarray, square: np.ndarray, linear: np.ndarray, constant: np.ndarray, share: np.ndarray, out: np.ndarray
) -> np.ndarray:
    """Return the cubics (3, n) of `share` (n,), in `out`."""
    np.multiply(cube, share, out=out)
    for coefficients in (square, linear):
        out += coefficients
        out *= share
    out += constant
    return out


def _excess(light: np.ndarray) -> np.ndarray:
    """By how much linear light (3, n), less a half, leaves the gamut; overwrites `light`."""
    np.abs(light, out=light)
    return np.maximum(np.maximum(light[0], light[1]), light[2]) - np.float32(0.5)


def _is_within(value: object, low: float, high: float) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and low <= float(value) <= high
