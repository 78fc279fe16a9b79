"""Strength, colour and stroke: exact at their ends, monotone between, in the gamut, robust against odd pictures."""

from __future__ import annotations

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from helpers.places import SHARED
from impasto.dials import blocks
from impasto.dials.dials import Dials, palette_transport
from impasto.dials.strokes import REFERENCE, paint_at_stroke, resized, stroke_length, working_size
from impasto.errors import UsageError
from impasto.images.oklab import to_oklab
from impasto.images.reading import read_levels
from impasto.inference.stylizer import Stylizer
from impasto.synthetic.contents import procedural_image
from impasto.system.choices import COLORS, DEFAULT_COLOR

QUICK = settings(max_examples=25, deadline=None)
KINDS = [np.uint8, np.float32]


def picture(seed: int, shape: tuple[int, ...] = (48, 40, 3), dtype: type = np.uint8) -> np.ndarray:
    values = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    return values if dtype == np.uint8 else values.astype(np.float32) / 255


def distance(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.linalg.norm(to_oklab(one) - to_oklab(other), axis=-1).mean())


def chroma(image: np.ndarray) -> float:
    return float(np.hypot(*np.moveaxis(to_oklab(image)[..., 1:], -1, 0)).mean())


# The dials themselves.


@pytest.mark.parametrize("kind", [np.float32, np.float16, np.int64, Fraction])
def test_any_kind_of_real_number_is_taken_and_kept_as_json_has_it(kind: Any) -> None:
    assert json.loads(json.dumps(Dials(kind(1), kind(1)).to_dict())) == Dials(1.0, 1.0).to_dict()
    with pytest.raises(UsageError):
        Dials(kind(7))


@pytest.mark.parametrize(
    "wrong",
    [
        {"strength": -0.1},
        {"strength": 1.6},
        {"strength": float("nan")},
        {"strength": "1"},
        {"strength": True},
        {"stroke": 0.4},
        {"stroke": 2.1},
        {"stroke": float("inf")},
        {"color": "sepia"},
        {"color": None},
    ],
)
def test_values_out_of_range_are_refused_in_one_line(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError) as caught:
        Dials(**wrong)  # type: ignore[arg-type]
    assert next(iter(wrong)) in str(caught.value) and "\n" not in str(caught.value)


def test_only_untouched_dials_are_neutral() -> None:
    assert Dials().is_neutral and Dials(1, None, DEFAULT_COLOR).is_neutral
    assert not any(dials.is_neutral for dials in (Dials(0.9), Dials(stroke=1), Dials(color="photo")))


def test_neutral_dials_paint_as_the_painter_does() -> None:
    photograph, painting = picture(0), picture(1)
    assert Dials().paint(lambda image: painting, photograph) is painting


def test_pictures_that_do_not_fit_are_refused() -> None:
    for painting in (picture(0, (48, 41, 3)), picture(0, dtype=np.float32)):
        with pytest.raises(UsageError, match="do not fit"):
            Dials(0.5).mix(picture(0), painting)


# Strength.


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("color", COLORS)
def test_strength_0_is_the_photograph_and_is_not_painted(color: str, dtype: type) -> None:
    def paint(image: np.ndarray) -> np.ndarray:
        raise AssertionError("painted for nothing")

    photograph = picture(0, dtype=dtype)
    assert np.array_equal(Dials(0, color=color, stroke=1).paint(paint, photograph), photograph)
    assert np.array_equal(Dials(0, color=color).mix(photograph, picture(1, dtype=dtype)), photograph)


@pytest.mark.parametrize("dtype", KINDS)
def test_strength_1_is_the_painting_to_the_bit(dtype: type) -> None:
    painting = picture(1, dtype=dtype)
    assert np.array_equal(Dials(1).mix(picture(0, dtype=dtype), painting), painting)


