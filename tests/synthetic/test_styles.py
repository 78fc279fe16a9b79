"""Style pictures made by code."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from impasto import cli
from impasto.synthetic.styles import make_style


def sample_style(*words: object) -> int:
    return cli.main(["sample-style", *map(str, words)])


def test_every_listed_style_is_written_and_is_full_of_colour(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
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
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sample_style("oil_slick", "-o", tmp_path) == 2
    assert "no style named oil_slick" in capsys.readouterr().err
    assert sample_style("oils") == 2
    assert "give -o DIR" in capsys.readouterr().err
