"""Resizing and cutting."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from impasto.images.geometry import centre_square, resize

QUICK = settings(max_examples=25, deadline=None)


@QUICK
@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 120), st.sampled_from([1, 3]))
def test_longer_side_becomes_the_size_and_constants_stay(height: int, width: int, size: int, channels: int) -> None:
    image = torch.full((channels, height, width), 0.25)
    resized = resize(image, size)
    assert max(resized.shape[1:]) == size and min(resized.shape) >= 1
    assert torch.allclose(resized, torch.tensor(0.25), atol=1e-6)
    expected = min(height, width) * size / max(height, width)
    assert abs(min(resized.shape[1:]) - max(1, expected)) <= 0.5


def test_resize_is_antialiased_stays_in_range_and_leaves_equal_sizes_alone() -> None:
    stripes = (torch.arange(64) % 8 == 0).float().expand(3, 64, -1)
    assert (resize(stripes, 8)[:, 2:-2, 2:-2] - 1 / 8).abs().max() < 0.05
    edge = (torch.arange(64) > 31).float().expand(3, 64, -1)
    assert resize(edge, 200).min() >= 0 and resize(edge, 200).max() <= 1
    assert resize(edge, 64) is edge


def test_the_centre_of_a_strip_is_cut_without_scaling_all_of_it() -> None:
    strip = torch.rand(3, 1, 20_000)
    assert centre_square(strip, 64).shape == (3, 64, 64)
    assert centre_square(strip.mT, 64).shape == (3, 64, 64)
    photograph = torch.rand(3, 60, 100)
    whole = resize(photograph, 160)
    assert torch.equal(centre_square(photograph, 96), whole[:, :, 32:128])
