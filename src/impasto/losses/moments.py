"""Mean, covariance and Gram matrix of features over their pixels, with a gradient that costs half of what autograd's
does.

Every result is float32, whatever the precision around it.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function


def mean_and_covariance(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean of the pixels of each feature map and their covariance over C: (N, C, H, W) -> (N, C) and (N, C, C).

    The covariance is the centred Gram matrix, (F - m)(F - m)ᵀ / (C H W) with F of shape (C, H W) and m its mean.
    Computed in float32 and outside autocast: a half-precision product overflows or loses the small correlations. The
    division comes before the product for the same reason.
    """
    with torch.autocast(features.device.type, enabled=False):
        return _MeanAndCovariance.apply(features)


def mapped_mean_and_covariance(features: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and covariance of the features `weight` F + `bias`, which are never made: (N, C, H, W) -> (N, C') and (N,
    C', C').

    A = weight (C', C) and b = bias (C') map each pixel's features. With m and K the mean and the covariance of F they
    are A m + b and C A K Aᵀ / C'.
    """
    with torch.autocast(features.device.type, enabled=False):
        weight = weight.float()
        mean, covariance = _MeanAndCovariance.apply(features)
        part = features.shape[1] / len(weight)
        return mean @ weight.mT + bias.float(), part * weight @ covariance @ weight.mT


def gram_of(mean: Tensor, covariance: Tensor) -> Tensor:
    """Gram matrix F Fᵀ / (C H W) of features with that mean (N, C) and covariance (N, C, C): K + m mᵀ / C."""
    return covariance + mean[:, :, None] * mean[:, None] / mean.shape[1]


class _MeanAndCovariance(Function):
    """Mean and covariance with their gradient, (D + Dᵀ)(F - m) + d / (H W), as one product in the features' own
    precision.

    Automatic differentiation takes two products in float32, reads F twice and adds: half of the whole loss's time.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor) -> tuple[Tensor, Tensor]:
        pixels = pixels_of(features).float()
        mean = pixels.mean(dim=1)
        ctx.save_for_backward(features, mean)
        centred = (pixels - mean[:, None]) * features[0].numel() ** -0.5
        parts = math.gcd(pixels.shape[1], 64) if features.is_cuda else 1  # else a GPU sums all pixels in one place
        slices = centred.reshape(len(centred) * parts, -1, centred.shape[2])
        return mean, (slices.mT @ slices).unflatten(0, (-1, parts)).sum(dim=1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        gradient_of_mean, gradient = gradients
        features, mean = ctx.saved_tensors
        pixels = pixels_of(features) - mean[:, None].to(features.dtype)
        even = (gradient_of_mean / pixels.shape[1]).to(features.dtype)
        return _as_map(torch.baddbmm(even[:, None], pixels, _symmetric(gradient, features)), features)


def _symmetric(gradient: Tensor, features: Tensor) -> Tensor:
    return ((gradient + gradient.mT) / features[0].numel()).to(features.dtype)


def pixels_of(features: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, H W, C): not copied where channels come last."""
    return features.permute(0, 2, 3, 1).flatten(1, 2)


def _as_map(pixels: Tensor, features: Tensor) -> Tensor:
    """The way back from `pixels_of`."""
    return pixels.unflatten(1, features.shape[2:]).permute(0, 3, 1, 2)
