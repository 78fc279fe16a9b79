"""Import style models that pytorch/examples' fast_neural_style trained.

An imported network must paint what the original formula paints. Nothing but tensors is unpickled.
"""

from __future__ import annotations

import io
import pickletools
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import Parameter
from torch.nn import functional as F

from impasto.checkpoint import StyleModel, check_name
from impasto.errors import ModelError, printable
from impasto.networks import build_network
from impasto.records import TrainingRecord

_MAX_BYTES = 200_000_000
_MAX_NUMBERS, _MAX_TENSORS, _MAX_PICKLE = 50_000_000, 2000, 200_000
_GLOBALS = re.compile(
    r"collections OrderedDict|torch\._utils _rebuild_(tensor|tensor_v2|parameter)|torch\.nn\.parameter Parameter"
    r"|torch (Half|BFloat16|Float|Double|Long)Storage"
)
_PRECISIONS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_TABLES = ("state_dict", "model_state_dict", "model", "net", "network", "generator", "params")
_WRAPPERS = re.compile(r"^((module|_orig_mod|model|net|network)\.)+")
_TOLERANCE = 1 / 255
# Their name of each layer, and ours. {n} counts the residual blocks, from 1 there and from 0 here.
_LAYERS = {
    "conv1": ("encoder.0.0", "encoder.0.1"), "conv2": ("encoder.2.0", "encoder.2.1"),
    "conv3": ("encoder.4.0", "encoder.4.1"),
    "deconv1": ("decoder.0.1.0", "decoder.0.1.1"), "deconv2": ("decoder.1.1.0", "decoder.1.1.1"),
    "deconv3": ("decoder.2.0", ""),
}  # fmt: skip
_NORMS = {"conv1": "in1", "conv2": "in2", "conv3": "in3", "deconv1": "in4", "deconv2": "in5"}


def import_model(path: Path, name: str) -> StyleModel:
    """Read a `.pth`, `.model` or `.safetensors` file of pytorch/examples' fast_neural_style as a style model called
    `name`.

    Raises:
        ModelError: no such file, not such a model, or one that does not paint here what it paints there (to within
            one level of 255, on a picture made for the purpose).
    """
    check_name(name, "--name")
    state = _read_state(path)
    blocks = len({key.split(".")[0] for key in state if re.match(r"res\d+\.", key)})
    spec: dict[str, Any] = {"name": "fast_neural_style", "width": _width(state, path), "blocks": blocks}
    try:
        network = build_network(**spec)
    except ModelError as error:
        raise ModelError(path, str(error)) from error
    keys = _key_map(blocks)
    if set(keys) != set(state):
        odd = sorted(set(keys) ^ set(state))
        raise ModelError(path, f"not a network of pytorch/examples' fast_neural_style ({printable(odd[0][:80])})")
    try:
        # Half precision is what the style model will hold, and so what is verified.
        network.load_state_dict({ours: state[theirs].half().float() for theirs, ours in keys.items()})
    except RuntimeError as error:
        raise ModelError(path, "its layers have other shapes than fast_neural_style's") from error
    model = StyleModel(
        network.eval().requires_grad_(False), spec, name, training=TrainingRecord(imported="pytorch/examples")
    )
    _verify(model, state, blocks, path)
    return model


