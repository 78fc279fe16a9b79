"""The loss by its definition."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from helpers.pictures import photograph
from helpers.places import REAL_VGG
from impasto.errors import UsageError
from impasto.losses import build_loss
from impasto.losses.functional import (
    color_loss,
    gram_matrix,
    normalized_luminance,
    polar_gram_loss,
    relative_gram_loss,
    total_variation,
    whitened_color_loss,
    whitening_of,
)
from impasto.losses.moments import mean_and_covariance
from impasto.losses.perceptual import PerceptualLoss

# Gatys' and Johnson's
LOOK: dict[str, Any] = {
    "octaves": 1, "centred": False, "polar": False, "color_weight": 0.0, "whitened": False, "content_octave": 0,
    "grey_content": False,
}  # fmt: skip


@pytest.mark.parametrize(
    ("slim", "first", "last"), [(False, "relu1_1", "relu2_1"), (True, "relu1_2", "relu2_2")], ids=["vgg19", "slim"]
)
def test_the_loss_at_one_size_is_the_sum_of_its_definition(random_vgg: Path, slim: bool, first: str, last: str) -> None:
    loss = PerceptualLoss.from_spec(
        "slim" if slim else str(random_vgg),
        content_layers=[last],
        style_layers=[first, last],
        style_weight=3.0,
        tv_weight=0.5,
        **LOOK,
    )
    style, output, content = (photograph(seed, 32)[None] for seed in range(3))
    loss.set_style(style)
    terms = loss(output, content)

    def of(image: torch.Tensor) -> dict[str, torch.Tensor]:
        return {name: layer.full() for name, layer in loss.features(image).items()}

    f, c, s = of(output), of(content), of(style)
    expected_content = (f[last] - c[last]).square().mean() / c[last].var(unbiased=False)
    expected_style = sum(
        (gram_matrix(f[name]) - gram_matrix(s[name])).norm() ** 2 / gram_matrix(s[name]).norm() ** 2
        for name in (first, last)
    )
    torch.testing.assert_close(terms.content, expected_content, rtol=1e-4, atol=0)
    torch.testing.assert_close(terms.style, 3 * expected_style / 2, rtol=1e-4, atol=0)
    torch.testing.assert_close(terms.tv, 0.5 * total_variation(output)[0])
    torch.testing.assert_close(terms.total, terms.content + terms.style + terms.tv)


@pytest.mark.parametrize("whitened", [False, True])
def test_the_loss_at_octaves_is_the_sum_of_its_definition(random_vgg: Path, whitened: bool) -> None:
    layers = ["relu1_1", "relu2_1"]
    loss = PerceptualLoss.from_spec(
        str(random_vgg), content_layers=["relu2_1"], style_layers=layers, style_weight=3.0, octaves=2, content_octave=1,
        color_weight=0.5, whitened=whitened,
    )  # fmt: skip
    style, output, content = (photograph(seed, 64)[None] for seed in range(3))
    loss.set_style(style)
    terms, of = loss(output, content), loss.features
    expected, colors = [], []
    for octave in (1, 2):
        images = [torch.nn.functional.avg_pool2d(image, octave) for image in (output, style)]
        for name in layers:
            (mean, covariance), (own_mean, own) = (mean_and_covariance(of(image)[name].full()) for image in images)
            if whitened:
                root = torch.linalg.eigvalsh(own).amax() * 0.02 * torch.eye(own.shape[1]) + own
                values, axes = torch.linalg.eigh(root[0])
                inverse = axes @ torch.diag(values**-0.5) @ axes.T
                covariance, own = inverse @ covariance @ inverse, inverse @ own @ inverse
            expected.append((mean - own_mean).norm() ** 2 / own_mean.norm() ** 2 + polar_gram_loss(covariance, own))
        pixels, own_pixels = (image[0].flatten(1) for image in images)
        off = pixels.mean(dim=1) - own_pixels.mean(dim=1)
        if whitened:
            own, covariance = (each.cov(correction=0) + 0.02**2 * torch.eye(3) for each in (own_pixels, pixels))
            spread = torch.linalg.eigvals(torch.linalg.solve(own, covariance)).real
            colors.append((off @ torch.linalg.solve(own, off) + spread.log().square().sum()) / 3)
            continue
        off = off.square().sum() / own_pixels.var(dim=1, correction=0).sum()
        colors.append(off + polar_gram_loss(*(each.cov(correction=0)[None] for each in (pixels, own_pixels))))
    wanted = torch.stack(expected).mean() + 0.5 * torch.stack(colors).mean()
    torch.testing.assert_close(terms.style, 3 * wanted, rtol=1e-4, atol=0)
    f, c = (
        of(normalized_luminance(torch.nn.functional.avg_pool2d(image, 2)))["relu2_1"].full()
        for image in (output, content)
    )
    torch.testing.assert_close(terms.content, (f - c).square().mean() / c.var(unbiased=False), rtol=1e-4, atol=0)


def test_octaves_too_small_for_the_loss_network_are_left_out(random_vgg: Path) -> None:
    loss = PerceptualLoss.from_spec(str(random_vgg))
    loss.set_style(photograph(0, 64)[None])
    assert set(loss.style_targets) == {
        f"{layer}{octave}{kind}"
        for layer in (*loss.style_layers, "rgb")
        for octave in ("", "/2", "/4")
        for kind in ("", ".mean")
    }
    small = loss(photograph(1, 24)[None], photograph(2, 24)[None])
    assert all(torch.isfinite(term) for term in small)


def test_direction_and_size_of_gram_matrices_are_apart() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2, 5, 200, generator=generator)
    gram, other = features[:1] @ features[:1].mT, features[1:] @ features[1:].mT
    assert polar_gram_loss(gram, gram).item() == pytest.approx(0, abs=1e-6)
    assert polar_gram_loss(3 * gram, gram).item() == pytest.approx(math.log(3) ** 2, rel=1e-4)
    assert polar_gram_loss(0 * gram, 0 * gram).item() == 0
    near = gram + 0.01 * other
    assert polar_gram_loss(near, gram).item() == pytest.approx(relative_gram_loss(near, gram).item(), rel=0.05)
    sizes = torch.linspace(0.1, 2, 191)
    best, relative_best = (
        sizes[torch.cat([formula(size * other / other.norm(), gram / gram.norm()) for size in sizes]).argmin()].item()
        for formula in (polar_gram_loss, relative_gram_loss)
    )
    cosine = ((gram * other).sum() / (gram.norm() * other.norm())).item()
    assert (best, relative_best) == (pytest.approx(1, abs=0.006), pytest.approx(cosine, abs=0.006))


def test_whitening_makes_the_axes_of_a_covariance_equally_long() -> None:
    features = torch.randn(2, 6, 50, generator=torch.Generator().manual_seed(0))
    covariance = features @ features.mT * torch.tensor([1.0, 1e3])[:, None, None]
    whitening = whitening_of(covariance)
    least = 0.02 * torch.linalg.eigvalsh(covariance)[:, -1, None, None] * torch.eye(6)
    torch.testing.assert_close(
        whitening @ (covariance + least) @ whitening, torch.eye(6).expand(2, 6, 6), rtol=0, atol=1e-4
    )
    torch.testing.assert_close(whitening, whitening.mT)
    assert whitening_of(torch.zeros(1, 4, 4)).isfinite().all()


def test_another_style_brings_its_own_axes(loss: PerceptualLoss) -> None:
    first, second, painting = (photograph(seed, 64)[None] for seed in range(3))
    alone, changed, exchanged = (PerceptualLoss(loss.features) for _ in range(3))
    alone.set_style(second)
    for other in (changed, exchanged):
        other.set_style(first)
    changed.set_style(second)
    exchanged.exchange_style(alone.style_targets)
    expected = alone(painting, painting).style
    for other in (changed, exchanged):
        torch.testing.assert_close(other(painting, painting).style, expected)


def test_each_picture_of_a_batch_may_have_a_style_and_axes_of_its_own(loss: PerceptualLoss) -> None:
    pictures, styles = ([photograph(seed + first, 64)[None] for seed in range(2)] for first in (0, 5))
    single, both = PerceptualLoss(loss.features), PerceptualLoss(loss.features)
    targets, expected = [], []
    for picture, style in zip(pictures, styles, strict=True):
        single.set_style(style)
        targets.append(single.style_targets)
        expected.append(single(picture, picture).style)
    both.style_targets = {name: torch.cat([each[name] for each in targets]) for name in targets[0]}
    batch = torch.cat(pictures)
    found = both.compare_each(batch, both.content_features(batch)).style
    torch.testing.assert_close(found, torch.stack(expected), rtol=1e-3, atol=1e-5)


def test_a_blank_painting_has_a_finite_loss_and_gradient(loss: PerceptualLoss) -> None:
    blank = torch.full((1, 3, 64, 64), 0.5, requires_grad=True)
    total = loss(blank, photograph(1, 64)[None]).total
    total.backward()
    assert blank.grad is not None
    assert torch.isfinite(total)
    assert blank.grad.abs().max() < 100


def test_colours_are_compared_as_they_are_distributed() -> None:
    picture = photograph(5, 64)[None]
    own = mean_and_covariance(picture)
    assert color_loss(*mean_and_covariance(picture.flip(2)), *own).item() == pytest.approx(0, abs=1e-5)
    brighter = color_loss(*mean_and_covariance(picture + 0.1), *own).item()
    assert brighter == pytest.approx(0.03 / picture[0].flatten(1).var(dim=1, correction=0).sum().item(), rel=1e-3)
    grey = picture.mean(dim=(2, 3), keepdim=True) + 0.5 * (picture - picture.mean(dim=(2, 3), keepdim=True))
    assert color_loss(*mean_and_covariance(grey), *own).item() == pytest.approx(math.log(4) ** 2, rel=1e-3)


def test_each_axis_of_a_palette_counts_alike() -> None:
    axes = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(0))).Q

    def colors(spread: Sequence[float], mean: Sequence[float] = (0.0, 0.0, 0.0)) -> tuple[torch.Tensor, torch.Tensor]:
        covariance = axes @ torch.diag(torch.tensor(spread).square()) @ axes.T / 3
        return (axes @ torch.tensor([*mean]))[None].float(), covariance[None]

    palette = colors((0.4, 0.3, 0.2))
    assert whitened_color_loss(*palette, *palette).item() == pytest.approx(0, abs=1e-6)
    for axis, own in enumerate((0.4, 0.3, 0.2)):
        spread, mean = [0.4, 0.3, 0.2], [0.0, 0.0, 0.0]
        spread[axis], mean[axis] = 1.5 * own, 0.1 * own
        wider, off = (
            whitened_color_loss(*other, *palette).item() for other in (colors(spread), colors((0.4, 0.3, 0.2), mean))
        )
        assert wider == pytest.approx((2 * math.log(1.5)) ** 2 / 3, rel=0.03)
        assert off == pytest.approx(0.01 / 3, rel=0.03)
    thin, fringed = colors((0.4, 0.3, 0.03)), colors((0.4, 0.3, 0.1))
    assert color_loss(*fringed, *thin).item() < 0.003 and whitened_color_loss(*fringed, *thin).item() > 1
    unseen = colors((0.4, 0.3, 0.001)), colors((0.4, 0.3, 0.005))
    assert whitened_color_loss(*unseen[0], *unseen[1]).item() < 0.005


def test_a_style_of_one_colour_has_a_finite_colour_loss_and_gradient() -> None:
    flat = mean_and_covariance(torch.full((1, 3, 16, 16), 0.3))
    for picture in (photograph(1, 32)[None], torch.full((1, 3, 16, 16), 0.7)):
        picture.requires_grad_(True)
        distance = whitened_color_loss(*mean_and_covariance(picture), *flat).sum()
        distance.backward()
        assert picture.grad is not None and picture.grad.isfinite().all() and 0 < distance.item() < 1e4


def test_a_painting_that_is_no_number_has_a_loss_that_is_none() -> None:
    own = mean_and_covariance(photograph(1, 32)[None])
    for value in (math.nan, math.inf):
        assert not whitened_color_loss(*mean_and_covariance(torch.full((1, 3, 16, 16), value)), *own).isfinite()


def test_colours_and_contrast_are_no_content(loss: PerceptualLoss) -> None:
    content = photograph(3, 64)[None]
    painted = content.mean(dim=1, keepdim=True) * torch.tensor([0.6, 0.2, 0.1]).view(1, 3, 1, 1) + 0.2
    assert loss(painted, content).content < 0.2
    loss.grey_content = False
    try:
        assert loss(painted, content).content > 0.5
    finally:
        loss.grey_content = True


@pytest.mark.parametrize(
    "mistake",
    [
        {"octaves": 0},
        {"octaves": 1.5},
        {"content_octave": -1},
        {"centred": 1},
        {"grey_content": "no"},
        {"polar": 0},
        {"color_weight": -1},
        {"color_weight": True},
    ],
)
def test_octaves_that_make_no_loss_are_one_clear_error(random_vgg: Path, mistake: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(mistake))):
        PerceptualLoss.from_spec(str(random_vgg), **mistake)


def test_what_a_spec_of_an_older_version_leaves_out_means_what_it_did(random_vgg: Path) -> None:
    spec = build_loss(weights=str(random_vgg), content_layers=["relu3_2"], style_weight=10.0).spec()
    assert {key: spec[key] for key in LOOK} == LOOK
    assert build_loss(weights=str(random_vgg), **PerceptualLoss.from_spec(str(random_vgg)).spec()).octaves == 4


def test_a_picture_is_its_own_content_and_its_own_style(loss: PerceptualLoss) -> None:
    content, style = photograph(3, 64)[None], photograph(99, 64)[None]
    assert loss(content, content).content.item() == 0
    assert loss(style, content).style.item() == pytest.approx(0, abs=1e-6)


def test_terms_are_means_over_the_batch(loss: PerceptualLoss) -> None:
    output, content = (torch.stack([photograph(seed + i, 48) for i in range(2)]) for seed in (10, 20))
    both = loss(output, content).numbers()
    each = [loss(output[i : i + 1], content[i : i + 1]).numbers() for i in range(2)]
    for term, value in both.items():
        assert value == pytest.approx((each[0][term] + each[1][term]) / 2, rel=1e-4)


def test_a_loss_without_a_style_says_so(random_vgg: Path) -> None:
    with pytest.raises(UsageError, match="set_style"):
        PerceptualLoss.from_spec(str(random_vgg))(torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32))


@pytest.mark.real
def test_bfloat16_agrees_with_float32_within_two_percent() -> None:
    loss = PerceptualLoss.from_spec(str(REAL_VGG))
    loss.set_style(photograph(99, 128)[None])
    output, content = photograph(1, 128)[None], photograph(2, 128)[None]
    exact = loss(output, content)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = loss(output, content)
    for a, b in zip(exact, rounded, strict=True):
        assert b.dtype == torch.float32
        assert b.item() == pytest.approx(a.item(), rel=0.02)
