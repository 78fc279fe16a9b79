"""Files of the predictor, which travels with impasto, and of style vectors, which people keep and pass on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from impasto.checkpoint import FORMAT, PREDICTOR, check_name
from impasto.errors import ModelError
from impasto.records import LossRecord, StyleRecord
from impasto.system.files import asset_dir
from impasto.system.lazy import lazy
from impasto.tensor_file import check_digest, compact, opened, read_description, read_like, write_tensors

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from impasto.any_style import predictor as predictors
else:
    torch, predictors = lazy("torch"), lazy("impasto.any_style.predictor")

_MOST_LAYERS, _MOST_CHANNELS, _MOST_NUMBERS = 64, 512, 1024


@dataclass(frozen=True, eq=False)  # one is itself: losses are kept by it
class Predictor:
    """The predictor and what is known of it.

    Attributes:
        network: in evaluation mode.
        loss: what its statistics belong to.
        closer: by how much style reached rises with two minutes of training, a mean over pictures that it never saw;
            None where nobody measured it.
        digest: of its tensors.
    """

    network: predictors.StylePredictor
    loss: LossRecord
    closer: float | None
    digest: str


@dataclass(frozen=True)
class StyleVector:
    """A style as the predictor sees it.

    Attributes:
        name: the style's.
        values: (size,) float32.
        predictor: digest of the predictor whose vector it is.
        style: what is known of the picture.
        targets: `PerceptualLoss.style_targets`, where they are at hand.
    """

    name: str
    values: Tensor
    predictor: str
    style: StyleRecord = field(default_factory=StyleRecord)
    targets: dict[str, Tensor] = field(default_factory=dict)


def predictor_path() -> Path:
    """Return where the predictor is, if it is there."""
    return asset_dir("checkpoints") / PREDICTOR


def is_held_out(picture: Path) -> bool:
    """Whether the predictor was never trained on a picture of that name: one in ten, by the name's SHA-256."""
    return int(hashlib.sha256(picture.stem.encode()).hexdigest(), 16) % 10 == 0


def save_predictor(
    path: Path, network: predictors.StylePredictor, loss: LossRecord, training: Mapping[str, Any], closer: float | None
) -> None:
    """Write a predictor, whole or not at all, its weights in half precision."""
    description = {
        "format": FORMAT, "kind": "predictor", "network": network.spec, "channels": network.channels,
        "size": network.size, "loss": loss.to_dict(), "training": dict(training), "closer": closer,
    }  # fmt: skip
    write_tensors(path, {key: compact(value) for key, value in network.state_dict().items()}, description)


@cache
def load_predictor(path: Path | None = None) -> Predictor:
    """Read a predictor, by default the one that travels with impasto.

    Raises:
        ModelError: no such file, or not a predictor.
    """
    path = path or predictor_path()
    if not path.is_file():
        raise ModelError(path, "the predictor is not installed", "train a painter instead: impasto train PICTURE")
    facts = _facts(path, "predictor", {"network": dict, "channels": dict, "size": int, "loss": dict, "digest": str})
    channels, size = facts["channels"], facts["size"]
    most = max((count for count in channels.values() if isinstance(count, int)), default=0)
    if not 0 < len(channels) <= _MOST_LAYERS or not 0 < most <= _MOST_CHANNELS or not 0 < size <= _MOST_NUMBERS:
        raise ModelError(path, "the predictor inside is larger than any of impasto's", "the file was altered")
    network = predictors.StylePredictor(facts["network"], channels, size)
    with opened(path) as file:
        network.load_state_dict({key: read_like(file, key, like, path) for key, like in network.state_dict().items()})
        check_digest(file, facts["digest"], path)
    closer = facts.get("closer")
    return Predictor(
        network.eval().requires_grad_(False), LossRecord.from_dict(facts["loss"]),
        closer if isinstance(closer, float) else None, facts["digest"],
    )  # fmt: skip


def is_style_vector(path: Path) -> bool:
    """Whether a file is a style vector, and no style model."""
    if path.stat().st_size > 100_000:
        return False
    description = read_description(path)
    return isinstance(description, dict) and description.get("kind") == "vector"


def save_style_vector(path: Path, vector: StyleVector) -> None:
    """Write a style vector, whole or not at all: a few kilobytes."""
    description = {
        "format": FORMAT, "kind": "vector", "name": vector.name, "style": vector.style.to_dict(),
        "predictor": vector.predictor,
    }  # fmt: skip
    write_tensors(path, {"vector": vector.values.float().contiguous().cpu()}, description)


def read_style_vector(path: Path) -> StyleVector:
    """Read a style vector.

    Raises:
        ModelError: not one, damaged, or of another predictor than the one that travels with this impasto.
    """
    facts = _facts(path, "vector", {"name": str, "style": dict, "predictor": str, "digest": str})
    check_name(facts["name"], path)
    predictor = load_predictor()
    if facts["predictor"] != predictor.digest:
        raise ModelError(path, "made with the predictor of another impasto", "embed the picture again: impasto embed")
    with opened(path) as file:
        values = read_like(file, "vector", torch.empty(predictor.network.size), path)
        check_digest(file, facts["digest"], path)
    return StyleVector(facts["name"], values, predictor.digest, StyleRecord.from_dict(facts["style"]))


def _facts(path: Path, kind: str, expected: Mapping[str, type]) -> dict[str, Any]:
    facts = read_description(path)
    if not isinstance(facts, dict) or facts.get("kind") != kind or not isinstance(facts.get("format"), int):
        raise ModelError(path, f"not a style {kind} of impasto")
    if facts["format"] > FORMAT:
        raise ModelError(path, f"made by a newer impasto (format {facts['format']})", "pip install -U impasto")
    for key, type_ in expected.items():
        if not isinstance(facts.get(key), type_):
            raise ModelError(path, f"the description inside has no valid {key!r}", "the file was altered")
    return facts
