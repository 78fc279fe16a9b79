"""ONNX Runtime on the CPU, in float32."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import numpy as np

from impasto.inference.engine.backends import Graph, Run
from impasto.system.machine import thread_count

NEEDS: tuple[str, ...] = ("onnxruntime", "onnx")
TAKES_GRAPH = True
KNOWS_HALF = False


def start(graph: Graph, device: str, half: bool) -> Run:
    """ONNX Runtime on the CPU, in float32."""
    os.environ.setdefault(
        "ORT_DISABLE_TELEMETRY", "1"
    )  # its maker's, which writes into the home folder and calls a host
    import onnxruntime

    onnxruntime.disable_telemetry_events()  # where somebody has imported it before
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = thread_count()
    options.log_severity_level = 4  # what goes wrong is raised

    @cache
    def session(levels: bool) -> Any:
        return onnxruntime.InferenceSession(graph(levels), options, providers=["CPUExecutionProvider"])

    def run(array: np.ndarray) -> np.ndarray:
        (painted,) = session(array.dtype == np.uint8).run(None, {"image": np.ascontiguousarray(array)})
        return painted

    session(True)
    return run
