"""Files of the predictor, which travels with impasto, and of style vectors, which people keep and pass on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
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

    from impasto import networks
    from impasto.any_style import predictor as predictors
else:
    torch, networks, predictors = lazy("torch"), lazy("impasto.networks"), lazy("impasto.any_style.predictor")

_MOST_LAYERS, _MOST_CHANNELS, _MOST_NUMBERS = 64, 512, 1024
_LONGEST_VECTOR = 1_000_000  # bytes, most of them a thumbnail


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


def installed_predictor() -> Path:
    """Return where the predictor is; raises ModelError where it is not."""
    if not (path := predictor_path()).is_file():
        raise ModelError(path, "the predictor is not installed", "train a painter instead: impasto train PICTURE")
    return path


def how_much_closer() -> str:
    """Say how much closer to its picture a trained painter comes than a predicted one; needs no torch."""
    closer = read_description(predictor_path()).get("closer")
    return f"comes closer: style reached +{100 * closer:.0f} points on average" if closer else "comes closer"


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
        ModelError: no such file, not a predictor, or damaged.
    """
    path = path or installed_predictor()
    facts = _facts(path, "predictor", {"network": dict, "channels": dict, "size": int, "loss": dict, "digest": str})
    network = _build(facts, path)
    with opened(path) as file:
        state = {key: read_like(file, key, like, path) for key, like in network.state_dict().items()}
        check_digest(file, facts["digest"], path)
    network.load_state_dict(state, assign=True)
    closer = facts.get("closer")
    return Predictor(
        network.eval().requires_grad_(False), LossRecord.from_dict(facts["loss"]),
        closer if isinstance(closer, float) else None, facts["digest"],
    )  # fmt: skip


def _build(facts: Mapping[str, Any], path: Path) -> predictors.StylePredictor:
    channels, size = facts["channels"], facts["size"]
    counts = [count if type(count) is int else 0 for count in channels.values()]
    fits = 0 < len(counts) <= _MOST_LAYERS and min(counts) > 0 and max(counts) <= _MOST_CHANNELS
    if not fits or not 0 < size <= _MOST_NUMBERS:
        raise ModelError(path, "the predictor inside is none of impasto's", "the file was altered")
    try:
        with torch.device("meta"):  # nothing is allocated before the file's shapes are known to fit
            return predictors.StylePredictor(networks.complete_spec(facts["network"]), channels, size)
    except (ModelError, TypeError, ValueError) as error:
        raise ModelError(path, str(error)) from error


def is_style_vector(path: Path) -> bool:
    """Whether a file is a style vector; a style model is none, nor is what cannot be read."""
    with suppress(ModelError):
        description = read_description(path) if path.stat().st_size <= _LONGEST_VECTOR else None
        return isinstance(description, dict) and description.get("kind") == "vector"
    return False


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
