"""VGG-19's layers, and the reading of weights for them: torchvision's, a file's, or those of the slim network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from impasto.errors import WeightsError
from impasto.system.files import asset_dir

SLIM, SLIM_LAYERS = "slim", ("relu1_2", "relu2_2", "relu3_2", "relu3_3", "relu3_4")
_BLOCKS = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))  # channels, convolutions; a 2x2 max pooling between blocks


class Layer(NamedTuple):
    """One convolution of VGG-19 with its ReLU: its position in torchvision's `features`, channels,
    and whether pooling comes before it.
    """

    position: int
    in_channels: int
    channels: int
    pooled: bool


def _layer_table() -> dict[str, Layer]:
    table: dict[str, Layer] = {}
    index, in_channels = 0, 3
    for block, (channels, convolutions) in enumerate(_BLOCKS, start=1):
        for convolution in range(1, convolutions + 1):
            table[f"relu{block}_{convolution}"] = Layer(index, in_channels, channels, block > 1 and convolution == 1)
            index, in_channels = index + 2, channels
        index += 1
    return table


LAYERS = _layer_table()


def path_to(layers: Sequence[str]) -> list[str]:
    """Return the names of all layers that an image passes up to the deepest of `layers`, in order.

    Raises:
        WeightsError: VGG-19 has no such layer.
    """
    if unknown := [name for name in layers if name not in LAYERS]:
        raise WeightsError(f"VGG-19 has no layer {unknown[0]!r}; its layers are {', '.join(LAYERS)}")
    names = list(LAYERS)
    return names[: max(names.index(name) for name in layers) + 1]


def read_weights(weights: str, layers: Sequence[str]) -> dict[str, Tensor]:
    """Read what it takes to compute `layers`, in float32.

    Args:
        weights: `torchvision`, `slim`, or the path of a state dict with torchvision's keys, `.safetensors` or `.pth`. A
            slim network's state dict has a linear map for each of its named layers as well.

    Returns:
        `relu1_1_weight` (C', C, 3, 3) and `relu1_1_bias` (C',) for every layer on the way, in order; then, from a slim
        network, `relu1_2_map_weight` (C'', C', 1, 1) and `relu1_2_map_bias` (C'',) for each of `layers`.

    Raises:
        WeightsError: an unknown layer, weights that cannot be had, that were altered or that are too shallow.
    """
    path, state, channels = path_to(layers), _read_state(weights), 3
    tensors: dict[str, Tensor] = {}
    for name in path:
        weight, bias = _fitting(_convolution(state, name, weights), channels, 3, name, weights)
        tensors[f"{name}_weight"], tensors[f"{name}_bias"] = weight.float(), bias.float()
        channels = len(bias)
    if _is_slim(state):
        for name in layers:
            linear_map = _linear_map(state, name, weights)
            weight, bias = _fitting(linear_map, len(tensors[f"{name}_bias"]), 1, name, weights)
            tensors[f"{name}_map_weight"], tensors[f"{name}_map_bias"] = weight.float(), bias.float()
    return tensors


def _convolution(state: dict[str, Tensor], name: str, weights: str) -> tuple[Tensor, Tensor]:
    layer = LAYERS[name]
    weight, bias = state.get(f"features.{layer.position}.weight"), state.get(f"features.{layer.position}.bias")
    if weight is None or bias is None:
        raise WeightsError(
            f"{weights}: too shallow, it has no weights for {name}; name layers before it in loss.content_layers "
            "and loss.style_layers, or use the full VGG-19 with loss.features.weights=torchvision"
        )
    wanted = (layer.channels, layer.in_channels, 3, 3), (layer.channels,)
    if not _is_slim(state) and (weight.shape, bias.shape) != wanted:
        raise WeightsError(f"{weights}: {name} does not have VGG-19's shape; give torchvision's VGG-19 state dict")
    return weight, bias


def _linear_map(state: dict[str, Tensor], name: str, weights: str) -> tuple[Tensor, Tensor]:
    if f"maps.{name}.weight" not in state:
        known = ", ".join(layer for layer in LAYERS if f"maps.{layer}.weight" in state)
        raise WeightsError(
            f"{weights}: it stands in for VGG-19 at {known}, not at {name}; name those layers in "
            "loss.content_layers and "
            "loss.style_layers, or use the full VGG-19 with loss.features.weights=torchvision"
        )
    return state[f"maps.{name}.weight"], state.get(f"maps.{name}.bias", torch.empty(0))


def _fitting(
    weight_and_bias: tuple[Tensor, Tensor], in_channels: int, side: int, name: str, weights: str
) -> tuple[Tensor, Tensor]:
    """Return a convolution as it is, if it takes what the layer before it gives."""
    weight, bias = weight_and_bias
    if weight.shape[1:] != (in_channels, side, side) or bias.shape != weight.shape[:1]:
        raise WeightsError(f"{weights}: {name} does not fit the layer before it; the file was altered")
    return weight_and_bias


def _is_slim(state: dict[str, Tensor]) -> bool:
    return any(key.startswith("maps.") for key in state)


def _read_state(weights: str) -> dict[str, Tensor]:
    if weights == "torchvision":
        return _torchvision_state()
    return _file_state(asset_dir("checkpoints") / "loss" / f"{SLIM}.safetensors" if weights == SLIM else Path(weights))


def _file_state(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise WeightsError(
            f"{path}: no such file of VGG-19 weights; give a .safetensors or .pth file, slim or torchvision"
        )
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
            raise ValueError("it holds no named tensors")
        return state
    except Exception as error:
        raise WeightsError(f"{path}: not a readable state dict ({_first_line(error)}); download it again") from error


def _torchvision_state() -> dict[str, Tensor]:
    from torchvision.models import VGG19_Weights

    try:
        return dict(VGG19_Weights.IMAGENET1K_V1.get_state_dict(progress=True, check_hash=True))
    except (OSError, RuntimeError) as error:  # no network, or a download that does not match its hash
        raise WeightsError(
            f"VGG-19's weights could not be downloaded ({_first_line(error)}); go online once (550 MB), or give a file "
            "you have with loss.features.weights=PATH (--loss-weights PATH)"
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
