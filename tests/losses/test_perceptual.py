"""The formulas by known values, the loss network by torchvision's, the loss by its definition."""

from __future__ import annotations

from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch.nn import functional as F

from helpers.pictures import photograph
from helpers.places import REAL_VGG
from impasto.errors import UsageError, WeightsError
from impasto.losses import build_loss
from impasto.losses.features import VGGFeatures
from impasto.losses.functional import (
    gram_matrix,
    grid_energy,
    normalized_luminance,
    relative_feature_loss,
    relative_gram_loss,
    screen_energy,
    total_variation,
)
from impasto.losses.moments import gram_of, mapped_mean_and_covariance, mean_and_covariance
from impasto.losses.perceptual import PerceptualLoss


def checkerboard(size: int) -> torch.Tensor:
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    return ((rows + columns) % 2).float().expand(1, 3, size, size)


def test_gram_matrix_of_known_features() -> None:
    features = torch.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]])  # 2 channels, 1x2
    expected = torch.tensor([[[1.0 + 4.0, 3.0 + 8.0], [11.0, 9.0 + 16.0]]]) / (2 * 1 * 2)
    torch.testing.assert_close(gram_matrix(features), expected)


@given(st.integers(1, 3), st.integers(1, 8), st.integers(1, 9), st.integers(1, 9))
@settings(max_examples=25, deadline=None)
def test_gram_matrix_is_symmetric_and_positive(n: int, c: int, h: int, w: int) -> None:
    gram = gram_matrix(torch.randn(n, c, h, w))
    assert gram.shape == (n, c, c)
    torch.testing.assert_close(gram, gram.mT)
    assert torch.linalg.eigvalsh(gram).min() > -1e-5


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_gram_matrix_has_the_gradient_of_its_formula(memory_format: torch.memory_format) -> None:
    features = torch.randn(2, 5, 3, 4).contiguous(memory_format=memory_format).requires_grad_()
    weights = torch.randn(2, 5, 5)
    flat = features.flatten(2)
    (expected,) = torch.autograd.grad((weights * (flat @ flat.mT / 60)).sum(), features)
    (gradient,) = torch.autograd.grad((weights * gram_matrix(features)).sum(), features)
    torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_mean_and_covariance_are_those_of_the_mapped_features(memory_format: torch.memory_format) -> None:
    features = (3 + torch.randn(2, 5, 3, 4)).contiguous(memory_format=memory_format).requires_grad_()
    weight, bias = torch.randn(7, 5), torch.randn(7)
    mapped = torch.einsum("oc,nchw->nohw", weight, features) + bias[:, None, None]
    flat = mapped.flatten(2)
    centred = flat - flat.mean(dim=2, keepdim=True)
    expected = flat.mean(dim=2), centred @ centred.mT / (7 * 12)
    found = mapped_mean_and_covariance(features, weight, bias)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(gram_of(*found), flat @ flat.mT / (7 * 12))
    weights = torch.randn(2, 7), torch.randn(2, 7, 7)
    totals = [
        sum((factor * value).sum() for factor, value in zip(weights, pair, strict=True)) for pair in (found, expected)
    ]
    torch.testing.assert_close(*(torch.autograd.grad(total, features)[0] for total in totals))


def test_mean_and_covariance_have_their_gradients_in_half_precision_too() -> None:
    features, weight, bias = torch.rand(2, 5, 6, 6), torch.randn(7, 5), torch.randn(7)
    weights, gradients = (torch.randn(2, 7), torch.randn(2, 7, 7)), []
    for dtype in (torch.float32, torch.bfloat16):
        narrow = features.to(dtype).requires_grad_()
        found = mapped_mean_and_covariance(narrow, weight, bias)
        total = sum((factor * value).sum() for factor, value in zip(weights, found, strict=True))
        (gradient,) = torch.autograd.grad(total, narrow)
        assert gradient.dtype == dtype
        gradients.append(gradient.float())
    assert (gradients[1] - gradients[0]).norm() < 0.02 * gradients[0].norm()


def test_mean_and_covariance_stay_float32_where_half_precision_overflows() -> None:
    features = torch.full((1, 2, 64, 64), 300.0, dtype=torch.float16)
    with torch.autocast("cpu", torch.bfloat16):
        mean, covariance = mapped_mean_and_covariance(features, torch.eye(2).half(), torch.zeros(2).half())
    assert mean.dtype == covariance.dtype == torch.float32
    torch.testing.assert_close(gram_of(mean, covariance), torch.full((1, 2, 2), 300.0**2 / 2))


