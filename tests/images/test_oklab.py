"""Oklab: Ottosson's own values, and there and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from impasto.images.oklab import LAB_FROM_CONES, cones_of, encoded, from_oklab, light_of, linear, to_oklab

QUICK = settings(max_examples=50, deadline=None)
COLOURS = {  # of sRGB, as Ottosson's page converts them
    "white": ((255, 255, 255), (1.0, 0.0, 0.0)),
    "black": ((0, 0, 0), (0.0, 0.0, 0.0)),
    "red": ((255, 0, 0), (0.62796, 0.22486, 0.12585)),
    "green": ((0, 255, 0), (0.86644, -0.23389, 0.17950)),
    "blue": ((0, 0, 255), (0.45201, -0.03246, -0.31153)),
}


@pytest.mark.parametrize("name", COLOURS)
def test_primaries_black_and_white_have_their_known_values(name: str) -> None:
    levels, expected = COLOURS[name]
    for dtype in (np.uint8, np.float32):
        picture = np.array([[levels]], np.uint8) if dtype == np.uint8 else np.array([[levels]], np.float32) / 255
        assert np.allclose(to_oklab(picture)[0, 0], expected, atol=1e-4)


def test_the_table_of_the_page_from_xyz() -> None:
    from_xyz = np.array(
        [[3.2404542, -1.5371385, -0.4985314], [-0.9692660, 1.8760108, 0.0415560], [0.0556434, -0.2040259, 1.0572252]]
    )
    xyz = np.array([[0.950, 1.000, 1.089], [1, 0, 0], [0, 1, 0], [0, 0, 1]]).T
    expected = np.array([[1, 0, 0], [0.450, 1.236, -0.019], [0.922, -0.671, 0.263], [0.153, -1.415, -0.449]])
    wanted = np.linalg.inv(LAB_FROM_CONES) @ expected.T
    assert np.allclose(light_of(wanted.astype(np.float32)), from_xyz @ xyz, atol=5e-3)


def test_every_level_of_every_channel_comes_back_as_it_was() -> None:
    levels = np.arange(256, dtype=np.uint8)
    grey = np.repeat(levels[:, None], 3, axis=1)
    others = np.stack([levels, levels[::-1], np.roll(levels, 99)], axis=1)
    for pixels in (grey, others):
        assert np.array_equal(encoded(light_of(cones_of(pixels)), pixels.dtype), pixels)


@QUICK
@given(st.integers(0, 2**32 - 1))
def test_pictures_come_back_as_they_were(seed: int) -> None:
    levels = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    floats = levels.astype(np.float32) / 255
    assert np.abs(from_oklab(to_oklab(levels)) - floats).max() < 1e-4
    assert np.abs(from_oklab(to_oklab(floats)) - floats).max() < 1e-4
    assert np.array_equal(encoded(light_of(cones_of(levels.reshape(-1, 3))), levels.dtype), levels.reshape(-1, 3))


def test_levels_and_floats_mean_the_same_light() -> None:
    levels = np.arange(256, dtype=np.uint8)
    assert np.allclose(linear(levels), linear(levels.astype(np.float32) / 255), atol=1e-6)
    assert linear(levels)[[0, 255]].tolist() == [0, 1]


@QUICK
@given(st.floats(-1, 2))
def test_what_cannot_be_shown_is_clipped_and_levels_are_the_nearest(value: float) -> None:
    light = np.full((3, 1), value, np.float32)
    exact = encoded(light.copy(), np.dtype(np.float32))[0, 0]
    assert 0 <= exact <= 1
    assert abs(encoded(light, np.dtype(np.uint8))[0, 0] - exact * 255) <= 0.56


def test_grey_has_no_chroma() -> None:
    grey = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    lab = to_oklab(grey)
    assert np.abs(lab[:, 1:]).max() < 1e-4
    assert (np.diff(lab[:, 0]) > 0).all()
