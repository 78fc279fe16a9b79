"""The formulas by known values."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from helpers.pictures import checkerboard
from impasto.losses.functional import (
    gram_matrix,
    normalized_luminance,
    relative_feature_loss,
    relative_gram_loss,
    total_variation,
)
from impasto.losses.moments import gram_of, mapped_mean_and_covariance, mean_and_covariance


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


def weighted_total(weights: tuple[Tensor, Tensor], pair: tuple[Tensor, Tensor]) -> Tensor:
    return (weights[0] * pair[0]).sum() + (weights[1] * pair[1]).sum()


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
    totals = [weighted_total(weights, pair) for pair in (found, expected)]
    torch.testing.assert_close(*(torch.autograd.grad(total, features)[0] for total in totals))


def test_mean_and_covariance_have_their_gradients_in_half_precision_too() -> None:
    features, weight, bias = torch.rand(2, 5, 6, 6), torch.randn(7, 5), torch.randn(7)
    weights, gradients = (torch.randn(2, 7), torch.randn(2, 7, 7)), []
    for dtype in (torch.float32, torch.bfloat16):
        narrow = features.to(dtype).requires_grad_()
        found = mapped_mean_and_covariance(narrow, weight, bias)
        (gradient,) = torch.autograd.grad(weighted_total(weights, found), narrow)
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
