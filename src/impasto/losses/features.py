"""VGG-19, the loss network (Simonyan and Zisserman, "Very Deep Convolutional Networks", 2015), as a feature extractor.

`slim` is a narrow stand-in distilled from it, which travels with impasto: half of the channels, about a quarter of the
work. Each of its layers ends in a linear map that keeps the distances of VGG-19's channel space, so whatever is measured
on its features (a relative error, a relative distance of Gram matrices) is measured in VGG-19's terms.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from impasto.errors import UsageError, WeightsError
from impasto.losses.functional import mapped_mean_and_covariance, mean_and_covariance
from impasto.system.files import asset_dir

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, per RGB channel
_BLOCKS = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))  # channels, convolutions; a 2x2 max pooling between blocks


def _layer_table() -> dict[str, tuple[int, int, int, bool]]:
    """Layer name -> its convolution's index in torchvision's `features`, in and out channels, pooling before it."""
    table, index, in_channels = {}, 0, 3
    for block, (channels, convolutions) in enumerate(_BLOCKS, start=1):
        for convolution in range(1, convolutions + 1):
            table[f"relu{block}_{convolution}"] = (index, in_channels, channels, block > 1 and convolution == 1)
            index, in_channels = index + 2, channels
        index += 1
    return table


LAYERS = _layer_table()
MIN_SIDE = 16
SLIM, SLIM_LAYERS = "slim", ("relu1_2", "relu2_2", "relu3_2", "relu3_3", "relu3_4")


class VGGFeatures(nn.Module):
    """Activations of VGG-19 after the named ReLU layers.

    Args:
        layers: names such as "relu3_2". Nothing beyond the deepest one is computed.
        weights: `torchvision` (its ImageNet weights, downloaded once, checked and cached by torchvision), `slim` (the
            stand-in that travels with impasto, for relu1_2, relu2_2, relu3_2, relu3_3 and relu3_4) or the path of a
            state dict with torchvision's keys, `.safetensors` or `.pth`.

    Frozen: the weights are buffers that no optimiser and no checkpoint sees, and there is nothing that `train()`
    could change. Images go in as they are; ImageNet's mean and deviation are applied here and nowhere else.

    `forward` takes `layers` to ask for fewer of them.

    Shape:
        (N, 3, H, W) in [0, 1], sides of at least 16 -> {name: (N, C, H / 2^p, W / 2^p)}, p poolings before the layer;
        C is VGG-19's number of channels, or the slim network's.

    Raises:
        WeightsError: an unknown layer, weights that cannot be had, or weights too shallow for the layers.
        UsageError: from `forward` or `narrow`, an image with a side below 16.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, layers: Sequence[str], weights: str = "torchvision"):
        super().__init__()
        if unknown := [name for name in layers if name not in LAYERS]:
            raise WeightsError(f"VGG-19 has no layer {unknown[0]!r}; its layers are {', '.join(LAYERS)}")
        self.layers = tuple(layers)
        self.weights = weights
        depth = max(list(LAYERS).index(name) for name in layers)
        self._path = list(LAYERS)[: depth + 1]
        state, channels = _read(weights), 3
        for name in self._path:
            self._keep(name, _fitting(_convolution(state, name, weights), channels, 3, name, weights))
            channels = self.channels(name)
        for name in self.layers:
            if (expansion := _expansion(state, name, weights)) is not None:
                self._keep(f"{name}_map", _fitting(expansion, self.channels(name), 1, name, weights))
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)
        self.to(memory_format=torch.channels_last)

    def forward(self, image: Tensor, layers: Sequence[str] | None = None) -> dict[str, Tensor]:
        return {name: self.expanded(name, narrow) for name, narrow in self.narrow(image, layers).items()}

    def narrow(self, image: Tensor, layers: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Return what `forward` does, but without the slim network's linear maps."""
        if min(image.shape[-2:]) < MIN_SIDE:
            height, width = image.shape[-2:]
            raise UsageError(f"{width} x {height} pixels are too few for the loss network; both sides need {MIN_SIDE}")
        wanted = set(layers or self.layers)
        x = ((image - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        features = {}
        for name in self._path:
            if len(features) == len(wanted):
                break
            if LAYERS[name][3]:
                x = F.max_pool2d(x, 2)
            x = F.conv2d(x, getattr(self, f"{name}_weight"), getattr(self, f"{name}_bias"), padding=1).relu()
            if name in wanted:
                features[name] = x
        return features

    def expanded(self, name: str, narrow: Tensor) -> Tensor:
        """Return the features that `forward` gives for layer `name`, made of those that `narrow` gives."""
        linear_map = self._map(name)
        return F.conv2d(narrow, *linear_map) if linear_map else narrow

    def mean_and_covariance(self, name: str, narrow: Tensor) -> tuple[Tensor, Tensor]:
        """Return those of `expanded(name, narrow)`, which for the slim network takes no wide features."""
        if not (linear_map := self._map(name)):
            return mean_and_covariance(narrow)
        weight, bias = linear_map
        return mapped_mean_and_covariance(narrow, weight[:, :, 0, 0], bias)

    def _map(self, name: str) -> tuple[Tensor, Tensor] | None:
        """Weight (C', C, 1, 1) and bias (C',) of the linear map behind the slim network's layer `name`."""
        if not hasattr(self, f"{name}_map_weight"):
            return None
        return getattr(self, f"{name}_map_weight"), getattr(self, f"{name}_map_bias")

    def _keep(self, name: str, weight_and_bias: tuple[Tensor, Tensor]) -> None:
        for part, tensor in zip(("weight", "bias"), weight_and_bias, strict=True):
            self.register_buffer(f"{name}_{part}", tensor.float(), persistent=False)

    def channels(self, name: str) -> int:
        """Return how many channels the features of layer `name` have."""
        weight, _ = self._map(name) or (getattr(self, f"{name}_weight"), None)
        return weight.shape[0]

    def fingerprint(self) -> str:
        """Twelve hex digits of the SHA-256 of the weights in use: tells one loss network from another in reports."""
        digest = hashlib.sha256()
        for name, tensor in self.named_buffers():
            if name not in ("mean", "std"):
                digest.update(tensor.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:12]


def _read(weights: str) -> dict[str, Tensor]:
    if weights == "torchvision":
        return _torchvision_state()
    return _read_state(asset_dir("checkpoints") / "loss" / f"{SLIM}.safetensors" if weights == SLIM else Path(weights))


def _convolution(state: dict[str, Tensor], name: str, weights: str) -> tuple[Tensor, Tensor]:
    index, in_channels, channels, _ = LAYERS[name]
    weight, bias = state.get(f"features.{index}.weight"), state.get(f"features.{index}.bias")
    if weight is None or bias is None:
        raise WeightsError(
            f"{weights}: too shallow, it has no weights for {name}; name layers before it in loss.content_layers "
            "and loss.style_layers, or use the full VGG-19 with loss.features.weights=torchvision"
        )
    if not _is_slim(state) and (weight.shape != (channels, in_channels, 3, 3) or bias.shape != (channels,)):
        raise WeightsError(f"{weights}: {name} does not have VGG-19's shape; give torchvision's VGG-19 state dict")
    return weight, bias


def _expansion(state: dict[str, Tensor], name: str, weights: str) -> tuple[Tensor, Tensor] | None:
    if not _is_slim(state):
        return None
    if f"maps.{name}.weight" not in state:
        known = ", ".join(layer for layer in LAYERS if f"maps.{layer}.weight" in state)
        raise WeightsError(
            f"{weights}: it stands in for VGG-19 at {known}, not at {name}; name those layers in loss.content_layers and "
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


def _read_state(path: Path) -> dict[str, Tensor]:
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
