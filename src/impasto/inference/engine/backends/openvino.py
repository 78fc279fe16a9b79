"""OpenVINO on the CPU: channels-last throughout, bfloat16 where the processor has it."""

from __future__ import annotations

import importlib
import sys
import threading
from functools import cache
from typing import Any

import numpy as np

from impasto.inference.engine.backends import Graph, Run
from impasto.system.machine import thread_count

NEEDS: tuple[str, ...] = ("openvino", "onnx")
TAKES_GRAPH = True
KNOWS_HALF = True


def start(graph: Graph, device: str, half: bool) -> Run:
    """OpenVINO on the CPU: channels-last throughout, bfloat16 where the processor has it."""
    openvino = _openvino()
    core = _openvino_core()
    settings = {
        "INFERENCE_PRECISION_HINT": "bf16" if half else "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": thread_count(),
        "ENABLE_CPU_PINNING": False,  # two processes would share one core and leave the others idle
    }

    # Compiled once, for every size: for one size alone it is a few per cent faster, but every new size takes half a
    # second.
    @cache
    def compiled_for(levels: bool) -> Any:
        return core.compile_model(core.read_model(graph(levels)), "CPU", settings).create_infer_request()

    one_at_a_time = threading.Lock()

    def run(array: np.ndarray) -> np.ndarray:
        array = np.require(array, requirements=("C", "W"))
        painted = np.empty_like(array)
        with one_at_a_time:
            request = compiled_for(array.dtype == np.uint8)
            request.set_input_tensor(openvino.Tensor(array, shared_memory=True))
            request.set_output_tensor(openvino.Tensor(painted, shared_memory=True))
            request.infer()
        return painted

    compiled_for(True)
    return run


@cache
def _openvino_core() -> Any:
    """Return the one core of this process.

    Each core puts an alternate signal stack in place and, when it goes, brings back the one before, which may be that
    of a core already gone: the next signal would kill the process.
    """
    return _openvino().Core()


@cache
def _openvino() -> Any:
    """Import OpenVINO as it is where its telemetry is not installed.

    With it, the import alone asks for its maker's analytics host, writes into the home folder, and fails where there is
    none.
    """
    telemetry = "openvino_telemetry"
    before = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == telemetry}
    sys.modules[telemetry] = None  # type: ignore[assignment] - which makes its import fail
    try:
        return importlib.import_module("openvino")
    finally:
        del sys.modules[telemetry]
        sys.modules.update(before)
