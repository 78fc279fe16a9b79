"""Engines: one way to call a trained network, several programs that do its arithmetic.

An engine takes and returns (N, 3, H, W) on the CPU, floats in [0, 1] or uint8, both sides multiples of the network's stride;
bytes are fastest, with the channels last in memory. What it returns differs from the plain network in float32 by rounding
alone (tests/test_engine.py holds every backend to it).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

from torch import Tensor, device, nn

from impasto.engine import backends
from impasto.engine.rewrite import rewritten
from impasto.errors import UsageError
from impasto.runtime import has_fast_bfloat16, pick_device

BACKENDS = ("openvino", "onnxruntime", "torch", "compile")
PRECISIONS = ("auto", "float32", "half")
_FASTEST_FIRST = ("openvino", "onnxruntime", "torch")  # on a CPU; compile takes a minute to start
_NEEDS = {"openvino": ("openvino", "onnx"), "onnxruntime": ("onnxruntime", "onnx")}
_START: dict[str, Callable[..., Callable[[Tensor], Tensor]]] = {
    "openvino": backends.openvino,
    "onnxruntime": backends.onnxruntime,
    "torch": backends.eager,
    "compile": backends.compiled,
}


@dataclass(frozen=True)
class Engine:
    """A network made ready to paint, and what was chosen for it."""

    backend: str
    precision: str
    device: device
    run: Callable[[Tensor], Tensor]

    def __call__(self, batch: Tensor) -> Tensor:
        return self.run(batch)

    def __str__(self) -> str:
        return f"{self.backend}, {self.precision}, {self.device.type}"


def is_installed(backend: str) -> bool:
    """Whether the packages that `backend` needs are here."""
    return all(find_spec(package) for package in _NEEDS.get(backend, ()))


def build_engine(network: nn.Module, device: str = "auto", backend: str = "auto", precision: str = "auto") -> Engine:
    """Make an engine of `network`, which is copied.

    Args:
        device: a torch device; `auto` is the fastest here that the backend can use.
        backend: one of `BACKENDS`; `auto` is torch on a GPU, else the fastest that is installed and knows the network.
        precision: `half` is bfloat16 with instance norm's statistics in float32; `auto` is that where the device
            computes it in hardware and the backend can, else float32.

    Raises:
        UsageError: a value is unknown, a package is missing, or the backend cannot use that device, precision or network.
    """
    if backend not in ("auto", *BACKENDS) or precision not in PRECISIONS:
        raise UsageError(f"no backend {backend!r} with precision {precision!r}; take {_words()}")
    place = pick_device("cpu" if device == "auto" and backend in _NEEDS else device)
    network = rewritten(network)
    if backend != "auto":
        return _start(network, place, backend, precision)
    for candidate in _FASTEST_FIRST if place.type == "cpu" else ():
        if is_installed(candidate):
            try:
                return _start(network, place, candidate, precision)
            except UsageError:  # not for this network or precision
                continue
    return _start(network, place, "torch", precision)


def _start(network: nn.Module, place: device, backend: str, precision: str) -> Engine:
    if not is_installed(backend):
        raise UsageError(f"--backend {backend} needs a package; pip install 'impasto[fast]'")
    if backend in _NEEDS and place.type != "cpu":
        raise UsageError(f"--backend {backend} paints on the CPU; take --device cpu, or --backend torch")
    half = precision != "float32" and backend != "onnxruntime" and has_fast_bfloat16(place)
    if precision == "half" and not half:
        raise UsageError(f"{backend} has no fast half precision on this {place.type}; take --precision auto")
    run = _START[backend](network, place, half)
    return Engine(backend, "half" if half else "float32", place, run)


def _words() -> str:
    return f"auto, {', '.join(BACKENDS)}; and {', '.join(PRECISIONS)}"