def _read_state(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise ModelError(path, "no such file")
    if path.stat().st_size > _MAX_BYTES:
        raise ModelError(path, f"too large for a style model ({path.stat().st_size >> 20} MB)")
    try:
        if path.suffix.lower() == ".safetensors":
            state = load_file(path)
        else:
            with path.open("rb") as file:
                state = torch.load(_checked_file(file), map_location="cpu", weights_only=True)
    except Exception as error:  # an unpickler raises anything on hostile bytes
        raise ModelError(path, "not a file of PyTorch weights, or one that wants to run code") from error
    state = _unwrap(state)
    if not isinstance(state, dict) or len(state) > _MAX_TENSORS:
        raise ModelError(path, "not a state dict, a table of names and tensors")
    if not all(type(key) is str and type(value) in (Tensor, Parameter) for key, value in state.items()):
        raise ModelError(path, "not a state dict, a table of names and tensors")
    if any(value.__dict__ for value in state.values()):
        raise ModelError(path, "its tensors carry more than numbers")
    plain = (value.layout is torch.strided and value.device.type == "cpu" for value in state.values())
    if not all(plain) or sum(value.numel() for value in state.values()) > _MAX_NUMBERS:
        raise ModelError(path, "its tensors are not those of a style network")
    # PyTorch 0.4 wrote statistics that instance norm never used.
    state = {
        key: value for key, value in state.items() if not re.search(r"\.(running_(mean|var)|num_batches_tracked)$", key)
    }
    if not all(value.dtype in _PRECISIONS and torch.isfinite(value).all() for value in state.values()):
        raise ModelError(path, "holds values that are not numbers")
    return state


def _unwrap(state: Any) -> Any:
    """Return the state dict inside a training loop's checkpoint, its keys without the prefixes of wrappers."""
    for _ in range(3):
        inner = [dict.get(state, key) for key in _TABLES] if isinstance(state, dict) else []
        state = next((table for table in inner if isinstance(table, dict)), state)
    if not isinstance(state, dict):
        return state
    # `dict.items`, because the file may override the object's own method. DataParallel and torch.compile prefix every
    # key.
    return {_WRAPPERS.sub("", key) if type(key) is str else key: value for key, value in dict.items(state)}


def _checked_file(file: BinaryIO) -> BinaryIO:
    """Check that the pickles of a file are short and name nothing but tensors;
    return the file, or an archive repacked from it.
    """
    if not zipfile.is_zipfile(file):
        file.seek(0)
        head = io.BytesIO(file.read(_MAX_PICKLE))
        if head.getvalue()[:2] == b"PK":
            raise ValueError("not a whole archive")
        for _ in range(5):  # magic number, version, system, tensors, storages: as PyTorch before 1.6 wrote them
            _check_pickle(head)
        file.seek(0)
        return file
    packed = io.BytesIO()  # torch reads exactly what was checked
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(packed, "w") as new:
        entries = old.infolist()
        size, names = sum(entry.file_size for entry in entries), {entry.filename.lower() for entry in entries}
        if (
            size > _MAX_BYTES
            or not len(names) == len(entries) <= 2 * _MAX_TENSORS
            or any(e.compress_type for e in entries)
        ):
            raise ValueError("compressed, too large or ambiguous")
        for entry in entries:
            content = old.read(entry)
            if entry.filename.lower().endswith(".pkl"):
                if len(content) > _MAX_PICKLE:
                    raise ValueError("more than the names of tensors")
                _check_pickle(io.BytesIO(content))
            new.writestr(zipfile.ZipInfo(entry.filename), content)
    packed.seek(0)
    return packed


def _check_pickle(stream: BinaryIO) -> None:
    """Raise ValueError for a pickle that names anything but tensors or nests too deeply, without running it."""
    tuples = 0
    for opcode, argument, _ in pickletools.genops(stream):
        if opcode.name in ("GLOBAL", "STACK_GLOBAL") and not _GLOBALS.fullmatch(str(argument)):
            raise ValueError(f"names {argument}")
        tuples += opcode.name.startswith("TUPLE")
    if tuples > 8 * _MAX_TENSORS:
        raise ValueError("nests too deep")


def _width(state: Mapping[str, Tensor], path: Path) -> int:
    first = state.get("conv1.conv2d.weight")
    if first is None or first.ndim != 4:
        raise ModelError(path, "not a network of pytorch/examples' fast_neural_style (conv1.conv2d.weight)")
    return len(first)


def _key_map(blocks: int) -> dict[str, str]:
    """Return {their key: our key} of every parameter."""
    pairs = {}
    for theirs, (convolution, norm) in _LAYERS.items():
        pairs[f"{theirs}.conv2d"] = convolution
        if theirs in _NORMS:
            pairs[_NORMS[theirs]] = norm
    for block in range(blocks):
        for half, place in ((1, 0), (2, 2)):
            pairs[f"res{block + 1}.conv{half}.conv2d"] = f"body.{block}.body.{place}.0"
            pairs[f"res{block + 1}.in{half}"] = f"body.{block}.body.{place}.1"
    return {f"{theirs}.{part}": f"{ours}.{part}" for theirs, ours in pairs.items() for part in ("weight", "bias")}


@torch.no_grad()
def _verify(model: StyleModel, state: Mapping[str, Tensor], blocks: int, path: Path) -> None:
    picture = _test_picture()
    error = (model.network(picture) - original_forward(state, picture, blocks)).abs().max().item()
    if not error <= _TOLERANCE:
        raise ModelError(path, f"paints otherwise than in its own project (off by {255 * error:.1f} levels)")


def _test_picture() -> Tensor:
    """Return (1, 3, 64, 64) in [0, 1]: two waves and a gradient, with flat and with steep places."""
    y, x = np.mgrid[0:64, 0:64] / 63
    planes = [np.sin(9 * x + 5 * y), np.sign(np.sin(20 * y * x)), 2 * x - 1]
    return torch.from_numpy(np.stack(planes) / 2 + 0.5).float()[None]


def original_forward(state: Mapping[str, Tensor], image: Tensor, blocks: int) -> Tensor:
    """Paint `image`, (N, 3, H, W) in [0, 1], by the original project's formula; return the same shape and range."""

    def layer(x: Tensor, convolution: str, norm: str = "", stride: int = 1) -> Tensor:
        weight, bias = (state[f"{convolution}.conv2d.{part}"].float() for part in ("weight", "bias"))
        x = F.conv2d(F.pad(x, [weight.shape[-1] // 2] * 4, mode="reflect"), weight, bias, stride)
        return (
            F.instance_norm(x, weight=state[f"{norm}.weight"].float(), bias=state[f"{norm}.bias"].float())
            if norm
            else x
        )

    x = layer(255 * image, "conv1", "in1").relu()
    x = layer(x, "conv2", "in2", stride=2).relu()
    x = layer(x, "conv3", "in3", stride=2).relu()
    for block in range(1, blocks + 1):
        inner = layer(x, f"res{block}.conv1", f"res{block}.in1").relu()
        x = x + layer(inner, f"res{block}.conv2", f"res{block}.in2")
    x = layer(F.interpolate(x, scale_factor=2), "deconv1", "in4").relu()
    x = layer(F.interpolate(x, scale_factor=2), "deconv2", "in5").relu()
    return (layer(x, "deconv3") / 255).clamp(0, 1)
