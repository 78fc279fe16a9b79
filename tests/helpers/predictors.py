"""Small predictors of painters with random weights, statistics for them, and their files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from impasto.any_style.predictor import StylePredictor
from impasto.synthetic.contents import procedural_image

SPEC = {"name": "brush", "width": 8, "blocks": 1}
CHANNELS = {"relu1_2": 12, "relu2_2/2": 16}


def small_predictor(size: int = 6, spec: dict[str, Any] | None = None) -> StylePredictor:
    torch.manual_seed(0)
    predictor = StylePredictor(spec or SPEC, CHANNELS, size)
    predictor.reader.fit(random_statistics(40))
    torch.nn.init.normal_(predictor.head.weight, std=0.1)
    return predictor.eval()


def random_statistics(count: int, seed: int = 0) -> dict[str, Tensor]:
    """Means and covariances of features of `count` styles."""
    generator, found = torch.Generator().manual_seed(seed), {}
    for name, channels in CHANNELS.items():
        features = torch.randn(count, channels, 50, generator=generator) * torch.rand(count, channels, 1)
        features += torch.rand(count, channels, 1, generator=generator)
        found[name] = torch.stack([each.cov(correction=0) for each in features])
        found[f"{name}.mean"] = features.mean(dim=2)
    return found


def style_picture(path: Path, seed: int = 7, width: int = 64, height: int = 64) -> Path:
    Image.fromarray(procedural_image(seed, 64)).resize((width, height)).save(path)
    return path


def rewritten(source: Path, target: Path, **claims: Any) -> Path:
    """Copy a file of impasto, its description changed; keys that are None are left out."""
    with safe_open(source, framework="pt") as file:
        tensors, said = {key: file.get_tensor(key) for key in file.keys()}, json.loads(file.metadata()["impasto"])  # noqa: SIM118
    said = {key: value for key, value in (said | claims).items() if value is not None}
    save_file(tensors, target, metadata={"impasto": json.dumps(said)})
    return target


def flipped(source: Path, target: Path) -> Path:
    """Copy a file, one bit of its last byte but one changed."""
    data = bytearray(source.read_bytes())
    data[-2] ^= 4
    target.write_bytes(data)
    return target