def test_a_shift_of_all_features_changes_their_mean_alone() -> None:
    features, shift = torch.randn(2, 4, 5, 6), torch.randn(2, 4)
    before, after = mean_and_covariance(features), mean_and_covariance(features + shift[:, :, None, None])
    torch.testing.assert_close(after[0], before[0] + shift)
    torch.testing.assert_close(after[1], before[1], rtol=1e-4, atol=1e-6)


def test_the_luminance_is_normalised_whatever_light_and_colour() -> None:
    image = torch.rand(2, 3, 8, 9)
    grey = normalized_luminance(image)
    torch.testing.assert_close(grey.mean(dim=(2, 3)), torch.full((2, 3), 0.5))
    torch.testing.assert_close(grey.std(dim=(2, 3), correction=0), torch.full((2, 3), 0.25), rtol=0.02, atol=0)
    torch.testing.assert_close(normalized_luminance(0.5 * image + 0.2), grey, rtol=0.02, atol=0.01)
    assert normalized_luminance(torch.zeros(1, 3, 4, 4)).eq(0.5).all()


def test_gram_matrix_ignores_where_things_are() -> None:
    features = torch.randn(1, 5, 6, 7)
    shuffled = features.flatten(2)[:, :, torch.randperm(42)].reshape(1, 5, 6, 7)
    torch.testing.assert_close(gram_matrix(features), gram_matrix(shuffled))


def test_gram_matrix_stays_float32_where_half_precision_overflows() -> None:
    features = torch.full((1, 2, 64, 64), 300.0, dtype=torch.float16)
    with torch.autocast("cpu", torch.bfloat16):
        gram = gram_matrix(features)
    assert gram.dtype == torch.float32
    torch.testing.assert_close(gram, torch.full((1, 2, 2), 300.0**2 / 2))


def test_relative_losses_are_zero_for_equals_and_ignore_scale() -> None:
    x, y = torch.randn(2, 4, 5, 5), torch.randn(2, 4, 5, 5)
    assert relative_feature_loss(x, x).eq(0).all()
    torch.testing.assert_close(relative_feature_loss(x, y), relative_feature_loss(7 * x, 7 * y))
    a, b = gram_matrix(x), gram_matrix(y)
    torch.testing.assert_close(relative_gram_loss(a, b), relative_gram_loss(1e3 * a, 1e3 * b))
    torch.testing.assert_close(relative_gram_loss(torch.zeros_like(b), b), torch.ones(2), atol=1e-6, rtol=1e-6)


def test_predicting_the_mean_costs_one() -> None:
    target = torch.randn(3, 4, 6, 6)
    mean = target.mean(dim=(1, 2, 3), keepdim=True).expand_as(target)
    torch.testing.assert_close(relative_feature_loss(mean, target), torch.ones(3))


def test_total_variation_of_known_pictures() -> None:
    assert total_variation(torch.full((2, 3, 8, 8), 0.3)).tolist() == [0, 0]
    assert total_variation(checkerboard(8)).item() == 2
    ramp = torch.linspace(0, 1, 11).expand(1, 3, 4, 11)
    torch.testing.assert_close(total_variation(ramp), torch.tensor([0.1]))
    assert total_variation(torch.rand(1, 3, 1, 1)).item() == 0


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


def test_layers_have_torchvisions_indices_and_values(random_vgg: Path) -> None:
    from torchvision.models import vgg19

    reference = vgg19(weights=None).features.eval()
    state = {key.removeprefix("features."): value.float() for key, value in load_file(random_vgg).items()}
    reference.load_state_dict(state)
    image = photograph(1, 48)[None]
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = (image - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1)
    features = VGGFeatures(["relu1_1", "relu2_2", "relu3_4", "relu5_1"], str(random_vgg))(image)
    for index, layer in enumerate(reference):
        x = layer(x)
        name = {1: "relu1_1", 8: "relu2_2", 17: "relu3_4", 29: "relu5_1"}.get(index)
        if name:
            torch.testing.assert_close(features[name].full(), x, rtol=1e-3, atol=1e-3)


