"""moved.py: what moves with its picture has no difference, and what stands still has its own."""

from __future__ import annotations

from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

from helpers.pictures import photograph
from helpers.scripts import load_script
from impasto.networks.brush import Canvas


@pytest.fixture(scope="module")
def moved() -> ModuleType:
    return load_script("measure/moved")


class Stripes(nn.Module):
    """Every other column of the screen is lighter by 0.1."""

    def forward(self, image: Tensor) -> Tensor:
        return image * 0.5 + 0.1 * torch.arange(image.shape[-1]).remainder(2)


def test_a_network_that_moves_with_its_picture_has_no_difference(moved: ModuleType) -> None:
    figures = moved.row(nn.Identity(), [photograph(1, 200), photograph(2, 200)])
    assert figures.pop("contrast") > 10
    assert all(figures.pop(f"noise_{size}") == pytest.approx(1.5, abs=0.15) for size in moved.GRAINS)
    assert set(figures.values()) == {0}


def test_pictures_move_by_whole_pixels_and_by_halves(moved: ModuleType) -> None:
    picture = photograph(1, 95)[None]  # an even side has a wave of two pixels, which half of one pixel takes away
    torch.testing.assert_close(moved.moved_by(picture, 1), picture.roll((1, 1), (2, 3)), atol=1e-5, rtol=0)
    twice = moved.moved_by(moved.moved_by(picture, 0.5), 0.5)
    torch.testing.assert_close(twice, picture.roll((1, 1), (2, 3)), atol=1e-5, rtol=0)


def test_a_canvas_that_is_moved_along_makes_no_difference(moved: ModuleType) -> None:
    torch.manual_seed(0)
    painted = nn.Sequential(nn.Conv2d(3, 3, 4, stride=4), Canvas(3), nn.Upsample(scale_factor=4)).eval()
    figures = moved.row(painted, [photograph(1, 200)])
    assert figures["moved_4"] > 1 and figures["moved_8"] > 1 and figures["moved_1"] > 1
    assert figures["moved_4_canvas_too"] < 0.01 and figures["moved_8_canvas_too"] < 0.01


def test_what_stands_still_differs_by_its_own_contrast(moved: ModuleType) -> None:
    figures = moved.row(Stripes(), [photograph(1, 200)])
    assert figures["moved_1"] == pytest.approx(25.5, rel=1e-3)
    assert figures["moved_2"] == pytest.approx(0, abs=1e-3)
    assert figures["moved_0.25"] > 1 and figures["moved_0.5"] > 1
