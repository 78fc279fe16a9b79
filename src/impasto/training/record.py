"""What a style model says of its style, its loss and its training."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from impasto.checkpoint import StyleModel, read_metadata
from impasto.dials.dials import Dials
from impasto.images.geometry import resize
from impasto.images.tensors import to_pil
from impasto.losses import build_loss
from impasto.losses.defects import screen_energy
from impasto.losses.features import SLIM, SLIM_LAYERS
from impasto.losses.perceptual import PerceptualLoss
from impasto.records import LossRecord, ReportSummary, StyleRecord, TrainingRecord
from impasto.system.machine import provenance

if TYPE_CHECKING:
    from impasto.training.module import StyleModule

_MAX_HISTORY = 100_000  # characters: what a painter that one goes on from says of its own training
_THUMBNAIL = 128


@dataclass(frozen=True)
class Style:
    """A style as painters learn it.

    Attributes:
        image: the picture's path.
        picture: (3, H, W) in [0, 1], its longer side `size` pixels.
        name: the style's and its painter's.
        strength: of the style against the content; 1 is the loss's own weight.
        title, artist, year: of the painting, where they are known.
        dials: what the painter's dials are set to, where that is not what they are anyway.
    """

    image: Path
    picture: Tensor
    name: str
    size: int
    strength: float
    title: str | int | None
    artist: str | int | None
    year: str | int | None
    dials: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, image: Path, picture: Tensor, settings: Mapping[str, Any]) -> Style:
        """Return the style that the settings of configs/style describe, with the picture that was read from `image`."""
        stated = ("name", "size", "strength", "title", "artist", "year")
        return cls(image, picture, **{key: settings[key] for key in stated}, dials=_set_dials(settings["dials"]))

    def record(self) -> StyleRecord:
        """Return what a style model says of the style."""
        return StyleRecord(
            title=self.title,
            artist=self.artist,
            year=self.year,
            size=self.size,
            strength=self.strength,
            screen=float(screen_energy(self.picture[None])),
            dials=self.dials or None,
        )


def _set_dials(settings: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return those dials that are set to something else than their defaults."""
    defaults = asdict(Dials())
    return {key: value for key, value in asdict(Dials(**(settings or {}))).items() if value != defaults[key]}


def trained_style_model(
    module: StyleModule,
    spec: dict[str, Any],
    style: Style,
    style_targets: dict[str, dict[str, Tensor]],
    training: Mapping[str, Any],
) -> StyleModel:
    """Return the style model as it stands: averaged weights, and the metadata.

    Args:
        spec: of the network, what `build_network` takes.
        style_targets: see `style_targets_of`.
        training: what the module does not know of its training: data, seed, crop.
    """
    return StyleModel(
        network=module.ema.module,
        spec=spec,
        name=style.name,
        loss=loss_record(module.loss),
        style=replace(style.record(), thumbnail=thumbnail(style.picture)),
        training=TrainingRecord.from_dict(
            {
                **training,
                "margin": module.margin,
                "grid_weight": module.grid_weight,
                "temporal_weight": module.temporal_weight,
                **provenance(module.device),
            }
        ),
        report=ReportSummary(heldout=module.report, defects=module.defects),
        style_targets=style_targets,
    )


def loss_record(loss: PerceptualLoss) -> LossRecord:
    """Return what a style model says of the loss that it was trained with."""
    network = {"weights": loss.features.weights, "fingerprint": loss.features.fingerprint()}
    return LossRecord.from_dict({**loss.spec(), **network})


def style_targets_of(loss: PerceptualLoss, style: Tensor) -> dict[str, dict[str, Tensor]]:
    """Return the style's statistics in `loss`, and in the slim loss network, where that has all of its layers."""
    has_layers = {*loss.style_layers, *loss.content_layers} <= set(SLIM_LAYERS)
    slim = slim_targets_of(loss, style) if has_layers else {}
    return {loss.features.fingerprint(): loss.style_targets, **slim}


def slim_targets_of(loss: PerceptualLoss, style: Tensor) -> dict[str, dict[str, Tensor]]:
    """Return the statistics of a style picture (3, H, W) in the slim loss network,
    which is at hand wherever impasto is.
    """
    slim = build_loss(weights=SLIM, **loss.spec())
    slim.set_style(style[None])
    return {slim.features.fingerprint(): slim.style_targets}


def thumbnail(style: Tensor) -> str:
    """Return a small JPEG of the style picture in base64."""
    buffer = io.BytesIO()
    to_pil(resize(style, _THUMBNAIL)).save(buffer, "JPEG", quality=80)
    return base64.b64encode(buffer.getvalue()).decode()


def name_of(start: Path | None) -> str:
    """Return the name of what the training starts from."""
    return start.stem if start else "random weights"


def history_of(start: Path | None) -> dict[str, Any]:
    """Return what a style model says of its start: the name, and how that in turn was trained."""
    before = read_metadata(start).training.to_dict() if start else {}
    known = before and len(json.dumps(before)) <= _MAX_HISTORY
    return TrainingRecord(start=name_of(start), before=before if known else None).to_dict()
