"""A style model: one safetensors file with the network's weights and all that is known about it.

Everything but tensors stands in one JSON string of the file's metadata, so nothing in it can run code.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from impasto.errors import ModelError, printable
from impasto.images.formats import IMAGE_SUFFIXES
from impasto.records import LossRecord, ReportSummary, StyleRecord, TrainingRecord
from impasto.system.files import asset_dir, is_address
from impasto.system.lazy import lazy
from impasto.tensor_file import check_digest, compact, finite, opened, read_description, read_like, write_tensors

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from impasto import networks
else:
    torch, networks = lazy("torch"), lazy("impasto.networks")

FORMAT = 1  # raised when an older impasto could not read the file any more
SUFFIX = ".safetensors"
PREDICTOR = f"any{SUFFIX}"  # among the shipped files the one that makes painters
_MAX_TENSORS = 2000
_COLORS = 3  # red, green and blue
_MAX_CHANNELS = 512  # of the loss network, hence of a Gram matrix
_NETWORK, _STYLE = "network.", "style."


@dataclass
class StyleModel:
    """A trained painter and what is known of it.

    Attributes:
        network: the module, in evaluation mode and float32.
        spec: `{"name": ..., **options}`, what `build_network` takes.
        name: the style's name, "starry_night".
        loss: the loss that it was trained with.
        style: what is known of the painting.
        training: how it was trained.
        report: how good it is.
        style_targets: fingerprint of a loss network -> `PerceptualLoss.style_targets` of the style picture, so that the
            loss can be had again without the picture: covariances or Gram matrices (1, C, C) and, under names that end
            in ".mean", means (1, C), of layers and of the colours.
    """

    network: nn.Module
    spec: dict[str, Any]
    name: str
    loss: LossRecord = field(default_factory=LossRecord)
    style: StyleRecord = field(default_factory=StyleRecord)
    training: TrainingRecord = field(default_factory=TrainingRecord)
    report: ReportSummary = field(default_factory=ReportSummary)
    style_targets: dict[str, dict[str, Tensor]] = field(default_factory=dict)


@dataclass(frozen=True)
class Metadata:
    """What a style model's file says without its tensors.

    Attributes:
        spec, name, loss, style, training, report: as of `StyleModel`; the spec as it stands, which may lack newer
            options.
        digest: SHA-256 of the tensors; None in files from before it was written.
    """

    spec: dict[str, Any]
    name: str
    loss: LossRecord
    style: StyleRecord
    training: TrainingRecord
    report: ReportSummary
    digest: Any


def save_style_model(path: Path, model: StyleModel) -> None:
    """Write `model` to `path`, whole or not at all; weights in half precision.

    Half precision moves no pixel of an 8-bit picture by more than one level (tests/test_checkpoint.py measures it). A
    digest of the tensors goes with them, whatever order they are in and whatever the metadata say.
    """
    tensors = {_NETWORK + key: compact(value) for key, value in model.network.state_dict().items()}
    for loss_network, targets in model.style_targets.items():
        for name, target in targets.items():
            tensors[f"{_STYLE}{loss_network}.{name}"] = _packed(target)
    write_tensors(path, tensors, _description(model))


def load_style_model(path: Path) -> StyleModel:
    """Read a style model; the network comes in float32 on the CPU, in evaluation mode.

    Raises:
        ModelError: no such file, not a style model, made by a newer version, damaged (its tensors have another digest
            than was written with them), or with values that are not numbers.
    """
    metadata = read_metadata(path)
    spec = networks.complete_spec(metadata.spec)
    network = _build(spec, path)
    with opened(path) as file:
        if len(file.keys()) > _MAX_TENSORS:
            raise ModelError(path, "too many tensors for a style model")
        state = {key: read_like(file, _NETWORK + key, value, path) for key, value in network.state_dict().items()}
        targets: dict[str, dict[str, Tensor]] = {}
        for key in sorted(file.keys()):
            if key.startswith(_STYLE):
                loss_network, _, layer = key.removeprefix(_STYLE).partition(".")
                targets.setdefault(loss_network, {})[layer] = _read_target(file, key, path)
        check_digest(file, metadata.digest, path)
    network.load_state_dict(state, assign=True)
    return StyleModel(
        network.eval().requires_grad_(False), spec, metadata.name, metadata.loss, metadata.style,
        metadata.training, metadata.report, targets,
    )  # fmt: skip


def read_metadata(path: Path) -> Metadata:
    """Return the metadata of a style model without touching its weights; raises as `load_style_model`."""
    return _understood(read_description(path), path)


def _description(model: StyleModel) -> dict[str, Any]:
    """Return the metadata that `_understood` takes apart."""
    return {
        "format": FORMAT, "network": model.spec, "name": model.name, "loss": model.loss.to_dict(),
        "style": model.style.to_dict(), "training": model.training.to_dict(), "report": model.report.to_dict(),
    }  # fmt: skip


def _understood(metadata: Any, path: Path) -> Metadata:
    if not isinstance(metadata, dict) or not isinstance(metadata.get("format"), int):
        raise ModelError(path, "the description inside is not one of impasto's")
    if metadata["format"] > FORMAT:
        raise ModelError(path, f"made by a newer impasto (format {metadata['format']})", "pip install -U impasto")
    if metadata.get("kind") == "predictor":
        raise ModelError(path, "the predictor of painters, not a painter", "give it a picture: -s PICTURE")
    check_name(_expect(metadata, "name", str, path), path)
    spec, loss, style, training, report = (
        _expect(metadata, key, dict, path) for key in ("network", "loss", "style", "training", "report")
    )
    return Metadata(
        spec, metadata["name"], LossRecord.from_dict(loss), StyleRecord.from_dict(style),
        TrainingRecord.from_dict(training), ReportSummary.from_dict(report), metadata.get("digest"),
    )  # fmt: skip


def check_name(name: str, source: object) -> None:
    """Refuse a style's name that could not be part of a file's name: it comes from a stranger's file.

    Raises:
        ModelError: empty, too long, or with a separator or a character that cannot be printed.
    """
    if (
        not 0 < len(name.encode("utf-8", "replace")) <= 100
        or name.startswith(".")
        or not name.isprintable()
        or set(name) & set('/\\:*?"<>|')
    ):
        raise ModelError(source, f"{printable(name[:40])!r} cannot be a style's name", "choose a plain word")


def plain_name(stem: str) -> str:
    """Return a picture's name as one that a style may have: not too long, without what file names cannot hold."""
    plain = "".join(c if c.isprintable() and c not in '/\\:*?"<>|' else "_" for c in stem.replace("${", "$"))
    return plain.lstrip(". ").encode()[:100].decode(errors="ignore").rstrip(". ") or "style"


