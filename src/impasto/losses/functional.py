"""The formulas, one function each. Tensors are (N, C, H, W); every result is float32, whatever the precision around it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional as F

_EPSILON = 1e-8  # keeps a relative error finite when its target is zero


def gram_matrix(features: Tensor) -> Tensor:
    """Gram matrix of each feature map, F Fᵀ / (C H W) with F of shape (C, H W): (N, C, H, W) -> (N, C, C).

    Computed in float32 and outside autocast: a half-precision product overflows or loses the small correlations. The
    division comes before the product for the same reason. (Gatys et al. 2016, normalised as Johnson et al. 2016.)
    """
    with torch.autocast(features.device.type, enabled=False):
        return _GramMatrix.apply(features)


def mapped_gram_matrix(features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Gram matrix of the features `weight` F + `bias`, which are never made: (N, C, H, W) -> (N, C', C').

    A = weight (C', C) and b = bias (C') map each pixel's features. With G the Gram matrix of F and m the mean of its
    pixels, it is (C A G Aᵀ + A m bᵀ + b mᵀ Aᵀ + b bᵀ) / C'.
    """
    with torch.autocast(features.device.type, enabled=False):
        weight, bias = weight.float(), bias.float()
        gram, mean = _GramMatrixAndMean.apply(features)
        shift = (mean @ weight.mT)[:, :, None] * bias
        return (features.shape[1] * weight @ gram @ weight.mT + shift + shift.mT + bias.outer(bias)) / len(bias)


class _GramMatrix(Function):
    """F Fᵀ with its gradient (D + Dᵀ) F as one product in the features' own precision.

    Automatic differentiation takes two products in float32, reads F twice and adds: half of the whole loss's time.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor) -> Tensor:
        ctx.save_for_backward(features)
        flat = features.float().flatten(2) * features[0].numel() ** -0.5
        return flat @ flat.mT

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (features,) = ctx.saved_tensors
        return _as_map(_pixels(features) @ _symmetric(gradient, features), features)


class _GramMatrixAndMean(Function):
    """F Fᵀ and the mean of F's pixels, their gradients added while the product is taken."""

    @staticmethod
    def forward(ctx: Any, features: Tensor) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(features)
        scale = features[0].numel() ** -0.5
        flat = features.float().flatten(2) * scale
        return flat @ flat.mT, flat.mean(dim=2) / scale

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, gradient_of_mean: Tensor) -> Tensor:
        (features,) = ctx.saved_tensors
        pixels = _pixels(features)
        even = (gradient_of_mean / pixels.shape[1]).to(features.dtype)
        return _as_map(torch.baddbmm(even[:, None], pixels, _symmetric(gradient, features)), features)


def _symmetric(gradient: Tensor, features: Tensor) -> Tensor:
    return ((gradient + gradient.mT) / features[0].numel()).to(features.dtype)


def _pixels(features: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, H W, C): not copied where channels come last."""
    return features.permute(0, 2, 3, 1).flatten(1, 2)


def _as_map(pixels: Tensor, features: Tensor) -> Tensor:
    """The way back from `_pixels`."""
    return pixels.unflatten(1, features.shape[2:]).permute(0, 3, 1, 2)


def relative_feature_loss(features: Tensor, target: Tensor) -> Tensor:
    """Mean squared error over the variance of the target, per image: (N, C, H, W) twice -> (N,).

    0 for equal features; about 1 for a picture that has nothing of the target but its mean.
    """
    features, target = (_pixels(f.float()).flatten(1) for f in (features, target))
    # Plain means over one dimension: torch's own variance, and means over three, take three times as long.
    variance = (target - target.mean(dim=1, keepdim=True)).square().mean(dim=1)
    return (features - target).square().mean(dim=1) / (variance + _EPSILON)


def relative_gram_loss(gram: Tensor, target: Tensor) -> Tensor:
    """Squared distance of Gram matrices over the squared norm of the target: (N, C, C) and (1 or N, C, C) -> (N,).

    0 for equal matrices, 1 for a zero one. Being relative, it does not depend on how Gram matrices are normalised.
    """
    distance = (gram - target).square().sum(dim=(1, 2))
    return distance / (target.square().sum(dim=(1, 2)) + _EPSILON)


def total_variation(image: Tensor) -> Tensor:
    """Anisotropic total variation, mean |∂x| + mean |∂y|, per image: (N, 3, H, W) in [0, 1] -> (N,), from 0 to 2.

    0 for a constant image, 2 for a one-pixel checkerboard of black and white.
    """
    image = image.float()
    return _mean_step(image, -1) + _mean_step(image, -2)


def screen_energy(image: Tensor) -> Tensor:
    """How much of a picture is a one-pixel checkerboard, per image: (N, 3, H, W) -> (N,).

    The mean square of the response to [[1, -1], [-1, 1]] / 4 on grey, over the variance of the grey picture. 1 for a
    checkerboard, 1/4 for white noise, far less for photographs. Perceptual losses reward such a screen, eyes do not.
    """
    grey = image.float().mean(dim=1, keepdim=True)
    kernel = torch.tensor([[1.0, -1.0], [-1.0, 1.0]], device=image.device).view(1, 1, 2, 2) / 4
    return F.conv2d(grey, kernel).square().mean(dim=(1, 2, 3)) / (grey.var(dim=(1, 2, 3), unbiased=False) + _EPSILON)


def grid_energy(image: Tensor, stride: int, cells: int = 8) -> Tensor:
    """How much of a picture repeats with `stride` over `cells` periods, per image: (N, 3, H, W) -> (N,).

    The mean square, on grey, of the local means of the pixels at equal places of their cells, less their common mean, over the
    variance of the grey picture. 1 for a small tile repeated, about 1 / cells² for white noise. In a flat area a network without
    noise can paint nothing else, and the style loss rewards even that. H and W at least `stride`; what is more than a multiple is left out.
    """
    height, width = (side - side % stride for side in image.shape[-2:])
    grey = image[..., :height, :width].float().mean(dim=1, keepdim=True)
    places = F.pixel_unshuffle(grey, stride)
    window = (min(cells, places.shape[-2]), min(cells, places.shape[-1]))
    places = F.avg_pool2d(places, window, stride=max(1, cells // 2))
    repeated = (places - places.mean(dim=1, keepdim=True)).square().mean(dim=(1, 2, 3))
    return repeated / (grey.var(dim=(1, 2, 3), unbiased=False) + _EPSILON)


def _mean_step(image: Tensor, dim: int) -> Tensor:
    if image.shape[dim] < 2:
        return image.new_zeros(image.shape[0])
    return image.diff(dim=dim).abs().mean(dim=(1, 2, 3))