def test_nothing_is_computed_beyond_the_deepest_layer(random_vgg: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, convolve = [], F.conv2d
    monkeypatch.setattr(F, "conv2d", lambda *args, **kwargs: calls.append(1) or convolve(*args, **kwargs))
    VGGFeatures(["relu2_1", "relu1_1"], str(random_vgg))(torch.rand(1, 3, 16, 16))
    assert len(calls) == 3  # conv1_1, conv1_2, conv2_1
    calls.clear()
    features = VGGFeatures(["relu2_1", "relu1_1"], str(random_vgg))(torch.rand(1, 3, 16, 16), ["relu1_1"])
    assert len(calls) == 1 and set(features) == {"relu1_1"}


def test_the_loss_network_is_frozen_and_stays_out_of_checkpoints(random_vgg: Path) -> None:
    features = VGGFeatures(["relu1_2"], str(random_vgg))
    image = torch.rand(1, 3, 16, 16)
    before = features(image)["relu1_2"].full()
    features.train()
    assert torch.equal(features(image)["relu1_2"].full(), before)
    assert not list(features.parameters()) and not features.state_dict()


def test_unknown_and_missing_layers_are_named(random_vgg: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="relu9_9"):
        VGGFeatures(["relu9_9"], str(random_vgg))
    shallow = {key: value for key, value in load_file(random_vgg).items() if int(key.split(".")[1]) < 10}
    save_file(shallow, tmp_path / "shallow.safetensors")
    with pytest.raises(WeightsError, match=r"relu3_1.*torchvision"):
        VGGFeatures(["relu3_1"], str(tmp_path / "shallow.safetensors"))
    with pytest.raises(WeightsError, match="no such file"):
        VGGFeatures(["relu1_1"], str(tmp_path / "none.safetensors"))
    (tmp_path / "bad.pth").write_bytes(b"not a pickle")
    with pytest.raises(WeightsError, match=r"bad\.pth"):
        VGGFeatures(["relu1_1"], str(tmp_path / "bad.pth"))


def test_a_pth_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self) -> tuple:
            return (Path(tmp_path / "ran").touch, ())

    torch.save({"features.0.weight": Attack()}, tmp_path / "attack.pth")
    with pytest.raises(WeightsError):
        VGGFeatures(["relu1_1"], str(tmp_path / "attack.pth"))
    assert not (tmp_path / "ran").exists()


def test_offline_is_one_sentence_with_the_remedies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def offline(*args: object, **kwargs: object) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    with pytest.raises(WeightsError, match=r"no route to host.*loss\.features\.weights=PATH") as caught:
        VGGFeatures(["relu1_1"], "torchvision")
    assert "\n" not in str(caught.value)


LOOK = {"octaves": 1, "centred": False, "content_octave": 0, "grey_content": False}  # Gatys' and Johnson's


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


def test_the_loss_at_octaves_is_the_sum_of_its_definition(random_vgg: Path) -> None:
    layers = ["relu1_1", "relu2_1"]
    loss = PerceptualLoss.from_spec(
        str(random_vgg), content_layers=["relu2_1"], style_layers=layers, style_weight=3.0, octaves=2, content_octave=1
    )
    style, output, content = (photograph(seed, 64)[None] for seed in range(3))
    loss.set_style(style)
    terms, of = loss(output, content), loss.features
    expected = []
    for octave in (1, 2):
        pair = [of(torch.nn.functional.avg_pool2d(image, octave)) for image in (output, style)]
        for name in layers:
            (mean, covariance), (own_mean, own) = (mean_and_covariance(features[name].full()) for features in pair)
            expected.append(
                (mean - own_mean).norm() ** 2 / own_mean.norm() ** 2 + (covariance - own).norm() ** 2 / own.norm() ** 2
            )
    torch.testing.assert_close(terms.style, 3 * torch.stack(expected).mean(), rtol=1e-4, atol=0)
    f, c = (
        of(normalized_luminance(torch.nn.functional.avg_pool2d(image, 2)))["relu2_1"].full()
        for image in (output, content)
    )
    torch.testing.assert_close(terms.content, (f - c).square().mean() / c.var(unbiased=False), rtol=1e-4, atol=0)


def test_octaves_too_small_for_the_loss_network_are_left_out(random_vgg: Path) -> None:
    loss = PerceptualLoss.from_spec(str(random_vgg))
    loss.set_style(photograph(0, 64)[None])
    assert set(loss.style_targets) == {
        f"{layer}{octave}{kind}" for layer in loss.style_layers for octave in ("", "/2", "/4") for kind in ("", ".mean")
    }
    small = loss(photograph(1, 24)[None], photograph(2, 24)[None])
    assert all(torch.isfinite(term) for term in small)


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
    "mistake", [{"octaves": 0}, {"octaves": 1.5}, {"content_octave": -1}, {"centred": 1}, {"grey_content": "no"}]
)
def test_octaves_that_make_no_loss_are_one_clear_error(random_vgg: Path, mistake: dict) -> None:
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
