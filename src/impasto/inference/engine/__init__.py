"""Engines: one way to call a trained network, several programs that do its arithmetic.

What an engine returns differs from the plain network in float32 by rounding alone
(tests/inference/engine/test_engine.py holds every backend to it). OpenVINO and ONNX Runtime paint without torch where
the network's graph was kept (graph_cache.py).
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from impasto.errors import UsageError
from impasto.inference.engine.backends import Run
from impasto.inference.engine.graph_cache import Blueprint
from impasto.system.choices import BACKENDS, DEFAULT_BACKEND, DEFAULT_DEVICE, DEFAULT_PRECISION, PRECISIONS
from impasto.system.machine import has_fast_bfloat16, is_without_gpu, pick_device

if TYPE_CHECKING:
    from torch import nn

_FASTEST_FIRST = ("openvino", "onnxruntime", "torch")  # on a CPU; compile takes a minute to start


@dataclass(frozen=True)
class Engine:
    """A network made ready to paint, and what was chosen for it; `device` as torch writes it, "cpu" or "cuda:0".

    It takes and returns (N, H, W, 3), uint8 or float32 in [0, 1], both sides multiples of the network's stride. Bytes
    are fastest.
    """

    backend: str
    precision: str
    device: str
    run: Run

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        return self.run(batch)

    def __str__(self) -> str:
        return f"{self.backend}, {self.precision}, {self.device.partition(':')[0]}"


def is_installed(backend: str) -> bool:
    """Whether the packages that `backend` needs are here; an unknown one needs none."""
    return backend not in BACKENDS or all(find_spec(package) for package in _backend(backend).NEEDS)


def build_engine(
    network: nn.Module | Blueprint,
    device: str = DEFAULT_DEVICE,
    backend: str = DEFAULT_BACKEND,
    precision: str = DEFAULT_PRECISION,
) -> Engine:
    """Make an engine of `network`, which is copied.

    Args:
        device: a torch device; `auto` is the fastest here that the backend can use.
        backend: one of `BACKENDS`; `auto` is torch on a GPU, else the fastest that is installed and knows the network.
        precision: `half` is bfloat16 with instance norm's statistics in float32; `auto` is that where the device
            computes it in hardware and the backend can, else float32.

    Raises:
        UsageError: a value is unknown, a package is missing, or the backend cannot use that device, precision or
        network.
    """
    if backend not in ("auto", *BACKENDS) or precision not in PRECISIONS:
        raise UsageError(f"no backend {backend!r} with precision {precision!r}; take {_words()}")
    place = _place(device, backend)
    blueprint = network if isinstance(network, Blueprint) else Blueprint.of(network)
    if backend != "auto":
        return _start(blueprint, place, backend, precision)
    for candidate in _FASTEST_FIRST if place == "cpu" else ():
        if is_installed(candidate):
            try:
                return _start(blueprint, place, candidate, precision)
            except UsageError:  # not for this network or precision
                continue
    return _start(blueprint, place, "torch", precision)


def _place(device: str, backend: str) -> str:
    """Choose the device without torch where nothing but the CPU comes into question."""
    if device == "cpu" or (device == "auto" and (_takes_graph(backend) or is_without_gpu())):
        return "cpu"
    return str(pick_device(device))


def _start(blueprint: Blueprint, place: str, backend: str, precision: str) -> Engine:
    if not is_installed(backend):
        raise UsageError(f"--backend {backend} needs a package; pip install 'impasto[fast]'")
    if _takes_graph(backend) and place != "cpu":
        raise UsageError(f"--backend {backend} paints on the CPU; take --device cpu, or --backend torch")
    half = precision != "float32" and _backend(backend).KNOWS_HALF and has_fast_bfloat16(place)
    if precision == "half" and not half:
        raise UsageError(f"{backend} has no fast half precision on this {place}; take --precision auto")
    run = _backend(backend).start(blueprint.graph if _takes_graph(backend) else blueprint.rewritten(), place, half)
    return Engine(backend, "half" if half else "float32", place, run)


def _backend(name: str) -> Any:
    return importlib.import_module(f"{__name__}.backends.{name}")


def _takes_graph(backend: str) -> bool:
    return backend in BACKENDS and _backend(backend).TAKES_GRAPH


def _words() -> str:
    return f"auto, {', '.join(BACKENDS)}; and {', '.join(PRECISIONS)}"
