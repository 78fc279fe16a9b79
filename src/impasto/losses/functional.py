"""The formulas, one function each.

Tensors are (N, C, H, W); every result is float32, whatever the precision around it.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from impasto.losses.moments import gram_of, mean_and_covariance, pixels_of

_EPSILON = 1e-8  # keeps a relative error finite when its target is zero


def gram_matrix(features: Tensor) -> Tensor:
    """Gram matrix of each feature map, F Fᵀ / (C H W): (N, C, H, W) -> (N, C, C), in float32.

    (Gatys et al. 2016, normalised as Johnson et al. 2016.)
    """
    return gram_of(*mean_and_covariance(features))


def relative_feature_loss(features: Tensor, target: Tensor) -> Tensor:
    """Mean squared error over the variance of the target, per image: (N, C, H, W) twice -> (N,).

    0 for equal features; about 1 for a picture that has nothing of the target but its mean.
    """
    features, target = (pixels_of(f.float()).flatten(1) for f in (features, target))
    # Plain means over one dimension: torch's own variance, and means over three, take three times as long.
    variance = (target - target.mean(dim=1, keepdim=True)).square().mean(dim=1)
    return (features - target).square().mean(dim=1) / (variance + _EPSILON)


def relative_gram_loss(gram: Tensor, target: Tensor) -> Tensor:
    """Squared distance of Gram matrices over the squared norm of the target: (N, C, C) and (1 or N, C, C) -> (N,).

    0 for equal matrices, 1 for a zero one. Being relative, it does not depend on how Gram matrices are normalised.
    """
    distance = (gram - target).square().sum(dim=(1, 2))
    return distance / (target.square().sum(dim=(1, 2)) + _EPSILON)


def relative_mean_loss(mean: Tensor, target: Tensor) -> Tensor:
    """Squared distance of mean features over the squared norm of the target: (N, C) and (1 or N, C) -> (N,)."""
    return (mean - target).square().sum(dim=1) / (target.square().sum(dim=1) + _EPSILON)


def halved(image: Tensor) -> Tensor:
    """The next coarser octave, means of 2x2 pixels: (N, C, H, W) -> (N, C, H // 2, W // 2)."""
    return F.avg_pool2d(image, 2)


def normalized_luminance(image: Tensor) -> Tensor:
    """Luminance (ITU-R BT.709's weights) with mean 0.5 and deviation 0.25, three times:
    (N, 3, H, W) -> (N, 3, H, W).
    """
    red, green, blue = image.float().split(1, dim=1)
    grey = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    deviation, mean = torch.std_mean(grey, dim=(2, 3), keepdim=True, correction=0)
    return ((grey - mean) * (0.25 / (deviation + 1e-3)) + 0.5).expand_as(image)


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

    The mean square, on grey, of the local means of the pixels at equal places of their cells, less their common mean,
    over the variance of the grey picture. 1 for a small tile repeated, about 1 / cells² for white noise. In a flat area
    a network without noise can paint nothing else, and the style loss rewards even that. H and W at least `stride`;
    what is more than a multiple is left out.
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
