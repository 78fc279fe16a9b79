"""Pictures made by code: content (impasto.synthetic.contents) and styles (impasto.synthetic.styles)."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from impasto import cli
from impasto.synthetic.contents import KINDS, clouds, developed, fractal, procedural_image
from impasto.synthetic.styles import make_style


def slope_of(field: np.ndarray) -> float:
    """The power of f with which the mean amplitude of a square field varies, from 3 cycles to a quarter of the side."""
    side = len(field)
    f = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)) * side
    rings = np.arange(3, side // 4)
    amplitude = np.abs(np.fft.fft2(field - field.mean()))
    mean = [amplitude[np.abs(f - r) < 0.5].mean() for r in rings]
    return float(np.polyfit(np.log(rings), np.log(mean), 1)[0])


@pytest.mark.parametrize("size", [16, 33, 96])
def test_content_is_square_rgb_bytes(size: int) -> None:
    picture = procedural_image(1, size)
    assert picture.shape == (size, size, 3)
    assert picture.dtype == np.uint8


def test_content_depends_on_the_seed_only() -> None:
    np.random.seed(0)
    first = procedural_image(7, 64)
    np.random.seed(1)
    assert np.array_equal(first, procedural_image(7, 64))


def test_every_seed_gives_another_picture_with_something_in_it() -> None:
    pictures = [procedural_image(seed, 48) for seed in range(60)]
    assert len({picture.tobytes() for picture in pictures}) == 60
    assert min(picture.std() for picture in pictures) > 5
    mean = np.mean([picture.mean() for picture in pictures])
    assert 80 < mean < 175, "neither mostly black nor mostly white"


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_each_kind_has_light_and_dark_and_colour(kind: Callable) -> None:
    pictures = np.stack(
        [developed(np.random.default_rng(seed), kind(np.random.default_rng(seed), 64)) for seed in range(8)]
    )
    low, high = np.percentile(pictures, (5, 95))
    assert high - low > 60
    assert np.abs(pictures[..., 0].astype(float) - pictures[..., 2]).mean() > 3


@pytest.mark.parametrize("slope", [0.8, 1.0, 1.5])
def test_fractal_noise_has_the_slope_it_was_asked_for(slope: float) -> None:
    fields = [fractal(np.random.default_rng(seed), 128, slope) for seed in range(8)]
    assert fields[0].dtype == np.float32
    assert abs(fields[0].mean()) < 1e-4 and abs(fields[0].std() - 1) < 1e-4
    # One picture's estimate strays by 0.03 (one deviation); the mean of eight by 0.011.
    assert np.mean([slope_of(field) for field in fields]) == pytest.approx(-slope, abs=0.05)


def test_clouds_fall_off_as_photographs_do() -> None:
    slopes = [slope_of(clouds(np.random.default_rng(seed), 128).mean(-1)) for seed in range(6)]
    assert all(-1.5 < slope < -0.8 for slope in slopes)


def sample_style(*words: object) -> int:
    return cli.main(["sample-style", *map(str, words)])


def test_every_listed_style_is_written_and_is_full_of_colour(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert sample_style("--list") == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert len(names) >= 10
    assert sample_style("-o", tmp_path, "--size", 40) == 0
    assert capsys.readouterr().out.splitlines() == [str(tmp_path / f"{name}.png") for name in names]
    assert {path.stem for path in tmp_path.iterdir()} == set(names)
    for name in names:
        picture = Image.open(tmp_path / f"{name}.png")
        pixels = np.asarray(picture, float)
        assert (picture.mode, picture.size) == ("RGB", (40, 40))
        assert pixels.std((0, 1)).min() > 15, f"{name} is nearly flat"


def test_a_style_depends_on_its_name_and_seed_only() -> None:
    first, again, other = (np.asarray(make_style("tesserae", 48, seed)) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("name", ["oils", "hatching", "tesserae"])
def test_a_small_style_picture_is_a_preview_of_a_large_one(name: str) -> None:
    small, large = (
        np.asarray(make_style(name, size).resize((24, 24), Image.Resampling.BOX), float).ravel() for size in (48, 120)
    )
    assert np.corrcoef(small, large)[0, 1] > 0.7


def test_an_unknown_style_is_a_usage_error_that_names_the_known_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert sample_style("oil_slick", "-o", tmp_path) == 2
    assert "no style named oil_slick" in capsys.readouterr().err
    assert sample_style("oils") == 2
    assert "give -o DIR" in capsys.readouterr().err
