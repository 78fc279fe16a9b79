"""From pictures, vectors and style models to a painter, at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from impasto.any_style.files import Predictor, StyleVector, is_style_vector, load_predictor, read_style_vector
from impasto.checkpoint import StyleModel, load_style_model
from impasto.errors import ImageError, ModelError
from impasto.images.formats import is_picture
from impasto.images.geometry import resize
from impasto.images.reading import read_image
from impasto.losses import build_loss
from impasto.losses.features import MIN_SIDE
from impasto.losses.perceptual import PerceptualLoss
from impasto.networks import build_network
from impasto.records import StyleRecord, TrainingRecord

_FLATTEST = 2 / 255  # deviation of a picture's pixels below which it has no style
_MOST_OBLONG = 32  # sides of a style picture; of a longer strip the middle is looked at


def vector_of(path: Path, size: int) -> StyleVector:
    """Return the vector of a picture, a style vector's file or a style model.

    Args:
        size: longer side, in pixels, at which a picture is read: larger gives broader strokes.

    Raises:
        ImageError: the picture cannot be read, is too small, or has one colour only.
        ModelError: not a file of impasto, or a style model that lacks the statistics which the predictor reads.
    """
    predictor = load_predictor()
    if is_picture(path):
        targets = picture_statistics(path, size, predictor)
        style = StyleRecord(size=size)
    elif is_style_vector(path):
        return read_style_vector(path)
    else:
        model = load_style_model(path)
        targets, style = model.style_targets.get(str(predictor.loss.fingerprint), {}), model.style
        if not _are_those_of(predictor, targets):
            raise ModelError(path, "lacks the statistics that a blend needs", "blend its style picture instead")
    return StyleVector(path.stem, predicted_vector(targets, predictor), predictor.digest, style, targets)


def _are_those_of(predictor: Predictor, targets: Mapping[str, Tensor]) -> bool:
    """Whether statistics from a style model's file are all that the predictor reads."""
    shapes = {key: tuple(value.shape) for key, value in targets.items()}
    return all(
        shapes.get(name) == (1, channels, channels) and shapes.get(f"{name}.mean") == (1, channels)
        for name, channels in predictor.network.channels.items()
    )


def picture_statistics(path: Path, size: int, predictor: Predictor) -> dict[str, Tensor]:
    """Return the statistics of a style picture that the predictor reads."""
    picture = read_image(path, at_least=size)
    height, width = picture.shape[1:]
    if min(height, width) < MIN_SIDE:
        raise ImageError(path, f"{width} x {height} pixels are too few for a style; both sides need {MIN_SIDE}")
    picture = _middle(picture, _MOST_OBLONG * min(height, width))
    loss = _loss(predictor)
    narrowest = MIN_SIDE * 2 ** (loss.octaves - 1)  # that has all octaves
    picture = resize(picture, max(size, -(-narrowest * max(picture.shape[1:]) // min(height, width))))
    if float(picture.flatten(1).std(dim=1).max()) < _FLATTEST:
        raise ImageError(path, "one colour only, which is no style", "give a picture with strokes or shapes")
    loss.set_style(picture[None])
    return loss.style_targets


def _middle(picture: Tensor, longest: int) -> Tensor:
    """(3, H, W) -> its middle, no side above `longest`."""
    for axis in (1, 2):
        length = min(picture.shape[axis], longest)
        picture = picture.narrow(axis, (picture.shape[axis] - length) // 2, length)
    return picture


@cache
def _loss(predictor: Predictor) -> PerceptualLoss:
    return build_loss(weights=str(predictor.loss.weights), **predictor.loss.spec())


@torch.no_grad()
def predicted_vector(targets: dict[str, Tensor], predictor: Predictor) -> Tensor:
    """Return the vector, (size,), of `PerceptualLoss.style_targets`."""
    return predictor.network.vector(targets)[0]


def blended(vectors: Sequence[StyleVector], weights: Sequence[float], name: str) -> StyleVector:
    """Return the weighted mean of styles."""
    if len(vectors) == 1:
        return StyleVector(name, vectors[0].values, vectors[0].predictor, vectors[0].style, vectors[0].targets)
    values = sum(weight * vector.values for vector, weight in zip(vectors, weights, strict=True))
    names = set.intersection(*(set(vector.targets) for vector in vectors))
    targets = {
        key: sum(weight * vector.targets[key] for vector, weight in zip(vectors, weights, strict=True)) for key in names
    }
    assert isinstance(values, Tensor)
    return StyleVector(name, values, vectors[0].predictor, StyleRecord(), targets)  # type: ignore[arg-type]


@torch.no_grad()
def predicted_style_model(vector: StyleVector) -> StyleModel:
    """Return the painter of a vector: a plain network, as any style model has."""
    predictor = load_predictor()
    network = build_network(**predictor.network.spec)
    weights = predictor.network.weights(vector.values)
    if not all(torch.isfinite(each).all() for each in weights.values()):
        raise ModelError(vector.name, "a vector that no picture has", "embed the picture again: impasto embed")
    network.load_state_dict(weights)
    targets = {str(predictor.loss.fingerprint): vector.targets} if vector.targets else {}
    return StyleModel(
        network.eval().requires_grad_(False), dict(predictor.network.spec), vector.name, predictor.loss, vector.style,
        TrainingRecord(start="predicted"), style_targets=targets,
    )  # fmt: skip
