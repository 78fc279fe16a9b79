"""VGG-19, the loss network (Simonyan and Zisserman, "Very Deep Convolutional Networks", 2015), as a feature extractor.

`slim` is a narrow stand-in distilled from it, which travels with impasto: half of the channels, about a quarter of the
work. Each of its layers ends in a linear map that keeps the distances of VGG-19's channel space, so whatever is
measured on its features (a relative error, a relative distance of Gram matrices) is measured in VGG-19's terms.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from impasto.errors import UsageError
from impasto.losses.functional import halved
from impasto.losses.moments import gram_of, mapped_mean_and_covariance, mean_and_covariance
from impasto.losses.vgg_weights import LAYERS, SLIM, SLIM_LAYERS, path_to, read_weights

__all__ = ["IMAGENET_MEAN", "IMAGENET_STD", "LAYERS", "MIN_SIDE", "SLIM", "SLIM_LAYERS", "Features", "LayerFeatures",
           "VGGFeatures", "pyramid_of"]  # fmt: skip

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, per RGB channel
MIN_SIDE = 16


@dataclass(frozen=True)
class LayerFeatures:
    """Features F of one layer, (N, C, H, W), in VGG-19's channel space, and their statistics over the pixels.

    F itself is made only when asked for: a mean, a covariance and a Gram matrix are computed once and from `narrow`,
    which for the slim network is several times cheaper.

    Attributes:
        narrow: what the network computed, (N, c, H, W): F itself, or the slim network's fewer channels.
        linear_map: weight (C, c, 1, 1) and bias (C,) that make F of `narrow`; None where they are the same.
    """

    narrow: Tensor
    linear_map: tuple[Tensor, Tensor] | None = None

    def full(self) -> Tensor:
        """F: (N, C, H, W)."""
        return self.narrow if self.linear_map is None else F.conv2d(self.narrow, *self.linear_map)

    def mean(self) -> Tensor:
        """m, the mean of each channel: (N, C) float32."""
        return self._moments[0]

    def covariance(self) -> Tensor:
        """The centred Gram matrix (F - m)(F - m)ᵀ / (C H W): (N, C, C) float32."""
        return self._moments[1]

    def gram(self) -> Tensor:
        """The Gram matrix F Fᵀ / (C H W): (N, C, C) float32."""
        return gram_of(*self._moments)

    @cached_property
    def _moments(self) -> tuple[Tensor, Tensor]:
        if self.linear_map is None:
            return mean_and_covariance(self.narrow)
        weight, bias = self.linear_map
        return mapped_mean_and_covariance(self.narrow, weight[:, :, 0, 0], bias)


Features = dict[str, LayerFeatures]  # one image as the loss network sees it, by layer


class VGGFeatures(nn.Module):
    """Activations of VGG-19 after the named ReLU layers.

    Args:
        layers: names such as "relu3_2". Nothing beyond the deepest one is computed.
        weights: `torchvision` (its ImageNet weights, downloaded once, checked and cached by torchvision), `slim` (the
            stand-in that travels with impasto, for relu1_2, relu2_2, relu3_2, relu3_3 and relu3_4) or the path of a
            state dict with torchvision's keys, `.safetensors` or `.pth`.

    Frozen: the weights are buffers that no optimiser and no checkpoint sees, and there is nothing that `train()`
    could change. Images go in as they are; ImageNet's mean and deviation are applied here and nowhere else.

    `forward` takes `layers` to ask for fewer of them.

    Shape:
        (N, 3, H, W) in [0, 1], sides of at least 16 -> {name: LayerFeatures of (N, C, H / 2^p, W / 2^p)}, p poolings
        before the layer; C is VGG-19's number of channels, or for the slim network that of a space with the same
        distances.

    Raises:
        WeightsError: an unknown layer, weights that cannot be had, or weights too shallow for the layers.
        UsageError: from `forward`, an image with a side below 16.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, layers: Sequence[str], weights: str = "torchvision"):
        super().__init__()
        self.layers, self.weights = tuple(layers), weights
        self._path = path_to(self.layers)
        for name, tensor in read_weights(weights, self.layers).items():
            self.register_buffer(name, tensor, persistent=False)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)
        self.to(memory_format=torch.channels_last)

    def forward(self, image: Tensor, layers: Sequence[str] | None = None) -> Features:
        if min(image.shape[-2:]) < MIN_SIDE:
            height, width = image.shape[-2:]
            raise UsageError(f"{width} x {height} pixels are too few for the loss network; both sides need {MIN_SIDE}")
        wanted = set(layers or self.layers)
        x = ((image - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        features: Features = {}
        for name in self._path:
            if len(features) == len(wanted):
                break
            if LAYERS[name].pooled:
                x = F.max_pool2d(x, 2)
            x = F.conv2d(x, *self._tensors(name), padding=1).relu()
            if name in wanted:
                features[name] = LayerFeatures(x, self._linear_map(name))
        return features

    def channels(self, name: str) -> int:
        """Return how many channels the features of layer `name` have."""
        weight, _ = self._linear_map(name) or self._tensors(name)
        return weight.shape[0]

    def fingerprint(self) -> str:
        """Twelve hex digits of the SHA-256 of the weights in use: tells one loss network from another in reports."""
        digest = hashlib.sha256()
        for name, tensor in self.named_buffers():
            if name not in ("mean", "std"):
                digest.update(tensor.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:12]

    def _tensors(self, name: str) -> tuple[Tensor, Tensor]:
        return self.get_buffer(f"{name}_weight"), self.get_buffer(f"{name}_bias")

    def _linear_map(self, name: str) -> tuple[Tensor, Tensor] | None:
        return self._tensors(f"{name}_map") if hasattr(self, f"{name}_map_weight") else None


def pyramid_of(image: Tensor, octaves: int) -> list[Tensor]:
    """The image and its halves, (N, 3, H, W) each, as far as the loss network can see them: at most `octaves`."""
    pyramid = [image]
    while len(pyramid) < octaves and min(pyramid[-1].shape[-2:]) >= 2 * MIN_SIDE:
        pyramid.append(halved(pyramid[-1]))
    return pyramid