@pytest.mark.parametrize("dtype", KINDS)
def test_strength_next_to_its_ends_is_continuous(dtype: type) -> None:
    photograph, painting = picture(0, dtype=dtype), picture(1, dtype=dtype)
    full = 255 if dtype == np.uint8 else 1
    for strength, end in ((1e-6, photograph), (1 - 1e-6, painting), (1 + 1e-6, painting)):
        mixed = Dials(strength).mix(photograph, painting)
        assert mixed.dtype == dtype
        assert np.abs(mixed.astype(float) - end).max() <= full / 255 + 1e-9


@QUICK
@given(st.integers(0, 2**31), st.lists(st.floats(0, 1.5), min_size=2, max_size=2), st.sampled_from(KINDS))
def test_more_strength_is_farther_from_the_photograph(seed: int, strengths: list[float], dtype: type) -> None:
    photograph, painting = picture(seed, dtype=dtype), picture(seed + 1, dtype=dtype)
    near, far = (distance(Dials(strength).mix(photograph, painting), photograph) for strength in sorted(strengths))
    assert near <= far + 2e-4


def test_strength_is_a_straight_line_in_oklab() -> None:
    photograph, painting = picture(0, dtype=np.float32) * 0.4 + 0.3, picture(1, dtype=np.float32) * 0.4 + 0.3
    mixed = to_oklab(Dials(0.25).mix(photograph, painting))
    assert np.allclose(mixed, 0.75 * to_oklab(photograph) + 0.25 * to_oklab(painting), atol=2e-4)


def test_beyond_1_colours_go_on_without_a_jump_of_hue() -> None:
    photograph, painting = picture(0, dtype=np.float32), picture(1, dtype=np.float32)
    beyond = to_oklab(Dials(1.5).mix(photograph, painting))
    start = to_oklab(painting)
    way = start - to_oklab(photograph)
    share = ((beyond - start) * way).sum(axis=-1) / (way**2).sum(axis=-1)
    aside = np.linalg.norm(beyond - start - share[..., None] * way, axis=-1)
    assert share.min() > -0.01 and share.max() < 0.51
    assert aside.mean() < 0.002 and np.quantile(aside, 0.99) < 0.02


def test_a_batch_is_mixed_as_its_pictures_are() -> None:
    photographs, paintings = picture(0, (3, 20, 30, 3)), picture(1, (3, 20, 30, 3))
    for dials in (Dials(0.5), Dials(1.5), Dials(color="photo"), Dials(color="match")):
        mixed = dials.mix(photographs, paintings)
        assert mixed.shape == photographs.shape
        assert all(np.array_equal(mixed[i], dials.mix(photographs[i], paintings[i])) for i in range(3))


def test_threads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    photograph, painting = picture(0, (700, 401, 3)), picture(1, (700, 401, 3))
    assert len(blocks.blocks(700 * 401)) >= 2 * blocks._LEAST_BLOCKS  # enough for two threads
    results = []
    for threads in (1, 2):
        monkeypatch.setattr(blocks, "thread_count", lambda threads=threads: threads)
        results.append(Dials(1.2, color="photo").mix(photograph, painting))
    assert np.array_equal(*results)


# Colour.


@QUICK
@given(st.integers(0, 2**31), st.floats(0.1, 1.5), st.sampled_from(KINDS))
def test_the_photographs_chroma_stays_under_any_painting(seed: int, strength: float, dtype: type) -> None:
    photograph, painting = picture(seed, dtype=dtype), picture(seed + 1, dtype=dtype)
    result = Dials(strength, color="photo").mix(photograph, painting)
    assert chroma(result) == pytest.approx(chroma(photograph), rel=0.02)
    if dtype == np.float32:
        assert np.abs(to_oklab(result) - to_oklab(photograph))[..., 1:].max() < 0.03


def test_lightness_is_the_paintings_where_it_can_be() -> None:
    photograph, painting = picture(0, dtype=np.float32) * 0.1 + 0.45, picture(1, dtype=np.float32) * 0.2 + 0.4
    result = to_oklab(Dials(color="photo").mix(photograph, painting))
    assert np.allclose(result[..., 0], to_oklab(painting)[..., 0], atol=1e-3)
    assert np.allclose(result[..., 1:], to_oklab(photograph)[..., 1:], atol=1e-3)


