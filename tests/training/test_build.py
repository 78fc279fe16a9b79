"""What the configuration stands for: the style's picture and its strength."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from helpers.trainings import configured
from impasto.errors import UsageError
from impasto.training import build


def test_a_picture_too_narrow_for_the_loss_is_named(tmp_path: Path) -> None:
    Image.new("RGB", (400, 2)).save(tmp_path / "line.png")
    config = configured(tmp_path)
    config.style.image = str(tmp_path / "line.png")
    with pytest.raises(UsageError, match=r"line.png: too narrow, 512 x 3 pixels at style.size=512"):
        build.read_style(config)


@pytest.mark.parametrize("strength", [0, 0.5, 1, 2])
def test_strength_scales_the_style_against_the_content(tmp_path: Path, strength: float) -> None:
    usual, scaled = (build.loss_spec(configured(tmp_path, f"style.strength={value}")) for value in (1, strength))
    assert scaled["style_weight"] == strength * usual["style_weight"] and usual["style_weight"] > 0
    assert scaled["content_weight"] == usual["content_weight"]
