"""The temporal loss: how pictures are moved, what of them counts, and which paintings it calls still."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from helpers.pictures import photograph
from impasto.losses import temporal
from impasto.losses.temporal import View, second_view, temporal_loss, warped


def smooth(seeds: range, size: int = 96) -> Tensor:
    """Pictures without edges, on which interpolation is exact to the eye: (N, 3, size, size)."""
    generator = torch.Generator().manual_seed(seeds.start)
    waves = torch.rand(len(seeds), 3, size // 16 + 1, size // 16 + 1, generator=generator)
    return F.interpolate(waves, (size, size), mode="bicubic", align_corners=False).clamp(0, 1)


def view_of(images: Tensor, seed: int) -> View:
    return second_view(images, torch.Generator().manual_seed(seed))


def shifted(size: int, right: float, down: float) -> Tensor:
    """The points that pixels show once a picture has moved, (1, 2, size, size)."""
    y, x = (torch.arange(size) + 0.5 for _ in range(2))
    x, y = torch.meshgrid(x - right, y - down, indexing="xy")
    return torch.stack([x, y])[None] * (2 / size) - 1


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """Views without noise in the same light."""
    for name in ("_NOISE", "_GAIN", "_OFFSET"):
        monkeypatch.setattr(temporal, name, 0.0)


@pytest.fixture
def one_ground(monkeypatch: pytest.MonkeyPatch) -> None:
    """Views without a moving layer."""
    monkeypatch.setattr(temporal, "_LAYERS", 0.0)


@pytest.mark.parametrize(("right", "down"), [(0, 0), (3, 0), (0, -5), (7, 2)])
def test_a_picture_is_warped_by_whole_pixels_exactly(right: int, down: int) -> None:
    image = torch.rand(1, 3, 40, 40)
    moved = warped(image, shifted(40, right, down))
    expected = image.roll((down, right), (2, 3))
    torch.testing.assert_close(moved[..., 8:-8, 8:-8], expected[..., 8:-8, 8:-8], atol=1e-4, rtol=0)


def test_a_picture_is_warped_by_parts_of_a_pixel() -> None:
    x = torch.linspace(0, 6, 64).expand(1, 1, 64, 64)
    step = 6 / 63
    moved = warped(x.sin(), shifted(64, 0.4, 0))
    torch.testing.assert_close(moved[..., 4:-4], (x - 0.4 * step).sin()[..., 4:-4], atol=3e-3, rtol=0)


def test_a_view_is_what_its_generator_draws() -> None:
    images = smooth(range(2))
    one, same, other = (view_of(images, seed) for seed in (1, 1, 2))
    assert all(torch.equal(left, right) for left, right in zip(one, same, strict=True))
    assert not torch.equal(one.source, other.source)
    assert one.images.shape == images.shape and one.source.shape == (2, 2, 96, 96) and one.valid.shape == (2, 1, 96, 96)
    assert one.images.min() >= 0 and one.images.max() <= 1 and set(one.valid.unique().tolist()) <= {0.0, 1.0}


def test_motions_are_between_a_part_of_a_pixel_and_some_twenty(one_ground: None) -> None:
    rest = shifted(96, 0, 0)
    ways = torch.stack([(view_of(smooth(range(1)), seed).source - rest).norm(dim=1).max() for seed in range(60)]) * 48
    assert ways.min() < 1 and 10 < ways.max() < 40 and 0.7 < ways.median() < 6


def test_a_painter_that_moves_with_its_picture_has_no_loss(clean: None) -> None:
    images = smooth(range(4))
    for seed in range(10):
        view = view_of(images, seed)
        assert temporal_loss(images, view.images, view).max() < 1e-4


def test_noise_has_grains_of_all_sizes() -> None:
    noise = temporal._noise(torch.zeros(4, 3, 256, 250), torch.Generator().manual_seed(0))
    assert noise.shape == (4, 3, 256, 250)
    assert noise.std() == pytest.approx(1, abs=0.03) and abs(noise.mean()) < 0.1
    # Of each size's variance of 1/5, a block of 8 pixels keeps (size / 8)², at most all.
    kept = sum(min(1, size / 8) ** 2 for size in (1, 2, 4, 8, 16)) / 5
    assert F.avg_pool2d(noise, 8).var() == pytest.approx(kept, abs=0.05)
    assert noise.mean(dim=1).var() == pytest.approx(1 / 2 + 1 / 2 / 3, abs=0.03)  # grey stays, colours cancel


def test_noise_and_light_alone_cost_the_identity_little() -> None:
    images = torch.stack([photograph(seed, 96) for seed in range(4)])
    losses = torch.stack([temporal_loss(images, view.images, view) for view in (view_of(images, s) for s in range(10))])
    assert losses.median() < 0.1


def test_what_sticks_to_the_screen_costs_much(clean: None, one_ground: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(temporal, "_MOTION", (8.0, 16.0))
    images, screen = smooth(range(4)), torch.rand(1, 3, 96, 96)
    views = [view_of(images, seed) for seed in range(8)]
    moving = torch.stack([temporal_loss(images, view.images, view) for view in views])
    stuck = torch.stack([temporal_loss(images + screen, view.images + screen, view) for view in views])
    unrelated = torch.stack([temporal_loss(screen.expand_as(images), screen, view) for view in views])
    assert moving.max() < 1e-4 and stuck.median() > 0.3
    assert unrelated.median().item() == pytest.approx(2, abs=0.4)


def test_only_what_the_first_view_showed_is_valid(clean: None) -> None:
    """Where the picture of the first view, moved, is not the second one, nothing is compared."""
    images = torch.stack([smooth(range(1))[0] * 0.4, 0.6 + smooth(range(1, 2))[0] * 0.4])
    uncovered = 0.0
    for seed in range(20):
        view = view_of(images, seed)
        differs = ((warped(images, view.source) - view.images).abs() > 0.02).any(dim=1, keepdim=True)
        outside = (view.source.abs() > 1).any(dim=1, keepdim=True)
        assert not (view.valid.bool() & (differs | outside)).any()
        assert view.valid.mean() > 0.6
        uncovered += (differs & ~outside).float().mean().item()
    assert uncovered > 0.02, "layers uncover something"


def test_pixels_that_are_not_valid_do_not_count() -> None:
    images = smooth(range(2))
    view = view_of(images, 3)
    painting = warped(images, view.source)
    ruined = torch.where(view.valid.bool(), painting, 9.0)
    torch.testing.assert_close(temporal_loss(images, ruined, view), temporal_loss(images, painting, view))
    nowhere = view._replace(valid=torch.zeros_like(view.valid))
    assert torch.equal(temporal_loss(images, ruined, nowhere), torch.zeros(2))


def test_it_is_relative_to_the_paintings_contrast() -> None:
    images, view = smooth(range(2)), view_of(smooth(range(2)), 3)
    loud, calm = (temporal_loss(images * k + 0.1, view.images * k + 0.1, view) for k in (1.0, 0.2))
    torch.testing.assert_close(loud, calm, rtol=1e-3, atol=1e-5)
    assert torch.isfinite(temporal_loss(torch.ones(2, 3, 96, 96), view.images, view)).all()


def test_both_paintings_are_drawn_to_each_other() -> None:
    images = smooth(range(2), 32)
    first, second = (torch.rand(2, 3, 32, 32, requires_grad=True) for _ in range(2))
    view = view_of(images, 0)
    loss = temporal_loss(first, second, view).sum()
    loss.backward()
    for painting in (first, second):
        assert painting.grad is not None and torch.isfinite(painting.grad).all()
    assert first.grad is not None and second.grad is not None
    with torch.no_grad():
        for nearer in ((first - first.grad, second), (first, second - second.grad)):
            assert temporal_loss(*nearer, view).sum() < loss


def test_it_is_float32_under_autocast() -> None:
    images = smooth(range(2))
    with torch.autocast("cpu", torch.bfloat16):
        view = view_of(images, 1)
        loss = temporal_loss(images.bfloat16(), view.images.bfloat16(), view)
    assert view.images.dtype == view.source.dtype == loss.dtype == torch.float32
    torch.testing.assert_close(loss, temporal_loss(images, view.images, view), rtol=0.05, atol=1e-3)


def test_a_part_of_the_view_is_compared_with_that_part_of_the_painting() -> None:
    images = smooth(range(2))
    view, part = view_of(images, 5), slice(24, 72)
    inner = View(*(each[..., part, part] for each in view))
    outside = view._replace(valid=F.pad(inner.valid, (24, 24, 24, 24)))
    variance = [warped(images, each.source).flatten(1).var(dim=1, unbiased=False) for each in (inner, view)]
    whole = temporal_loss(images, view.images, outside) * variance[1] / variance[0]
    torch.testing.assert_close(temporal_loss(images, inner.images, inner), whole)