@pytest.mark.real
@pytest.mark.parametrize("style", ["starry_night", "wave"])
def test_real_photographs_keep_their_chroma_under_shipped_painters(style: str) -> None:
    painter = Stylizer(style, "cpu")
    for path in sorted((SHARED / "data" / "photos_cc0").glob("*.jpg"))[::4]:
        photograph = resized(read_levels(path), (256, 256))
        result = Dials(color="photo").mix(photograph, painter(photograph))
        assert chroma(result) == pytest.approx(chroma(photograph), rel=0.02)


def test_the_palette_takes_on_mean_and_covariance() -> None:
    rng = np.random.default_rng(0)
    shape = rng.normal(size=(2, 3, 3)) * 0.02 + np.eye(3) * 0.1
    source, target = (rng.normal(size=(5000, 3)) @ shape[i] + i for i in range(2))
    matrix, offset = palette_transport(source, target)
    moved = source @ matrix.T + offset
    assert np.allclose(matrix, matrix.T)
    assert np.allclose(moved.mean(axis=0), target.mean(axis=0), atol=1e-6)
    assert np.allclose(np.cov(moved.T), np.cov(target.T), atol=1e-3)


def test_the_transport_of_gaussians_is_the_known_one_where_they_commute() -> None:
    rng = np.random.default_rng(0)
    base = rng.normal(size=(200_000, 3)) * 0.2
    matrix, _ = palette_transport(base * [1, 1, 1], base * [2, 0.5, 1])
    assert np.allclose(matrix, np.diag([2, 0.5, 1]), atol=0.01)


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("one, other", [("flat", "wild"), ("wild", "flat"), ("flat", "flat"), ("pixel", "pixel")])
def test_one_colour_gives_neither_nan_nor_noise(one: str, other: str, dtype: type) -> None:
    def make(name: str, seed: int) -> np.ndarray:
        wild = picture(seed, (1, 1, 3) if name == "pixel" else (30, 31, 3), dtype)
        return wild if name != "flat" else np.ascontiguousarray(np.broadcast_to(wild[:1, :1], wild.shape))

    photograph, painting = make(one, 0), make(other, 1)
    result = Dials(color="match").mix(photograph, painting)
    assert result.dtype == dtype and np.isfinite(result).all()
    assert to_oklab(result)[..., 0].std() <= 3.1 * to_oklab(painting)[..., 0].std() + 0.01
    if other in ("flat", "pixel"):
        mean = to_oklab(photograph).reshape(-1, 3).mean(axis=0)
        assert np.abs(to_oklab(result).reshape(-1, 3).mean(axis=0) - mean).max() < 0.02


def test_a_matched_palette_is_nearer_to_the_photographs() -> None:
    photograph = procedural_image(3, 96)
    painting = np.clip(procedural_image(4, 96) * 0.4 + [90, 20, 0], 0, 255).astype(np.uint8)
    matched = Dials(color="match").mix(photograph, painting)

    def apart(image: np.ndarray) -> float:
        one, other = (to_oklab(each).reshape(-1, 3) for each in (image, photograph))
        return float(
            np.abs(one.mean(axis=0) - other.mean(axis=0)).sum() + np.abs(np.cov(one.T) - np.cov(other.T)).sum()
        )

    assert apart(matched) < 0.35 * apart(painting)


# Stroke.


def dotted(image: np.ndarray) -> np.ndarray:
    """Paints squares of 16 pixels whatever the picture, at half strength over it."""
    squares = np.indices(image.shape[-3:-1]) // 16
    pattern = (squares.sum(axis=0) % 2)[..., None] * 255
    return ((image.astype(np.float32) + pattern.astype(np.float32)) / 2).astype(np.uint8)