def shipped_styles() -> list[Path]:
    """Return the style models that came with this installation, sorted by name."""
    return sorted(path for path in asset_dir("checkpoints").glob(f"*{SUFFIX}") if path.name != PREDICTOR)


def find_style_model(style: str | Path) -> Path:
    """Return the file for `style`: a path with or without its suffix, or the name of a shipped style.

    Raises:
        ModelError: neither such a file nor such a name.
    """
    path = Path(os.path.expanduser(style))  # noqa: PTH111 - Path.expanduser raises for a user who is not there
    if is_address(style):
        raise ModelError(style, "an address, and addresses are not fetched", "download it first")
    if remedy := _remedy_for(path):
        if not path.exists():
            raise ModelError(style, "no such file, and no name of a shipped style", "check the name")
        raise ModelError(style, remedy)
    if path.is_file():
        return path
    beside = path.parent / f"{path.name}{SUFFIX}"
    if path.name and beside.is_file():
        return beside
    shipped = {known.stem: known for known in shipped_styles()}
    if str(style) in shipped:
        return shipped[str(style)]
    names = ", ".join(shipped) or "none are installed; train one with `impasto train PICTURE`"
    close = get_close_matches(path.name.removesuffix(SUFFIX).casefold(), shipped, n=1)
    meant = f"; did you mean {close[0]}?" if close else f" ({names})"
    raise ModelError(style, f"neither a style model file nor a shipped style{meant}")


def _remedy_for(path: Path) -> str:
    """Say what to do with a file that people take for a style model, as far as its suffix tells."""
    suffix = path.suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        return f"a picture, not a painter; train one first: impasto train {printable(path)}"
    if suffix in (".pth", ".pt", ".model", ".t7", ".bin"):
        return (
            f"weights of another project; make a style model of them first: impasto import {printable(path)} "
            f"-o OUT{SUFFIX}"
        )
    if suffix == ".ckpt":
        return (
            f"a checkpoint to go on training with; its painter is the {SUFFIX} file that training wrote "
            "beside the picture"
        )
    if suffix == ".onnx":
        return f"a graph, not a style model; give the {SUFFIX} file that it was made of"
    return ""


def _build(spec: dict[str, Any], path: Path) -> nn.Module:
    try:
        with torch.device("meta"):  # nothing is allocated before the file's shapes are known to fit
            return networks.build_network(**spec)
    except (ModelError, TypeError) as error:
        raise ModelError(path, str(error)) from error


def _read_target(file: Any, key: str, path: Path) -> Tensor:
    part = file.get_slice(key)
    shape, is_mean = part.get_shape(), key.endswith(".mean")
    channels = 0 if len(shape) != 1 else shape[0] if is_mean else math.isqrt(2 * shape[0])
    fits = is_mean or channels * (channels + 1) // 2 == math.prod(shape)
    if not 0 < channels <= _MAX_CHANNELS or not fits or part.get_dtype() not in ("F32", "BF16"):
        raise ModelError(path, f"{key} is no mean or Gram matrix", "the file was altered")
    value = finite(file.get_tensor(key).float(), key, path)
    return value[None] if is_mean else _full_matrix(value)


def _expect(metadata: dict[str, Any], key: str, kind: type, path: Path) -> Any:
    value = metadata.get(key)
    if not isinstance(value, kind):
        raise ModelError(path, f"the description inside has no valid {key!r}", "the file was altered")
    return value


def _packed(target: Tensor) -> Tensor:
    """(1, C) -> (C,); (1, C, C) symmetric -> its upper triangle in one row, for a Gram matrix holds everything twice.

    In bfloat16, which has float32's range: its rounding adds 0.0005 to a loss in the style's axes, 1e-5 to others. The
    few numbers of the colours stay as they are: their means are compared in units of the colours' deviation.
    """
    value = target[0]
    if value.dim() == 2:
        rows, columns = torch.triu_indices(*value.shape)
        value = value[rows, columns]
    return (value.float() if target.shape[-1] == _COLORS else value.bfloat16()).contiguous().cpu()


def _full_matrix(triangle: Tensor) -> Tensor:
    channels = math.isqrt(2 * triangle.numel())
    gram = triangle.new_zeros(channels, channels)
    rows, columns = torch.triu_indices(channels, channels)
    gram[rows, columns] = triangle
    gram[columns, rows] = triangle
    return gram[None]
