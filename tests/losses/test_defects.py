"""Each detector fires on the defect made for it, and on that alone; sound paintings raise none."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from helpers.pictures import checkerboard, photograph
from impasto.losses.defects import DEFECTS, find_defects, grid_energy, screen_energy, visible_defects

# Procedural pictures without their grain, which is a faint screen already.
PHOTOGRAPHS = F.avg_pool2d(torch.stack([photograph(seed, 130) for seed in range(8)]), 3, stride=1)
STYLE = torch.cat(list(PHOTOGRAPHS), dim=2)


def screened(images: Tensor) -> Tensor:
    y, x = torch.meshgrid(torch.arange(128), torch.arange(128), indexing="ij")
    return images + 0.15 * (1 - 2 * ((x + y) % 2))


def gridded(images: Tensor) -> Tensor:
    return images + 0.05 * (torch.arange(128) % 4 == 0)


def blotched(images: Tensor) -> Tensor:
    images[..., 20:60, 30:70] = 1.0
    return images


def framed(images: Tensor) -> Tensor:
    frame = torch.ones(128, 128)
    frame[4:-4, 4:-4] = 0
    return images - 0.4 * frame


def tinted(images: Tensor) -> Tensor:
    return images * torch.tensor([1.0, 0.3, 0.3])[:, None, None]


def hatched(images: Tensor) -> Tensor:
    y, x = torch.meshgrid(torch.arange(128), torch.arange(128), indexing="ij")
    return images + 0.06 * torch.sin(2 * torch.pi * (x + y) / 10)


MADE = {
    "screen": screened,
    "grid": gridded,
    "repetition": hatched,
    "blobs": blotched,
    "border": framed,
    "drift": tinted,
}


def test_there_is_a_made_defect_for_each_detector() -> None:
    assert set(MADE) == set(DEFECTS)


@pytest.mark.parametrize("name", MADE)
def test_a_made_defect_is_found(name: str) -> None:
    painted = MADE[name](PHOTOGRAPHS.clone()).clamp(0, 1)
    assert visible_defects(find_defects(painted, PHOTOGRAPHS, STYLE)) == [name]


def test_sound_pictures_have_none() -> None:
    assert visible_defects(find_defects(PHOTOGRAPHS, PHOTOGRAPHS, STYLE)) == []
    assert visible_defects(find_defects(PHOTOGRAPHS.flip(3), PHOTOGRAPHS, STYLE)) == []


def test_patches_in_a_rhythm_are_repetition_and_scattered_ones_are_not() -> None:
    spots = torch.zeros(8, 1, 128, 128)
    spots[..., 4::12, 4::12] = 1
    scattered = torch.zeros_like(spots).flatten(1)
    scattered[:, torch.randperm(128 * 128, generator=torch.Generator().manual_seed(0))[:121]] = 1
    figures = []
    for marks in (spots, scattered.view_as(spots)):
        painted = (PHOTOGRAPHS - F.avg_pool2d(marks, 5, 1, 2) * 15).clamp(0, 1)
        figures.append(find_defects(painted, PHOTOGRAPHS, STYLE)["repetition"])
    assert figures[0] > DEFECTS["repetition"].limit > figures[1]


@pytest.mark.parametrize("contrast", [0, 0.7])
def test_a_strip_of_less_contrast_along_the_border_is_a_defect(contrast: float) -> None:
    """It has the mean colour of all the rest."""
    mean = PHOTOGRAPHS.mean(dim=(2, 3), keepdim=True)
    dull = mean + contrast * (PHOTOGRAPHS - mean)
    dull[..., 4:-4, 4:-4] = PHOTOGRAPHS[..., 4:-4, 4:-4]
    assert visible_defects(find_defects(dull, PHOTOGRAPHS, STYLE)) == ["border"]


@pytest.mark.parametrize("contrast", [0.4, 1.6])
def test_more_or_less_contrast_everywhere_is_no_strip(contrast: float) -> None:
    mean = PHOTOGRAPHS.mean(dim=(2, 3), keepdim=True)
    assert find_defects((mean + contrast * (PHOTOGRAPHS - mean)), PHOTOGRAPHS, STYLE)["border"] < 0.03


def test_a_few_pictures_say_less_of_the_border() -> None:
    figures = [find_defects(framed(some.clone()), some, STYLE)["border"] for some in (PHOTOGRAPHS[:2], PHOTOGRAPHS)]
    assert figures[0] < 0.7 * figures[1]


@pytest.mark.parametrize("size", [(64, 64), (64, 200), (384, 384)])
def test_figures_of_small_and_long_pictures_are_finite(size: tuple[int, int]) -> None:
    pictures = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))
    assert all(torch.isfinite(torch.tensor(list(find_defects(pictures, 1 - pictures, STYLE).values()))))


def test_values_that_are_not_numbers_are_every_defect() -> None:
    painted = PHOTOGRAPHS.clone()
    painted[0, 0, 0, 0] = float("nan")
    assert visible_defects(find_defects(painted, PHOTOGRAPHS, STYLE)) == list(DEFECTS)


def test_screen_energy_of_known_pictures() -> None:
    torch.testing.assert_close(screen_energy(checkerboard(32)), torch.ones(1), rtol=1e-3, atol=0)
    noise = torch.rand(1, 1, 512, 512, generator=torch.Generator().manual_seed(0)).expand(1, 3, 512, 512)
    assert screen_energy(noise).item() == pytest.approx(4 / 16, rel=0.02)  # four taps of a quarter each
    assert screen_energy(torch.linspace(0, 1, 64).expand(1, 3, 64, 64)).item() < 1e-10


def test_grid_energy_of_known_pictures() -> None:
    generator = torch.Generator().manual_seed(0)
    tile = torch.rand(1, 1, 4, 4, generator=generator).expand(1, 3, 4, 4).repeat(1, 1, 32, 32)
    torch.testing.assert_close(grid_energy(tile, 4), torch.ones(1), rtol=1e-3, atol=0)
    noise = torch.rand(1, 1, 1024, 1024, generator=generator).expand(1, 3, 1024, 1024)
    mean_of_places = 1 / 64 * (1 - 1 / 16)  # 64 independent cells, less the mean of 16 places
    assert grid_energy(noise, 4).item() == pytest.approx(mean_of_places, rel=0.1)
    assert grid_energy(noise, 1).item() == 0, "without a stride nothing can repeat with it"
    assert grid_energy(torch.full((1, 3, 7, 9), 0.5), 4).item() == 0
    assert grid_energy(tile[..., 1:, 2:-1], 4).item() == pytest.approx(1, abs=0.01), "sides need not be multiples"
