"""The one loss: it trains the network, drives the baseline and judges both, so that the comparison is fair."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from impasto.errors import UsageError
from impasto.losses.features import Features, VGGFeatures, pyramid_of
from impasto.losses.functional import (
    color_loss,
    in_axes_of,
    normalized_luminance,
    polar_gram_loss,
    relative_feature_loss,
    relative_gram_loss,
    relative_mean_loss,
    total_variation,
    whitened_color_loss,
    whitening_of,
)
from impasto.losses.moments import mean_and_covariance
from impasto.losses.options import check_color_weight, check_flags, check_layers, check_octaves, check_weights

CONTENT_LAYERS = ("relu3_2",)
STYLE_LAYERS = ("relu1_2", "relu2_2", "relu3_3", "relu3_4")
_MEAN = ".mean"  # ends the name of a layer's mean among the style's targets
_COLOR = "rgb"  # begins the names of what the colour term compares there


class LossTerms(NamedTuple):
    """Weighted terms of a loss, averaged over the batch or (N,) of each image; they add up to `total`."""

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

    content: mean squared error of the features over the variance of the content image's features, at one octave.
    style: at each octave of the image (full size, 1/2, 1/4 …; Snelgrove, "High-Resolution Multi-Scale Neural
        Texture Synthesis", SIGGRAPH Asia 2017 Technical Briefs) and each style layer, the squared distance of the mean
        features over the squared norm of the style image's, and the distance of their covariances, direction and size
        apart; their mean over octaves and layers. Covariances are taken in the axes of the style image's. To it comes
        the distance of the colours' mean and covariance, a mean over octaves.
    tv: total variation of the pixels; without it the loss rewards a screen of single pixels.

    Gatys compares the plain Gram matrix at full size. That is mostly the features' mean, which a tint can match, and at
    one octave relu3_4 sees 48 pixels and no large stroke. `octaves=1`, `centred=False`, `polar=False`,
    `whitened=False`, `color_weight=0`, `content_octave=0` and `grey_content=False` are that loss. Published weights
    belong to one normalisation of the Gram matrix and one scale of the features. Relative terms do not, so one set of
    weights serves every style and size.

    Args:
        features: the loss network; it must yield all the layers named.
        content_layers, style_layers: layer names such as "relu3_2".
        content_weight, style_weight, tv_weight: factors of the three terms.
        octaves: at how many sizes the style is measured, each half of the one before; those below 16 pixels are left
            out.
        centred: compare means and covariances; otherwise plain Gram matrices.
        polar: compare the direction and the size of covariances or Gram matrices apart, so that no painter gains by
            painting with less contrast; otherwise their squared distance over the squared norm of the style's.
        color_weight: of the colours within the style term, hence times `style_weight`: no layer pins them down.
        whitened: compare covariances, of layers and of colours, in the axes of the style's own and relative to its
            variance along each; otherwise the few longest axes are all that counts.
        content_octave: how often the images are halved before their content is compared.
        grey_content: compare the content of the normalised luminance, so that colour and contrast are the style's
            alone.

    Raises:
        UsageError: layers, weights or octaves that make no loss.
    """

    # What specs older than these arguments mean.
    unsaid: ClassVar[dict[str, Any]] = {
        "octaves": 1, "centred": False, "polar": False, "color_weight": 0.0, "whitened": False, "content_octave": 0,
        "grey_content": False,
    }  # fmt: skip

    def __init__(
        self,
        features: VGGFeatures,
        content_layers: Sequence[str] = CONTENT_LAYERS,
        style_layers: Sequence[str] = STYLE_LAYERS,
        content_weight: float = 1.0,
        style_weight: float = 2.25,
        tv_weight: float = 1.0,
        octaves: int = 4,
        centred: bool = True,
        polar: bool = True,
        color_weight: float = 1.0,
        whitened: bool = True,
        content_octave: int = 1,
        grey_content: bool = True,
    ):
        super().__init__()
        check_layers(content_layers, style_layers)
        check_weights(content_weight, style_weight, tv_weight)
        check_color_weight(color_weight)
        check_octaves(octaves, content_octave)
        check_flags(centred=centred, polar=polar, whitened=whitened, grey_content=grey_content)
        self.features = features
        self.content_layers, self.style_layers = tuple(content_layers), tuple(style_layers)
        self.content_weight, self.style_weight, self.tv_weight = content_weight, style_weight, tv_weight
        self.octaves, self.centred, self.polar = octaves, centred, polar
        self.color_weight, self.whitened = color_weight, whitened
        self.content_octave, self.grey_content = content_octave, grey_content
        self.style_targets = {}

    @property
    def style_targets(self) -> dict[str, Tensor]:
        """The style's statistics by name, (1, ...) or one for each image of a batch, (N, ...)."""
        return self._style_targets

    @style_targets.setter
    def style_targets(self, targets: dict[str, Tensor]) -> None:
        names = layers_among(targets) if self.whitened else []
        self._style_targets, self._whitenings = targets, {name: whitening_of(targets[name]) for name in names}

    def exchange_style(self, targets: Mapping[str, Tensor]) -> None:
        """Copy other statistics over those of the same names, in place: recorded steps then aim at them."""
        for name, own in self.style_targets.items():
            own.copy_(targets[name])
            if name in self._whitenings:
                self._whitenings[name].copy_(whitening_of(own))

    @torch.no_grad()
    def set_style(self, image: Tensor) -> None:
        """Make `image`, (1, 3, H, W) in [0, 1], the style to aim at: its statistics are computed once, in float32."""
        with torch.autocast(image.device.type, enabled=False):
            pyramid = pyramid_of(image.float(), self.octaves)
            self.style_targets = self._statistics(pyramid, [self.features(octave) for octave in pyramid])

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
        seen = self._content(pyramid_of(content, self.content_octave + 1))
        return {layer: seen[layer].full() for layer in self.content_layers}

    def compare(self, output: Tensor, content_features: Mapping[str, Tensor]) -> LossTerms:
        """`forward` with the content image's features already at hand."""
        return LossTerms(*(term.mean() for term in self.compare_each(output, content_features)))

    def compare_each(self, output: Tensor, content_features: Mapping[str, Tensor]) -> LossTerms:
        """`compare`, but the terms of each image, (N,). `style_targets` may hold a style for each, (N, ...)."""
        if not self.style_targets:
            raise UsageError("PerceptualLoss has no style yet; call set_style(image) first")
        pyramid = pyramid_of(output, max(self.octaves, self.content_octave + 1))
        seen = [self.features(image) for image in pyramid[: self.octaves]]
        return LossTerms(
            self.content_weight * self._content_loss(self._content(pyramid, seen), content_features),
            self.style_weight * self._style_loss(self._statistics(pyramid[: self.octaves], seen)),
            self.tv_weight * total_variation(output),
        )

    def _content_loss(self, seen: Features, targets: Mapping[str, Tensor]) -> Tensor:
        """The mean over the layers of ‖F - F*‖² / ‖F* - mean of F*‖²; a star marks the content image's features."""
        losses = [relative_feature_loss(seen[layer].full(), target) for layer, target in targets.items()]
        return torch.stack(losses).mean(dim=0)

    def _style_loss(self, statistics: Mapping[str, Tensor]) -> Tensor:
        """The mean over octaves and layers of d(K, K*) + ‖m - m*‖² / ‖m*‖², or of d(G, G*), and the colours' part.

        A star marks the style's; d is ‖K - K*‖² / ‖K*‖² or its polar form, `whitened` of W K W and W K* W.
        """
        # The style picture may have fewer octaves.
        targets = {name: self.style_targets[name].to(each.device)
                   for name, each in statistics.items() if name in self.style_targets}  # fmt: skip
        gram_loss = polar_gram_loss if self.polar else relative_gram_loss

        def color_distance(name: str) -> Tensor:
            mean = name + _MEAN
            distance = whitened_color_loss if self.whitened else color_loss
            return distance(statistics[mean], statistics[name], targets[mean], targets[name])

        def layer_distance(name: str) -> Tensor:
            pair = statistics[name], targets[name]
            if self.whitened:
                axes = self._whitenings[name].to(pair[0].device)
                pair = in_axes_of(axes, pair[0]), in_axes_of(axes, pair[1])
            distance = gram_loss(*pair)
            if not self.centred:
                return distance
            return distance + relative_mean_loss(statistics[name + _MEAN], targets[name + _MEAN])

        style = torch.stack([layer_distance(name) for name in layers_among(targets)]).mean(dim=0)
        colors = [color_distance(name) for name in targets if name.startswith(_COLOR) and not name.endswith(_MEAN)]
        return style + self.color_weight * torch.stack(colors).mean(dim=0) if colors else style

    def _content(self, pyramid: Sequence[Tensor], seen: Sequence[Features] = ()) -> Features:
        """The loss network's view of what counts as content; `seen` has those of the first octaves that are known."""
        octave = min(self.content_octave, len(pyramid) - 1)
        if self.grey_content:
            return self.features(normalized_luminance(pyramid[octave]), self.content_layers)
        return seen[octave] if octave < len(seen) else self.features(pyramid[octave], self.content_layers)

    def _statistics(self, pyramid: Sequence[Tensor], seen: Sequence[Features]) -> dict[str, Tensor]:
        """What the style loss compares: "relu1_2", "relu1_2.mean", "rgb" and "rgb.mean" at full size,
        "relu1_2/4", "relu1_2/4.mean", "rgb/4" and "rgb/4.mean" at a quarter.
        """
        found: dict[str, Tensor] = {}
        for number, (image, features) in enumerate(zip(pyramid, seen, strict=True)):
            octave = f"/{2**number}" if number else ""
            for layer in self.style_layers:
                name = f"{layer}{octave}"
                found[name] = features[layer].covariance() if self.centred else features[layer].gram()
                if self.centred:
                    found[name + _MEAN] = features[layer].mean()
            if self.color_weight:
                name = f"{_COLOR}{octave}"
                found[name + _MEAN], found[name] = mean_and_covariance(image)
        return found

    def full_size_statistics(self) -> set[str]:
        """Return the names of the statistics that `style_targets` has of every style picture."""
        names = [*self.style_layers, *([_COLOR] if self.color_weight else [])]
        with_means = [name for name in names if self.centred or name == _COLOR]
        return {*names, *(name + _MEAN for name in with_means)}

    def channels(self, name: str) -> int:
        """Return the length of a statistic of that name in `style_targets`, of a covariance the side."""
        layer = name.partition(".")[0].partition("/")[0]
        return 3 if layer == _COLOR else self.features.channels(layer)

    @classmethod
    def from_spec(
        cls,
        weights: str = "torchvision",
        content_layers: Sequence[str] = CONTENT_LAYERS,
        style_layers: Sequence[str] = STYLE_LAYERS,
        **spec: Any,
    ) -> PerceptualLoss:
        """Build the loss and its loss network from `spec()`'s plain values.

        Raises:
            UsageError: layers, weights or octaves that make no loss.
        """
        check_layers(content_layers, style_layers)
        layers = dict.fromkeys([*content_layers, *style_layers])
        return cls(VGGFeatures(list(layers), weights), content_layers, style_layers, **spec)

    def spec(self) -> dict[str, Any]:
        """Return the loss's name and the constructor's arguments but `features`, as plain values:
        what a model file stores.
        """
        names = [name for name in inspect.signature(PerceptualLoss).parameters if name != "features"]
        values = {name: getattr(self, name) for name in names}
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
        return {"name": "perceptual", **plain}


def layers_among(statistics: Iterable[str]) -> list[str]:
    """Return those names of statistics that belong to covariances or Gram matrices of layers."""
    return [name for name in statistics if not name.startswith(_COLOR) and not name.endswith(_MEAN)]


Loss = PerceptualLoss
