"""What the options of a perceptual loss may be: they come from configurations and from model files, so anything may
stand there.
"""

from __future__ import annotations

from typing import Any

from impasto.errors import UsageError
from impasto.losses.vgg_weights import LAYERS

MAX_OCTAVES = 8


def check_layers(*groups: Any) -> None:
    for group in groups:
        plain = isinstance(group, (list, tuple)) and all(isinstance(layer, str) for layer in group)
        if not plain or not 0 < len(group) == len(set(group)) <= len(LAYERS):
            raise UsageError("content_layers and style_layers must each name some layers of VGG-19, each once")


def check_weights(*weights: float) -> None:
    if not all(map(_is_weight, weights)) or not any(weights):
        raise UsageError("content_weight, style_weight and tv_weight must be numbers from 0 to 1e9, not all of them 0")


def check_color_weight(weight: Any) -> None:
    if isinstance(weight, bool) or not _is_weight(weight):
        raise UsageError("color_weight must be a number from 0 to 1e9")


def _is_weight(weight: Any) -> bool:
    return isinstance(weight, (int, float)) and 0 <= weight <= 1e9


def check_octaves(octaves: Any, content_octave: Any) -> None:
    if type(octaves) is not int or not 1 <= octaves <= MAX_OCTAVES:
        raise UsageError(f"octaves must be a whole number from 1 to {MAX_OCTAVES}")
    if type(content_octave) is not int or not 0 <= content_octave < MAX_OCTAVES:
        raise UsageError(f"content_octave must be a whole number from 0 to {MAX_OCTAVES - 1}")


def check_flags(**flags: Any) -> None:
    for name, flag in flags.items():
        if not isinstance(flag, bool):
            raise UsageError(f"{name} must be true or false")
