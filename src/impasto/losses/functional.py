"""The formulas, one function each.

Tensors are (N, C, H, W); every result is float32, whatever the precision around it.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from impasto.losses.moments import gram_of, mean_and_covariance, pixels_of

_EPSILON = 1e-8  # keeps a relative error finite when its target is zero
_LEAST_SIZE = 0.01
_LEAST_AXIS = 0.02  # of the variance of features along an axis, as a share of the largest
_LEAST_SPREAD = 0.02  # of colours along an axis, as a standard deviation: below it nobody sees a difference


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


def polar_gram_loss(gram: Tensor, target: Tensor) -> Tensor:
    """Direction and size of Gram matrices, apart: 2 (1 - cos(K, K*)) + ln² (‖K‖ / ‖K*‖), of (N, C, C) and
    (1 or N, C, C) -> (N,).

    For K near K* this is `relative_gram_loss`. Where a painter cannot meet a direction, that one rewards it for
    painting with less contrast: at a cosine c the best size is c times the target's. Here the best size is the
    target's. A size counts as at least a hundredth of the target's: a blank painting has a finite loss and gradient,
    the latter from its direction alone.
    """
    gram, target = gram.flatten(1), target.flatten(1)
    target_size = target.norm(dim=1).clamp_min(_EPSILON)
    size = gram.norm(dim=1).maximum((_LEAST_SIZE * target_size).clamp_min(_EPSILON))
    # The squared distance of unit vectors is 2 (1 - cos), without the rounding of a difference from 1.
    turned = (gram / size[:, None] - target / target_size[:, None]).square().sum(dim=1)
    return turned + (size / target_size).log().square()


def whitening_of(covariance: Tensor) -> Tensor:
    """The matrix W = (K + ε)^(-1/2) that makes the axes of a covariance about equally long: (N, C, C) -> the same.

    ε is a fiftieth of the largest eigenvalue: what is smaller is left smaller. Few axes hold most of the variance of
    features, and a distance of covariances sees little else; the others tell strokes from a tint.
    """
    with torch.autocast(covariance.device.type, enabled=False):
        values, axes = _eigh(covariance.float())
        values = values.clamp_min(0) + (_LEAST_AXIS * values[:, -1:]).clamp_min(_EPSILON)
        return axes * values.rsqrt()[:, None, :] @ axes.mT


def in_axes_of(whitening: Tensor, covariance: Tensor) -> Tensor:
    """W K W, (N, C, C): K in the axes of the covariance that W is `whitening_of`; in float32 even under autocast."""
    with torch.autocast(covariance.device.type, enabled=False):
        return whitening @ covariance @ whitening


def relative_mean_loss(mean: Tensor, target: Tensor) -> Tensor:
    """Squared distance of mean features over the squared norm of the target: (N, C) and (1 or N, C) -> (N,)."""
    return (mean - target).square().sum(dim=1) / (target.square().sum(dim=1) + _EPSILON)


def color_loss(mean: Tensor, covariance: Tensor, target_mean: Tensor, target_covariance: Tensor) -> Tensor:
    """Squared distance of the mean colours over the target's variance, and `polar_gram_loss` of the covariances:
    (N, 3) and (N, 3, 3), then (1 or N, ...) -> (N,). Covariances as `mean_and_covariance` has them.
    """
    channels = target_mean.shape[1]
    variance = channels * target_covariance.diagonal(dim1=1, dim2=2).sum(dim=1)
    off = (mean - target_mean).square().sum(dim=1) / (variance + _EPSILON)
    return off + polar_gram_loss(covariance, target_covariance)


def whitened_color_loss(mean: Tensor, covariance: Tensor, target_mean: Tensor, target_covariance: Tensor) -> Tensor:
    """Distance of colours along each axis of the target's, relative to their spread there; shapes as `color_loss`.

    The mean over the axes of (m - m*)² / v* and of ln² λ, where v* are the eigenvalues of the target's covariance K*
    and λ those of K*⁻¹ K, both K with 0.02² added to every variance: the affine-invariant distance of covariances
    (Förstner and Moonen 1999). A palette is long and thin: from blue to yellow, say, with hardly any green or magenta.
    The distance of the matrices, `color_loss`, does not see its thin sides, and strokes get fringes in colours that the
    style does not have.
    """
    channels = target_mean.shape[1]
    least = _LEAST_SPREAD**2 * torch.eye(channels, device=mean.device)
    with torch.autocast(mean.device.type, enabled=False):
        values, axes = _eigh(channels * target_covariance + least)
        whitening = axes * values.clamp_min(_LEAST_SPREAD**2).rsqrt()[:, None, :]
        off = ((mean - target_mean)[:, None, :] @ whitening).square().sum(dim=(1, 2))
        relative = whitening.mT @ (channels * covariance + least) @ whitening
        # The library raises an error for NaN, where every other term becomes NaN, as `off` does.
        ratios, _ = _eigh(relative.nan_to_num())
    return (off + ratios.clamp_min(_EPSILON).log().square().sum(dim=1)) / channels


def _eigh(matrices: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues and eigenvectors of small symmetric matrices, on the CPU: MPS has neither."""
    values, axes = torch.linalg.eigh(matrices.cpu())
    return values.to(matrices.device), axes.to(matrices.device)


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


def _mean_step(image: Tensor, dim: int) -> Tensor:
    if image.shape[dim] < 2:
        return image.new_zeros(image.shape[0])
    return image.diff(dim=dim).abs().mean(dim=(1, 2, 3))
