"""The one loss: it trains the network, drives the baseline and judges both, so that the comparison is fair."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from impasto.errors import UsageError
from impasto.losses.features import LAYERS, VGGFeatures
from impasto.losses.functional import relative_feature_loss, relative_gram_loss, total_variation


class LossTerms(NamedTuple):
    """Weighted terms of a loss, scalars averaged over the batch; they add up to `total`."""

    content: Tensor
    style: Tensor
    tv: Tensor

    @property
    def total(self) -> Tensor:
        return self.content + self.style + self.tv

    def numbers(self) -> dict[str, float]:
        """Return content, style, tv and total as floats."""
        return {**{name: float(term) for name, term in self._asdict().items()}, "total": float(self.total)}


class PerceptualLoss(nn.Module):
    """Content, style and smoothness of a stylized image (Gatys et al. 2016, Johnson et al. 2016), in relative form.

    content: mean squared error of the features over the variance of the content image's features.
    style: squared distance of Gram matrices over the squared norm of the style image's, mean over the style layers.
    tv: total variation of the pixels; without it the loss rewards a screen of single pixels.

    Published weights belong to one normalisation of the Gram matrix and one scale of the features. Relative terms do
    not, so one set of weights serves every style and size.

    Args:
        features: the loss network; it must yield all the layers named.
        content_layers, style_layers: layer names such as "relu3_2".
        content_weight, style_weight, tv_weight: factors of the three terms.

    Raises:
        UsageError: layers or weights that make no loss.
    """

    def __init__(
        self,
        features: VGGFeatures,
        content_layers: Sequence[str] = ("relu3_2",),
        style_layers: Sequence[str] = ("relu1_2", "relu2_2", "relu3_3", "relu3_4"),
        content_weight: float = 1.0,
        style_weight: float = 10.0,
        tv_weight: float = 1.0,
    ):
        super().__init__()
        _check_layers(content_layers, style_layers)
        _check_weights(content_weight, style_weight, tv_weight)
        self.features = features
        self.content_layers, self.style_layers = tuple(content_layers), tuple(style_layers)
        self.content_weight, self.style_weight, self.tv_weight = content_weight, style_weight, tv_weight
        self.style_targets: dict[str, Tensor] = {}

    @classmethod
    def from_spec(cls, weights: str = "torchvision", **spec: Any) -> PerceptualLoss:
        """Build the loss and its loss network from `spec()`'s plain values.

        Raises:
            UsageError: layers or weights that make no loss.
        """
        names = ("content_layers", "style_layers")
        defaults = cls.__init__.__defaults__ or ()
        wanted: list[Any] = [spec.get(name, default) for name, default in zip(names, defaults, strict=False)]
        _check_layers(*wanted)
        layers = [layer for group in wanted for layer in group]
        return cls(VGGFeatures(list(dict.fromkeys(layers)), weights), **spec)

    def spec(self) -> dict[str, Any]:
        """Return the loss's name and the constructor's arguments but `features`, as plain values: what a model file stores."""
        return {
            "name": "perceptual",
            "content_layers": list(self.content_layers),
            "style_layers": list(self.style_layers),
            "content_weight": self.content_weight,
            "style_weight": self.style_weight,
            "tv_weight": self.tv_weight,
        }

    @torch.no_grad()
    def set_style(self, image: Tensor) -> None:
        """Make `image`, (1, 3, H, W) in [0, 1], the style to aim at: its Gram matrices are computed once, in float32."""
        with torch.autocast(image.device.type, enabled=False):
            narrow = self.features.narrow(image.float())
        self.style_targets = {name: self.features.gram_matrix(name, narrow[name]) for name in self.style_layers}

    def forward(self, output: Tensor, content: Tensor) -> LossTerms:
        """Score `output` as a painting of `content`: (N, 3, H, W) in [0, 1] twice -> terms averaged over N.

        Gradients flow into `output` only. The terms are float32 even under autocast.

        Raises:
            UsageError: `set_style` was not called.
        """
        return self.compare(output, self.content_features(content))

    @torch.no_grad()
    def content_features(self, content: Tensor) -> dict[str, Tensor]:
        """Features of the content image that `compare` aims at; compute them once when many outputs are scored."""
        return self.features(content, self.content_layers)

    def compare(self, output: Tensor, content_features: dict[str, Tensor]) -> LossTerms:
        """`forward` with the content image's features already at hand."""
        if not self.style_targets:
            raise UsageError("PerceptualLoss has no style yet; call set_style(image) first")
        narrow = self.features.narrow(output)
        content = [
            relative_feature_loss(self.features.expanded(name, narrow[name]), target)
            for name, target in content_features.items()
        ]
        style = [
            relative_gram_loss(
                self.features.gram_matrix(name, narrow[name]), self.style_targets[name].to(output.device)
            )
            for name in self.style_layers
        ]
        return LossTerms(
            self.content_weight * torch.stack(content).mean(),
            self.style_weight * torch.stack(style).mean(),
            self.tv_weight * total_variation(output).mean(),
        )


def _check_layers(*groups: Any) -> None:
    for group in groups:
        plain = isinstance(group, (list, tuple)) and all(isinstance(layer, str) for layer in group)
        if not plain or not 0 < len(group) == len(set(group)) <= len(LAYERS):
            raise UsageError("content_layers and style_layers must each name some layers of VGG-19, each once")


def _check_weights(*weights: float) -> None:
    plain = all(isinstance(weight, (int, float)) and 0 <= weight <= 1e9 for weight in weights)
    if not plain or not any(weights):
        raise UsageError("content_weight, style_weight and tv_weight must be numbers from 0 to 1e9, not all of them 0")


Loss = PerceptualLoss