def test_the_working_size_depends_on_the_stroke_alone() -> None:
    assert working_size(600, 400, 1) == (REFERENCE, round(REFERENCE * 2 / 3))
    assert working_size(6000, 4000, 1) == working_size(600, 400, 1)
    assert working_size(10_000, 3, 2) == (REFERENCE // 2, 1)


@pytest.mark.parametrize("shape", [(40, 60, 3), (1, 1, 3), (7, 900, 3), (1400, 900, 3), (2, 48, 50, 3)])
@pytest.mark.parametrize("dtype", KINDS)
def test_a_painting_comes_back_in_the_size_of_its_picture(shape: tuple[int, ...], dtype: type) -> None:
    sizes = []

    def paint(image: np.ndarray) -> np.ndarray:
        sizes.append(max(image.shape[-3:-1]))
        return image

    result = paint_at_stroke(paint, picture(0, shape, dtype), 2)
    assert result.shape == shape and result.dtype == dtype
    assert sizes[0] == REFERENCE // 2
    if dtype == np.float32:
        assert result.min() >= 0 and result.max() <= 1


def test_a_painting_of_the_working_size_is_left_alone() -> None:
    photograph = picture(0, (REFERENCE, 16, 3))
    assert np.array_equal(paint_at_stroke(lambda image: 255 - image, photograph, 1), 255 - photograph)


def test_an_enlargement_passes_over_twice_as_large_paintings_one_by_one() -> None:
    sizes = []
    paint_at_stroke(lambda image: sizes.append(image.shape[1]) or image, picture(0, (8, 4 * REFERENCE, 3)), 1)
    assert sizes == [REFERENCE, 2 * REFERENCE, 4 * REFERENCE]
    sizes.clear()
    paint_at_stroke(lambda image: sizes.append(image.shape[1]) or image, picture(0, (8, REFERENCE + 50, 3)), 1)
    assert sizes == [REFERENCE]


def test_an_enlargement_is_crisper_than_interpolation() -> None:
    photograph = resized(procedural_image(0, 96), (2 * REFERENCE // 4, 2 * REFERENCE))
    plain = resized(dotted(resized(photograph, (REFERENCE // 4, REFERENCE))), photograph.shape[:2])
    crisp = paint_at_stroke(dotted, photograph, 1)
    edges = [np.abs(np.diff(to_oklab(image)[..., 0], axis=1)).mean() for image in (plain, crisp)]
    assert edges[1] > 1.05 * edges[0]


def test_strokes_grow_with_the_dial_and_are_the_same_at_every_size() -> None:
    photograph = np.full((512, 512, 3), 128, np.uint8)
    lengths = {
        size: [
            stroke_length(paint_at_stroke(dotted, resized(photograph, (size, size)), stroke)) for stroke in (0.5, 1, 2)
        ]
        for size in (512, 1024)
    }
    for of_size in lengths.values():
        assert of_size[0] < 0.75 * of_size[1] and of_size[1] < 0.75 * of_size[2]
    assert lengths[512] == pytest.approx(lengths[1024], rel=0.35)


def test_the_length_of_strokes_is_measured_in_sides() -> None:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (64, 64), dtype=np.uint8)

    def enlarged(size: int) -> np.ndarray:
        return np.asarray(Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC).convert("RGB"))

    assert stroke_length(enlarged(256)) == pytest.approx(stroke_length(enlarged(512)), rel=0.1)
    assert 0.5 / 64 < stroke_length(enlarged(512)) < 1.5 / 64
    for flat in (np.full((64, 64, 3), 99, np.uint8), np.zeros((1, 1, 3), np.uint8), np.full((3, 200, 3), 9, np.uint8)):
        assert stroke_length(flat) == 0


def test_dials_need_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np; from impasto.dials.dials import Dials; from impasto.dials import masks;"
        "a = np.zeros((300, 300, 3), np.uint8); b = a + 99;"
        "Dials(0.5, 1.0, 'match').paint(lambda image: image + 9, a); masks.compose(a, b, b[..., 0] / np.float32(255));"
        f"from PIL import Image; Image.new('RGBA', (9, 9)).save(r'{tmp_path / 'm.png'}');"
        f"masks.read_mask(r'{tmp_path / 'm.png'}', (300, 300)); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
