"""The loss that scores a painter: the one it was trained with, or the same on another loss network."""

from __future__ import annotations

from pathlib import Path

from impasto.checkpoint import SUFFIX, StyleModel
from impasto.errors import ModelError, UsageError
from impasto.images.geometry import resize
from impasto.images.reading import read_image
from impasto.losses import build_loss
from impasto.losses.features import SLIM
from impasto.losses.perceptual import PerceptualLoss


def judging_loss(model: StyleModel, weights: str | None = None, style_image: Path | None = None) -> PerceptualLoss:
    """Return the loss that `model` was trained with, its style set, or the same loss on another loss network.

    Args:
        weights: `torchvision`, `slim` or a path; by default what the model was trained with, or where that is not at
            hand, `slim`.
        style_image: the style picture; needed when the model carries no statistics made with these weights.

    Raises:
        UsageError: the style picture is needed and missing.
        ModelError: the model's metadata do not describe a loss.
    """
    if not model.loss.to_dict():
        raise ModelError(f"{model.name}: carries no loss to be compared by, as imported models do; it can paint only")
    spec = model.loss.spec()
    if spec.get("style_weight") == 0:
        raise ModelError(f"{model.name}: was trained without a style term, so there is no style to be compared by")
    loss = build_loss(weights=weights or _weights_at_hand(model), **spec)
    known = model.style_targets.get(loss.features.fingerprint(), {})
    if style_image:
        size = model.style.size
        if size is None or not 16 <= size <= 8192:
            raise ModelError(f"{model.name}: the model does not say at what size its style was taken; train it again")
        loss.set_style(resize(read_image(style_image), size)[None])
    elif loss.full_size_statistics() <= set(known):
        if any(target.shape[-1] != loss.channels(name) for name, target in known.items()):
            raise ModelError(f"{model.name}: its statistics do not fit the loss network; the file was altered")
        loss.style_targets = known
    else:
        raise UsageError(
            f"{model.name} was trained with other loss weights than {loss.features.weights}; name the style "
            "picture with "
            "--style-image so that it can be measured with these"
        )
    return loss


def _weights_at_hand(model: StyleModel) -> str:
    weights = str(model.loss.to_dict().get("weights", "torchvision"))
    own = weights in ("torchvision", SLIM) or (weights.endswith(SUFFIX) and Path(weights).is_file())
    return weights if own else SLIM
