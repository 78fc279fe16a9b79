"""Masks: read from any picture file, exact outside and inside, refused where they do not fit."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image

from impasto.dials.masks import compose, compose_regions, feathered, find_mask, read_mask
from impasto.errors import ImageError, UsageError
from impasto.images.oklab import to_oklab

QUICK = settings(max_examples=25, deadline=None)
SIZE = (40, 60)  # height, width


def picture(seed: int, shape: tuple[int, ...] = (*SIZE, 3), dtype: type = np.uint8) -> np.ndarray:
    values = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    return values if dtype == np.uint8 else values.astype(np.float32) / 255


def disc() -> np.ndarray:
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    return (14 - np.hypot(y - 20, x - 30)).clip(0, 4).astype(np.float32) / 4


def saved(folder: Path, values: np.ndarray, name: str = "mask.png", **options: Any) -> Path:
    Image.fromarray(values).save(folder / name, **options)
    return folder / name


# Reading.


def test_eight_bits_are_exact_and_colours_count_by_their_luma(tmp_path: Path) -> None:
    levels = np.rint(disc() * 255).astype(np.uint8)
    for values in (levels, np.repeat(levels[..., None], 3, axis=2)):
        mask = read_mask(saved(tmp_path, values), SIZE)
        assert mask.dtype == np.float32 and np.array_equal(mask, levels / np.float32(255))
    green = read_mask(saved(tmp_path, np.full((*SIZE, 3), (0, 255, 0), np.uint8)), SIZE)
    assert green == pytest.approx(0.7152, abs=1e-5)


def test_sixteen_bits_keep_their_steps(tmp_path: Path) -> None:
    values = np.linspace(0, 65535, SIZE[0] * SIZE[1]).reshape(SIZE).astype(np.uint16)
    mask = read_mask(saved(tmp_path, values), SIZE)
    assert np.allclose(mask, values / 65535, atol=1e-6) and len(np.unique(mask)) > 2000
    assert mask.min() == 0 and mask.max() == 1


def test_one_bit_and_a_palette_are_read(tmp_path: Path) -> None:
    black_and_white = Image.fromarray(disc() > 0.5)
    black_and_white.save(tmp_path / "one.png")
    black_and_white.convert("P").save(tmp_path / "palette.png")
    for name in ("one.png", "palette.png"):
        assert np.array_equal(read_mask(tmp_path / name, SIZE), (disc() > 0.5).astype(np.float32))


def test_the_alpha_channel_is_the_mask_whatever_the_colours(tmp_path: Path) -> None:
    alpha = np.rint(disc() * 255).astype(np.uint8)
    mask = read_mask(saved(tmp_path, np.dstack([picture(0), alpha])), SIZE)
    assert np.array_equal(mask, alpha / np.float32(255))
    opaque = np.dstack([np.repeat(alpha[..., None], 3, axis=2), np.full(SIZE, 255, np.uint8)])
    assert np.array_equal(read_mask(saved(tmp_path, opaque), SIZE), alpha / np.float32(255))


@pytest.mark.parametrize("scale", [0.5, 2, 3.7])
def test_a_mask_of_another_size_is_resampled_without_ringing(tmp_path: Path, scale: float) -> None:
    size = round(SIZE[0] * scale), round(SIZE[1] * scale)
    values = np.zeros(size, np.uint8)
    values[:, size[1] // 2 :] = 255
    mask = read_mask(saved(tmp_path, values), SIZE)
    assert mask.shape == SIZE
    assert not mask[:, :27].any() and (mask[:, 33:] == 1).all()
    assert (np.diff(mask, axis=1) >= -1e-6).all()


def test_it_is_turned_as_its_exif_says(tmp_path: Path) -> None:
    values = np.rint(disc() * 255).astype(np.uint8)
    values[:5] = 255
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # the camera's right side is the picture's top
    path = saved(tmp_path, np.ascontiguousarray(np.rot90(values)), exif=exif)
    assert np.array_equal(read_mask(path, SIZE), values / np.float32(255))


def test_inverted_it_is_what_was_left_out(tmp_path: Path) -> None:
    path = saved(tmp_path, np.rint(disc() * 255).astype(np.uint8))
    assert np.allclose(read_mask(path, SIZE, invert=True), 1 - read_mask(path, SIZE))


@pytest.mark.parametrize("shape", [(60, 40), (40, 57), (40, 63), (100, 160)])
def test_another_shape_is_refused(tmp_path: Path, shape: tuple[int, int]) -> None:
    path = saved(tmp_path, np.full(shape, 9, np.uint8))
    with pytest.raises(ImageError, match=rf"mask.png: a mask of another shape: {shape[1]} x {shape[0]}.*60 x 40; .+"):
        read_mask(path, SIZE)


@pytest.mark.parametrize("shape", [(40, 60), (400, 604), (3, 5), (1333, 2000)])
def test_a_shape_that_only_rounding_made_another_is_taken(tmp_path: Path, shape: tuple[int, int]) -> None:
    assert read_mask(saved(tmp_path, np.full(shape, 255, np.uint8)), SIZE).min() == 1


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "mask.png").write_bytes(b"no picture")
    for name in ("mask.png", "none.png"):
        with pytest.raises(ImageError, match=name):
            read_mask(tmp_path / name, SIZE)


def test_an_empty_mask_is_a_note_and_leaves_the_photograph(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = saved(tmp_path, np.zeros(SIZE, np.uint8))
    with caplog.at_level(logging.INFO, "impasto"):
        mask = read_mask(path, SIZE)
    assert "empty mask" in caplog.text and "mask.png" in caplog.text
    assert np.array_equal(compose(picture(0), picture(1), mask), picture(0))


# Finding.


def test_a_mask_is_found_by_the_name_of_its_photograph(tmp_path: Path) -> None:
    for name in ("cat.png", "dog.mask.webp", "bird_mask.png", "dogs.png", "cat.txt"):
        (tmp_path / name).write_bytes(b"")
    assert find_mask(tmp_path, "photos/cat.jpg") == tmp_path / "cat.png"
    assert find_mask(tmp_path, "dog.jpg") == tmp_path / "dog.mask.webp"
    assert find_mask(tmp_path, "bird.jpg") == tmp_path / "bird_mask.png"
    assert find_mask(tmp_path / "cat.png", "dog.jpg") == tmp_path / "cat.png"


def test_a_photograph_is_not_its_own_mask(tmp_path: Path) -> None:
    for name in ("cat.jpg", "cat.mask.png"):
        (tmp_path / name).write_bytes(b"")
    assert find_mask(tmp_path, tmp_path / "cat.jpg") == tmp_path / "cat.mask.png"


def test_no_mask_and_two_masks_are_errors(tmp_path: Path) -> None:
    for name in ("cat.png", "cat.webp"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(ImageError, match=r"no mask found for dog.jpg; .*dog.png"):
        find_mask(tmp_path, "dog.jpg")
    with pytest.raises(ImageError, match=r"no mask found; give a picture"):
        find_mask(tmp_path / "nowhere", "dog.jpg")
    with pytest.raises(ImageError, match=r"masks cat.png and cat.webp both fit"):
        find_mask(tmp_path, "cat.jpg")


# Feathering.


def test_a_feathered_edge_lies_inside_and_rises_steadily() -> None:
    hard = np.zeros((100, 200), np.float32)
    hard[:, 100:] = 1
    soft = feathered(hard, 0.05)
    assert not soft[:, :100].any() and (soft[:, 111:] == 1).all()
    assert (np.diff(soft[50, 99:112]) >= 0).all() and 0 < soft[50, 104] < 1
    assert feathered(hard, 0) is hard
    assert np.array_equal(feathered(np.ones((9, 9), np.float32), 0.3), np.ones((9, 9)))
    with pytest.raises(UsageError, match="feather"):
        feathered(hard, 0.6)


# Composing.


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_outside_and_inside_are_untouched_and_the_edge_lies_between(dtype: type) -> None:
    photograph, painted, mask = picture(0, dtype=dtype), picture(1, dtype=dtype), disc()
    before = photograph.copy()
    result = compose(photograph, painted, mask)
    assert np.array_equal(photograph, before) and result.dtype == dtype
    assert np.array_equal(result[mask == 0], photograph[mask == 0])
    assert np.array_equal(result[mask == 1], painted[mask == 1])
    edge = (mask > 0) & (mask < 1)
    expected = to_oklab(photograph) * (1 - mask[..., None]) + to_oklab(painted) * mask[..., None]
    assert edge.any() and np.abs(to_oklab(result) - expected)[edge].mean() < 0.01


@QUICK
@given(st.integers(0, 2**31), st.integers(1, 9), st.integers(1, 9))
def test_any_mask_is_exact_where_it_is_0_or_1(seed: int, height: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    mask = (rng.random((height, width)) * 3 - 1).clip(0, 1).astype(np.float32)
    photograph, painted = picture(seed, (height, width, 3)), picture(seed + 1, (height, width, 3))
    result = compose(photograph, painted, mask)
    assert np.array_equal(result[mask == 0], photograph[mask == 0])
    assert np.array_equal(result[mask == 1], painted[mask == 1])


def test_a_large_picture_is_composed_as_its_rows_are() -> None:
    photograph, painted = picture(0, (700, 401, 3)), picture(1, (700, 401, 3))
    mask = np.linspace(-0.5, 1.5, 700 * 401, dtype=np.float32).clip(0, 1).reshape(700, 401)
    rows = [compose(*(each[row : row + 1] for each in (photograph, painted, mask))) for row in range(700)]
    assert np.array_equal(compose(photograph, painted, mask), np.concatenate(rows))


def test_later_regions_lie_on_earlier_ones_and_all_are_exact() -> None:
    photograph, first, second = picture(0), picture(1), picture(2)
    left, top = np.zeros((2, *SIZE), np.float32)
    left[:, :30], top[:20] = 1, 1
    result = compose_regions(photograph, [(left, first), (top, second)])
    assert np.array_equal(result[:20], second[:20])
    assert np.array_equal(result[20:, :30], first[20:, :30])
    assert np.array_equal(result[20:, 30:], photograph[20:, 30:])
    assert np.array_equal(compose_regions(photograph, []), photograph)


def test_complementary_edges_join_without_the_photograph() -> None:
    ramp = np.broadcast_to(np.linspace(0, 1, SIZE[1], dtype=np.float32), SIZE)
    black, white = np.zeros((*SIZE, 3), np.float32), np.ones((*SIZE, 3), np.float32)
    result = compose_regions(black, [(ramp, white), (1 - ramp, white)])
    assert result == pytest.approx(1, abs=1e-4)


def test_regions_are_one_pass_of_weights_that_add_up_to_1() -> None:
    flat = np.full((*SIZE, 3), 120, np.uint8)
    masks = np.random.default_rng(0).random((4, *SIZE)).astype(np.float32)
    result = compose_regions(flat, [(mask, flat) for mask in masks])
    assert np.array_equal(result, flat)


def test_what_does_not_fit_together_is_refused() -> None:
    photograph, mask = picture(0), disc()
    for painted, wrong in ((picture(0, dtype=np.float32), mask), (picture(0, (40, 61, 3)), mask), (photograph, mask.T)):
        with pytest.raises(UsageError, match="do not fit"):
            compose(photograph, painted, wrong)
    with pytest.raises(UsageError, match=r"\[0, 1\]"):
        compose(photograph, photograph, mask * 2)
