"""The backends: each takes what it computes with, a rewritten network or its graph, and returns what runs it.

That takes and returns arrays, as `Engine` says. The packages are imported where they are used, for none but torch has to be
installed, and the others paint without it.
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from impasto.errors import ImpastoError, UsageError
from impasto.images.tensors import to_levels
from impasto.system.lazy import lazy
from impasto.system.machine import thread_count

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
else:
    torch = lazy("torch")

Run = Callable[[np.ndarray], np.ndarray]
Graph = Callable[[bool], bytes]  # whether it takes levels -> an ONNX file's bytes


def eager(network: nn.Module, device: str, half: bool) -> Run:
    """torch, layer by layer: always there, and on every device. On CUDA a shape that comes again is painted by a graph."""
    dtype = torch.bfloat16 if half else torch.float32
    network = network.to(device, dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
    made_in = os.getpid()

    @torch.no_grad()
    def paint(batch: Tensor) -> Tensor:
        levels = batch if batch.dtype == torch.uint8 else 255 * batch
        return network(levels.to(dtype, memory_format=torch.channels_last)).float()

    paint_there = _Recorder(paint, device) if device.startswith("cuda") else lambda batch: paint(batch.to(device))
    one_at_a_time = threading.Lock()  # a recording has one place for its result

    def run(array: np.ndarray) -> np.ndarray:
        if os.getpid() != made_in:
            _survive_fork(device)
        with one_at_a_time:
            painted = paint_there(as_tensor(array))
            return as_array((to_levels(painted) if array.dtype == np.uint8 else painted).cpu())

    return run


class _Recorder:
    """`paint` for batches on the CPU, its result on the GPU. A shape that comes twice in a row, as frames do, is recorded as a
    CUDA graph: one launch in place of a hundred, and the bytes travel through pinned memory."""

    def __init__(self, paint: Callable[[Tensor], Tensor], device: str):
        self.paint, self.device = paint, device
        self.shape: tuple[torch.Size, torch.dtype] | None = None
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, batch: Tensor) -> Tensor:
        with torch.cuda.device(self.device):
            came_before, self.shape = self.shape == (batch.shape, batch.dtype), (batch.shape, batch.dtype)
            if not came_before:
                self.graph = None
                return self.paint(batch.to(self.device))
            if self.graph is None:
                self._record(batch)
            return self._replay(batch)

    def _record(self, batch: Tensor) -> None:
        self.given, self.seen = torch.empty_like(batch).pin_memory(), batch.to(self.device)
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):  # libraries choose their algorithms before, not in the recording
            self.paint(self.seen)
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.painted = self.paint(self.seen)
        self.graph = graph

    def _replay(self, batch: Tensor) -> Tensor:
        assert self.graph is not None
        self.given.copy_(batch)
        self.seen.copy_(self.given, non_blocking=True)
        self.graph.replay()
        return self.painted


def _survive_fork(device: str) -> None:
    """Go on in a forked process, where torch would wait for ever for threads that were not copied."""
    if device != "cpu":
        raise UsageError("a painter on a GPU does not survive a fork; start the process by spawn, or load it there")
    torch.set_num_threads(1)


def compiled(network: nn.Module, device: str, half: bool) -> Run:
    """torch.compile, for any size: fast on a GPU; the first picture waits for the compiler.

    Raises:
        ImpastoError: it cannot compile here, as on a machine without a C++ compiler.
    """
    network.compile(dynamic=True)
    run = eager(network, device, half)
    try:
        run(np.zeros((1, 3, 64, 96), np.float32))
    except Exception as error:  # whatever goes wrong inside a compiler
        reason = str(error).strip().partition("\n")[0][:200]
        raise ImpastoError(f"torch.compile does not work here ({reason}); take --backend torch") from error
    return run


def onnxruntime(graph: Graph, device: str, half: bool) -> Run:
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


def openvino(graph: Graph, device: str, half: bool) -> Run:
    """OpenVINO on the CPU: channels-last throughout, bfloat16 where the processor has it."""
    openvino = _openvino()
    core = _openvino_core()
    settings = {
        "INFERENCE_PRECISION_HINT": "bf16" if half else "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": thread_count(),
        "ENABLE_CPU_PINNING": False,  # two processes would share one core and leave the others idle
    }

    # Compiled once, for every size: for one size alone it is a few per cent faster, but every new size takes half a second.
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

    Each core puts an alternate signal stack in place and, when it goes, brings back the one before, which may be that of
    a core already gone: the next signal would kill the process.
    """
    return _openvino().Core()


@cache
def _openvino() -> Any:
    """Import OpenVINO as it is where its telemetry is not installed.

    With it, the import alone asks for its maker's analytics host, writes into the home folder, and fails where there is none.
    """
    telemetry = "openvino_telemetry"
    before = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == telemetry}
    sys.modules[telemetry] = None  # type: ignore[assignment] - which makes its import fail
    try:
        return importlib.import_module("openvino")
    finally:
        del sys.modules[telemetry]
        sys.modules.update(before)


def as_array(batch: Tensor) -> np.ndarray:
    """Show (N, 3, H, W) as the engines take it: bytes with the channels last, floats as they are in float32."""
    if batch.dtype == torch.uint8:
        return batch.detach().cpu().permute(0, 2, 3, 1).numpy()
    return batch.detach().float().cpu().numpy()


def as_tensor(array: np.ndarray) -> Tensor:
    """Show what `as_array` made as (N, 3, H, W) again."""
    if min(array.strides) < 0 or not array.flags.writeable:  # torch knows no such memory
        array = array.copy()
    tensor = torch.from_numpy(array)
    return tensor.permute(0, 3, 1, 2) if array.dtype == np.uint8 else tensor
